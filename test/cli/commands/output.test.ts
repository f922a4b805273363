import { expect, it } from "vitest";
import { printResult } from "../../../src/cli/commands/shared/output.ts";
import { fakeContext } from "../support/fakeContext.ts";

const OPTIONS = { json: false, color: false, quiet: false, verbose: false };
const DATA = { name: "ci", active: true } as const;
const failing = () => {
  throw new RangeError("Invalid language tag");
};
const print = (context: ReturnType<typeof fakeContext>, options: typeof OPTIONS & { csv?: boolean }) =>
  printResult(context, options, "profiles use", DATA, failing);

it("prints a result as JSON where formatting it fails, and says why", async () => {
  const context = fakeContext();
  expect(await print(context, OPTIONS)).toBe(true);
  expect(context.written.stdout).toBe(`${JSON.stringify(DATA)}\n`);
  expect(context.written.stderr.replaceAll("\n", " ")).toContain(
    "Failed to format the result as text (Invalid language tag).",
  );
});

it("prints no JSON to a reader of CSV", async () => {
  await expect(print(fakeContext(), { ...OPTIONS, csv: true })).rejects.toThrow("Invalid language tag");
});
