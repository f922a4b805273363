import type { Command } from "commander";
import pLimit from "p-limit";
import { beforeAll, describe, expect, it } from "vitest";
import { ERRORS, type ErrorCode } from "../../src/cli/errors.ts";
import { wrap } from "../../src/cli/kit/wrap.ts";
import { createProgram } from "../../src/cli/main.ts";
import { errorOutput } from "../../src/cli/outputs.ts";
import { widthOf } from "../support/screen.ts";
import { BACKEND_CASES } from "./errorTable/backendCases.ts";
import { FILE_CASES } from "./errorTable/fileCases.ts";
import { PURCHASE_CASES } from "./errorTable/purchaseCases.ts";
import { SERVICE_CASES } from "./errorTable/serviceCases.ts";
import { SIGN_IN_CASES } from "./errorTable/signInCases.ts";
import { type Ended, type ErrorCase, filled, playError } from "./errorTable/stage.ts";
import { USAGE_CASES } from "./errorTable/usageCases.ts";
import { fakeContext } from "./support/fakeContext.ts";

const CODES = Object.keys(ERRORS) as ErrorCode[];

/** Every error, in the order of the exit codes' table. */
const CASES = [
  ...BACKEND_CASES,
  ...USAGE_CASES,
  ...SIGN_IN_CASES,
  ...FILE_CASES,
  ...SERVICE_CASES,
  ...PURCHASE_CASES,
].sort((one, other) => CODES.indexOf(one.code) - CODES.indexOf(other.code));

type Told = ReturnType<typeof errorOutput.parse>["error"];

/** What a case looks like to a person and to a program. */
interface Played {
  readonly person: Ended;
  readonly program: Ended;
  readonly told: Told;
}

const played = new Map<ErrorCase, Played>();

beforeAll(async () => {
  const several = pLimit(8);
  await Promise.all(CASES.map((each) => several(() => play(each))));
});

async function play(each: ErrorCase): Promise<void> {
  const [person, program] = [await playError(each, []), await playError(each, ["--json"])];
  // A person who was asked has seen questions before it.
  const last = program.stderr.slice(program.stderr.lastIndexOf("\n{") + 1);
  played.set(each, { person, program, told: errorOutput.strict().parse(JSON.parse(last)).error });
}

function ending(each: ErrorCase): Played {
  const found = played.get(each);
  if (!found) throw new TypeError(`${each.line} was not played`);
  return found;
}

