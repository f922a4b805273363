import { expect, it } from "vitest";
import { withSpinner } from "../../../src/cli/commands/shared/spinner.ts";
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
