import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";

/** The files through which every amount goes. */
const MONEY_PATH = ["money", "decimal", "proration", "quote", "renewal"];

/** The code without comments and texts, and without what divides integers exactly: a division of bigints. */
function codeOf(source: string): string {
  return source
    .replaceAll(/\/\*[\s\S]*?\*\//g, "")
    .replaceAll(/\/\/.*$/gm, "")
    .replaceAll(/\/(\^.*?\$|\[[^\n]*?\]|\\p\{\w+\})\/[a-z]*/g, "")
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
    .replaceAll(/`(?:[^`\\]|\\.)*`/g, "``");
}

describe("no amount is computed in floating point", () => {
  test.each(MONEY_PATH)("src/billing/%s.ts", async (name) => {
    const code = codeOf(await readFile(new URL(`../../src/billing/${name}.ts`, import.meta.url), "utf8"));
    expect(code).not.toMatch(
      /Math\.(round|ceil|trunc|fround|pow)|parseFloat|toFixed|toPrecision|Number\.EPSILON|\*\* -/,
    );
    expect(code).not.toMatch(/\b\d+\.\d+\b/);
    const divisions = code.split("\n").filter((line) => line.includes("/") && !line.includes("import "));
    // Two divisions are left: the one of bigints, and the middle of two license counts in a search.
    const known = [/\(2n \* numerator \+ half\) \/ \(2n \* denominator\)/, /Math\.floor\(\(low \+ high\) \/ 2\)/];
    expect(divisions.filter((line) => !known.some((pattern) => pattern.test(line)))).toEqual([]);
  });
});