/** A person reads the address of the payment page, and until when it can be paid, in the result on stdout. */
function withoutPage(hint: string): string {
  return hint
    .replace(/To pay it with .*, open http\S+ or run (`[^`]*`)[^.]*/, "Pay it on the payment page or with $1")
    .replace(/^Open http\S+ to pay(?: by \S+ \S+ UTC)?,/, "Pay it on the payment page,");
}

/** What a person reads of an error, at a width. */
function linesOf({ code, message, hint }: Told, width: number): string[] {
  const isCanceled = code === "declined_by_person" || code === "interrupted";
  return [isCanceled ? message : `Error: ${message}`, withoutPage(hint ?? "")]
    .filter((text) => text !== "")
    .flatMap((text) => wrap(text, width).split("\n"));
}

/** Three lines are enough for every error, but for the address where to pay and for two computations that differ. */
function mostLines({ code, message, hint }: Told): number {
  if (code === "price_check_failed") return 5;
  return /https?:/.test(message + hint) ? 4 : 3;
}

const program = await createProgram(fakeContext(), () => {});

/** The command that words name, and how many of them do. */
function commandIn(words: readonly string[], command = program): Command {
  const below = command.commands.find((each) => each.name() === words[0]);
  return below ? commandIn(words.slice(1), below) : command;
}

const flagsIn = (text: string) => text.match(/(?<![\w-])--[a-z][\w-]*/g) ?? [];

const flagsOf = (command: Command) => [...command.options.map(({ long }) => long), "--help"];

/** Whatever an error tells to type that does not exist. */
function unknownIn({ message, hint }: Told, line: string): string[] {
  const text = `${message} ${hint}`;
  const typed = [...text.matchAll(/`([^`]*)`/g)].map(([, command = ""]) =>
    command.replace(/^secureflag-licenses ?/, ""),
  );
  const ours = typed.filter((command) => !/^((sudo )?chown|chmod|rm|npm|<) /.test(command));
  const unknown = ours.flatMap((words) => {
    const command = commandIn(words.split(" "));
    const isKnown = command !== program || words.startsWith("-");
    return [...(isKnown ? [] : [words]), ...flagsIn(words).filter((flag) => !flagsOf(command).includes(flag))];
  });
  // Flags of the command that was run, and no others.
  const rest = flagsIn((hint ?? "").replaceAll(/`[^`]*`/g, ""));
  return [...unknown, ...rest.filter((flag) => !flagsOf(commandIn(line.split(" "))).includes(flag))];
}

const oneLine = (text: string) => text.replaceAll(/\s+/g, " ").trim();

describe("every error", () => {
  it("has a case", () => {
    expect(CODES.filter((code) => !CASES.some((each) => each.code === code))).toEqual([]);
  });

  it("is documented with its exit code and its text for people", async () => {
    const table = CASES.map((each) => {
      const { person, told } = ending(each);
      const title = `[${person.exitCode}] ${each.code}${each.when ? `: ${each.when}` : ""}`;
      return [title, `$ secureflag-licenses ${filled(each.line)}`, ...linesOf(told, 80), ""].join("\n");
    });
    await expect(table.join("\n")).toMatchFileSnapshot("errorTable.txt");
  });

  describe.each(CASES.map((each) => [`${each.code}: ${each.when ?? each.line}`, each] as const))("%s", (_, each) => {
    it("exits with its code, and gives programs the same text as people", () => {
      const { person, program, told } = ending(each);
      expect(told).toMatchObject({ code: each.code, exitCode: ERRORS[each.code].exitCode });
      expect([person.exitCode, program.exitCode]).toEqual([told.exitCode, told.exitCode]);
      const request = told.requestId === null ? [] : [`Request: ${told.requestId}`];
      expect(oneLine(person.stderr)).toMatch(oneLine([...linesOf(told, 80), ...request].join(" ")));
    });

    it("shows the next step, in three lines, with commands and flags that exist", () => {
      const { told } = ending(each);
      expect(told.message).toMatch(/[.!?…]$/);
      // Canceling leaves nothing to do.
      if (told.code === "declined_by_person")
        expect([told.message, told.hint]).toEqual([expect.stringMatching(/^Canceled\. /), null]);
      else expect(told.hint).toMatch(/[.!?…]$/);
      expect(linesOf({ ...told, problems: [] }, 80).length).toBeLessThanOrEqual(mostLines(told));
      expect(unknownIn(told, each.line)).toEqual([]);
      // What is to be copied stands between backticks.
      expect(`${told.message} ${told.hint}`.replaceAll(/`[^`]*`/g, "")).not.toMatch(/secureflag-licenses [a-z]+ /);
    });

    it("fits 60 columns in a terminal, is not wrapped elsewhere, and shows no stack", () => {
      const { person, program, told } = ending(each);
      // What people copy stays whole.
      const wide = linesOf(told, 60).filter((line) => widthOf(line) > 60 && !/^(`[^`]*`|\S)+$/.test(line));
      expect(wide).toEqual([]);
      const whole = person.isOnTerminal ? [] : linesOf(told, Number.POSITIVE_INFINITY);
      expect(person.stderr.split("\n")).toEqual(expect.arrayContaining(whole));
      expect(person.stderr + program.stderr).not.toMatch(/^\s+at /m);
    });
  });

  it("shows its stack and those of its causes with --verbose", async () => {
    const defect = CASES.find(({ code }) => code === "defect") as ErrorCase;
    expect((await playError(defect, ["--verbose"])).stderr).toMatch(/^\s+at /m);
  });
});
