import { describe, expect, it } from "vitest";
import { CliError } from "../../../src/cli/errors.ts";
import { reportFailure } from "../../../src/cli/kit/failure.ts";
import { note, printResult, warn } from "../../../src/cli/kit/output.ts";
import { fakeContext } from "../support/fakeContext.ts";

const OPTIONS = { json: false, color: false, quiet: false, verbose: false };

const DATA = { name: "ci", active: true } as const;

const failing = () => {
  throw new RangeError("Invalid language tag");
};

const print = (context: ReturnType<typeof fakeContext>, options: typeof OPTIONS & { csv?: boolean }) =>
  printResult<"profiles use">(context, options, DATA, failing);

it("prints a result as JSON if formatting it fails, and says why", async () => {
  const context = fakeContext();
  expect(await print(context, OPTIONS)).toBe(true);
  expect(context.written.stdout).toBe(`${JSON.stringify(DATA)}\n`);
  expect(context.written.stderr.replaceAll("\n", " ")).toContain(
    "Failed to format the result as text (Invalid language tag).",
  );
});

it("prints no JSON if CSV was requested", async () => {
  await expect(print(fakeContext(), { ...OPTIONS, csv: true })).rejects.toThrow("Invalid language tag");
});

describe("a JSON document", () => {
  const JSON_OPTIONS = { ...OPTIONS, json: true };

  it.each([
    ["on one line off a terminal", {}, JSON.stringify(DATA)],
    ["indented by two on a terminal", { isStdoutTerminal: true }, JSON.stringify(DATA, null, 2)],
  ])("is %s", async (_, world, expected) => {
    const context = fakeContext(world);
    await print(context, JSON_OPTIONS);
    expect(context.written.stdout).toBe(`${expected}\n`);
    const fallback = fakeContext(world);
    await print(fallback, { ...OPTIONS, quiet: true });
    expect(fallback.written.stdout).toBe(`${expected}\n`);
  });

  it.each([
    ["on one line off a terminal", { isStdoutTerminal: true }, 1],
    ["indented by two on a terminal", { isTerminal: true }, 9],
  ])("of an error is %s", (_, world, lines) => {
    const context = fakeContext(world);
    reportFailure(new CliError("payment_declined", "Payment failed"), ["buy", "--json"], context);
    const { stderr } = context.written;
    const document = JSON.parse(stderr);
    expect(document.error).toMatchObject({ code: "payment_declined", exitCode: 6 });
    expect(stderr).toBe(`${JSON.stringify(document, null, lines === 1 ? 0 : 2)}\n`);
    expect(stderr.trimEnd().split("\n")).toHaveLength(lines);
  });
});

describe("text on stderr", () => {
  const LONG = "word ".repeat(60).trim();

  it.each([
    ["the terminal", { columns: 90 }, 89],
    ["at most 100 columns", { columns: 140 }, 99],
    ["COLUMNS", { columns: 140, env: { COLUMNS: "60" } }, 59],
    ["80 columns by default", {}, 79],
  ])("is as wide as %s", (_, world, widest) => {
    const context = fakeContext({ isTerminal: true, ...world });
    note(context, OPTIONS, LONG);
    expect(Math.max(...context.written.stderr.split("\n").map((line) => line.length))).toBe(widest);
  });

  it("is not wrapped off a terminal", () => {
    const context = fakeContext({ columns: 60 });
    note(context, OPTIONS, LONG);
    expect(context.written.stderr).toBe(`${LONG}\n`);
  });
});

describe("labels on stderr", () => {
  const RED = "\u001b[31mError:\u001b[39m Payment failed.";
  const YELLOW = "\u001b[33mWarning:\u001b[39m 1 license is left.";

  it.each([
    ["a terminal", { isTerminal: true }, true, true],
    ["a terminal with --no-color", { isTerminal: true }, false, false],
    ["a terminal with NO_COLOR", { isTerminal: true, env: { NO_COLOR: "1" } }, true, false],
    ["a dumb terminal", { isTerminal: true, env: { TERM: "dumb" } }, true, false],
    ["no terminal", {}, true, false],
  ])("on %s", (_, world, color, isColored) => {
    const failed = fakeContext(world);
    const argv = color ? ["buy"] : ["buy", "--no-color"];
    reportFailure(new CliError("payment_declined", "Payment failed"), argv, failed);
    expect(failed.written.stderr.split("\n")[0]).toBe(isColored ? RED : "Error: Payment failed.");
    const warned = fakeContext(world);
    warn(warned, { ...OPTIONS, color }, "1 license is left.");
    expect(warned.written.stderr).toBe(`${isColored ? YELLOW : "Warning: 1 license is left."}\n`);
  });

  it.each(["json", "quiet"])("omit warnings with --%s", (flag) => {
    const context = fakeContext({ isTerminal: true });
    warn(context, { ...OPTIONS, [flag]: true }, "1 license is left.");
    expect(context.written.stderr).toBe("");
  });

  it("are an annotation in GitHub Actions", () => {
    const context = fakeContext({ isTerminal: true });
    const commands: [string, string][] = [];
    const workflowCommand = (command: string, value: string) => commands.push([command, value]) > 0;
    warn({ ...context, io: { ...context.io, workflowCommand } }, OPTIONS, "No limit is set.");
    expect([commands, context.written.stderr]).toEqual([[["warning", "No limit is set."]], ""]);
  });

  it("are omitted when the user cancels", () => {
    const context = fakeContext({ isTerminal: true });
    reportFailure(new CliError("declined_by_person", "Canceled. Nothing was bought"), [], context);
    expect(context.written.stderr).toBe("Canceled. Nothing was bought.\n");
  });
});
