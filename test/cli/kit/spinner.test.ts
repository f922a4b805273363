import { expect, it } from "vitest";
import { openPrompter } from "../../../src/cli/kit/prompt.ts";
import { withProgress, withSpinner } from "../../../src/cli/kit/spinner.ts";
import { waitFor } from "../../support/wait.ts";
import { fakeContext } from "../support/fakeContext.ts";

const options = { json: false, color: false, quiet: false, verbose: false };

it.each([0, undefined])("draws nothing on a terminal of %s columns", async (columns) => {
  const fake = fakeContext({ isTerminal: true });
  const drawn: string[] = [];
  const output = { columns, isTTY: true, write: (text: string) => drawn.push(text) } as unknown as NodeJS.WriteStream;
  const context = { ...fake, io: { ...fake.io, terminal: () => ({ input: process.stdin, output }) } };
  const work = new Promise((done) => setTimeout(done, 50, "done"));
  expect(await withSpinner(context, options, "Waiting", work)).toBe("done");
  expect(drawn).toEqual([]);
});

it.each([
  ["no terminal", {}, {}, "Waiting …\n"],
  ["a dumb terminal", { isTerminal: true, env: { TERM: "dumb" } }, {}, "Waiting …\n"],
  ["--quiet", {}, { quiet: true }, ""],
  ["--json", {}, { json: true }, ""],
])("on %s prints a sentence for slow work, and draws nothing", async (_, world, flags, said) => {
  const context = fakeContext({ ...world, isSlow: true });
  const work = new Promise((done) => setTimeout(done, 50, "done"));
  expect(await withSpinner(context, { ...options, ...flags }, "Waiting", work)).toBe("done");
  expect(context.written.stderr).toBe(said);
  expect(await withSpinner(fakeContext(world), { ...options, ...flags }, "Waiting", Promise.resolve(1))).toBe(1);
});

it("is hidden during a prompt, and shown again afterwards", async () => {
  const fake = fakeContext({ isTerminal: true });
  const drawn: string[] = [];
  const output = { columns: 80, isTTY: true, write: (text: string) => drawn.push(text), clearLine() {}, cursorTo() {} };
  const terminal = () => ({ input: process.stdin, output: output as unknown as NodeJS.WriteStream });
  const sleep = (milliseconds: number) => new Promise<void>((done) => setTimeout(done, milliseconds));
  const frames = () => drawn.filter((text) => text.includes("Waiting")).length;
  const seen: number[] = [];
  const confirm = async () => {
    seen.push(frames());
    await sleep(200);
    seen.push(frames());
    return true;
  };
  const prompter = async () => ({ confirm, text: async () => "", secret: async () => "", interrupt: () => {} });
  const context = { ...fake, clock: { ...fake.clock, sleep }, io: { ...fake.io, terminal }, prompter };
  const work = async () => {
    await waitFor(() => frames() > 1);
    await (await openPrompter(context, { color: false })).confirm("Sure?");
    await waitFor(() => frames() > (seen[1] ?? 0));
    return "done";
  };
  expect(await withSpinner(context, options, "Waiting", work())).toBe("done");
  expect(seen[1]).toBe(seen[0]);
  expect(context.animation).toBeNull();
});

it.each([
  [true, /^[\0-\x7f]*$/],
  [false, /[⠁-⣿]/],
])("draws ASCII on a terminal that supports nothing else (%s)", async (isAscii, frames) => {
  const fake = fakeContext({ isTerminal: true, isAscii });
  const drawn: string[] = [];
  const output = { columns: 80, isTTY: true, write: (text: string) => drawn.push(text), clearLine() {}, cursorTo() {} };
  const terminal = () => ({ input: process.stdin, output: output as unknown as NodeJS.WriteStream });
  await withProgress({ ...fake, io: { ...fake.io, terminal } }, options, (show) => show("1 of 2…"));
  expect(drawn.join("")).toContain(isAscii ? "1 of 2..." : "1 of 2…");
  expect(drawn.join("")).toMatch(frames);
});

it("shows progress at once and disappears at the end, even if the work never yields", async () => {
  const fake = fakeContext({ isTerminal: true });
  const drawn: string[] = [];
  let cleared = 0;
  const clearLine = () => {
    cleared += 1;
  };
  const output = { columns: 80, isTTY: true, write: (text: string) => drawn.push(text), clearLine, cursorTo() {} };
  const terminal = () => ({ input: process.stdin, output: output as unknown as NodeJS.WriteStream });
  const context = { ...fake, io: { ...fake.io, terminal } };
  const seen = await withProgress(context, options, (show) => {
    show("1 of 2");
    const first = drawn.join("").includes("1 of 2");
    show("2 of 2");
    return [first, drawn.join("").includes("2 of 2"), cleared];
  });
  expect(seen).toEqual([true, true, 1]);
  expect(cleared).toBe(2);
});

it.each([
  ["no terminal", {}, { isTerminal: false }],
  ["--json", { json: true }, { isTerminal: true }],
  ["--quiet", { quiet: true }, { isTerminal: true }],
])("shows nothing with %s", async (_, flags, world) => {
  // A test's context has no terminal to draw on.
  const work = (show: (text: string) => void) => {
    show("1 of 2");
    return "done";
  };
  expect(await withProgress(fakeContext(world), { ...options, ...flags }, work)).toBe("done");
});
