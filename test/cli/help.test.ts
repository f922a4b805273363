import { readdir } from "node:fs/promises";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { HELP_TOPIC_NAMES } from "../../src/cli/help/page.ts";
import { examplesOf, isGlobalOption } from "../../src/cli/kit/command.ts";
import { createProgram, runProgram } from "../../src/cli/main.ts";
import { widthOf } from "../support/screen.ts";
import { fakeContext } from "./support/fakeContext.ts";

/** Every command that the help names, by the words that call it; the program itself by none. */
const commands = visibleCommands(await createProgram(fakeContext(), () => {}));

function visibleCommands(command: Command, words: readonly string[] = []): [string, Command][] {
  const below = command.createHelp().visibleCommands(command);
  return [[words.join(" "), command], ...below.flatMap((each) => visibleCommands(each, [...words, each.name()]))];
}

const pages = [...commands.map(([words]) => words), ...HELP_TOPIC_NAMES];

const fileOf = (words: string) => `${words.replaceAll(" ", "-") || "secureflag-licenses"}.txt`;

/** What a command that was parsed and checked does first is to listen for signals; it comes no further. */
class Taken extends Error {}

async function take(line: readonly string[]): Promise<void> {
  const onSignal = () => {
    throw new Taken();
  };
  const program = await createProgram({ ...fakeContext({ isTerminal: true }), onSignal }, () => {});
  await program.parseAsync([...line], { from: "user" }).catch((error) => {
    if (!(error instanceof Taken)) throw error;
  });
}

async function helpOn(words: string, columns?: number): Promise<string> {
  const context = fakeContext(columns === undefined ? {} : { columns });
  expect(await runProgram(["help", ...words.split(" ").filter(Boolean)], context)).toBe(0);
  return context.written.stdout;
}

describe.each([80, 100])("every help page at %d columns", (columns) => {
  it("has a snapshot, and there is no other page", async () => {
    expect((await readdir(new URL(`help/${columns}`, import.meta.url))).sort()).toEqual(pages.map(fileOf).sort());
  });

  it.each(pages)("%s", async (words) => {
    const text = await helpOn(words, columns);
    await expect(text).toMatchFileSnapshot(`help/${columns}/${fileOf(words)}`);
    expect(widthOf(text)).toBeLessThanOrEqual(columns);
    expect(widthOf(await helpOn(words, 60))).toBeLessThanOrEqual(60);
  });
});

describe("the help", () => {
  it.each(["buy", "exit-codes"])(
    "for %s is 80 columns wide off a terminal, as wide as the terminal, and at most 100",
    async (words) => {
      expect(await helpOn(words)).toBe(await helpOn(words, 80));
      const widest = await helpOn(words, 100);
      expect(widthOf(widest)).toBeGreaterThan(80);
      expect(widthOf(widest)).toBeLessThanOrEqual(100);
      expect(await helpOn(words, 120)).toBe(widest);
      const narrowed = fakeContext({ columns: 120, env: { COLUMNS: "100" } });
      await runProgram(["help", words], narrowed);
      expect(narrowed.written.stdout).toBe(widest);
    },
  );

  it.each(commands)("for %s is the same with --help", async (words) => {
    const context = fakeContext();
    expect(await runProgram([...words.split(" ").filter(Boolean), "--help"], context)).toBe(0);
    expect(context.written.stdout).toBe(await helpOn(words));
    const alone = fakeContext();
    await runProgram([], alone);
    expect(alone.written.stdout).toBe(await helpOn(""));
  });

  it.each(commands)("for %s has two valid examples", async (words, command) => {
    const examples = examplesOf(command);
    expect(new Set(examples).size).toBe(2);
    for (const example of examples) {
      expect(`${example} `.startsWith(words && `${words} `)).toBe(true);
      await expect(take(example.replace(/ [<>] \S+$/, "").split(" "))).resolves.toBeUndefined();
    }
  });

  it.each([
    [true, "buy --help", { FORCE_COLOR: "1" }],
    [true, "help buy", { FORCE_COLOR: "1" }],
    [false, "buy --help", {}],
    [false, "buy --help --no-color", { FORCE_COLOR: "1" }],
    [false, "help buy --no-color", { FORCE_COLOR: "1" }],
    [false, "help buy --json", { FORCE_COLOR: "1" }],
    [false, "--help", { FORCE_COLOR: "1", NO_COLOR: "1" }],
  ])("has bold headings (%s): %s with %o", async (isBold, line, env) => {
    const context = fakeContext({ env });
    await runProgram(line.split(" "), context);
    expect(context.written.stdout).toContain(isBold ? "\u001b[1mUsage:\u001b[22m secure" : "Usage: secure");
  });

  it("lists every command under its heading", () => {
    const top = commands.filter(([words]) => /^\S+$/.test(words));
    expect(top.filter(([, command]) => command.helpGroup() === "").map(([words]) => words)).toEqual([]);
  });
});

describe("a typo", () => {
  const cut = (name: string) => name.slice(0, -1);

  async function hintOn(line: string): Promise<string> {
    const context = fakeContext();
    expect(await runProgram(line.trim().split(" "), context)).toBe(2);
    return context.written.stderr;
  }

  it.each(commands.slice(1))("in %s suggests the command", async (words) => {
    const name = words.split(" ").at(-1);
    const slip = cut(words);
    expect(await hintOn(slip)).toMatch(new RegExp(`Did you mean (one of )?.*\\b${name}\\b`));
    expect(await hintOn(`help ${slip}`)).toMatch(new RegExp(`Did you mean (one of )?.*\\b${name}\\b`));
  });

  const flags = commands.flatMap(([words, command]) => {
    const own = command.options.filter((option) => !option.hidden && (words === "" || !isGlobalOption(option)));
    return own.map(({ long }) => [words, long ?? ""] as const);
  });

  it.each(flags)("in a flag: %s %s", async (words, flag) => {
    expect(await hintOn(`${words} ${cut(flag)}`)).toMatch(new RegExp(`Did you mean (one of )?.*${flag}\\b`));
  });
});
