import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { divideRounded, parseDecimal } from "../../src/billing/decimal.ts";
import { oracleRound } from "../support/oracle.ts";

describe("divideRounded rounds half away from zero", () => {
  test.each([
    [0n, 1n, 0n],
    [1n, 2n, 1n],
    [-1n, 2n, -1n],
    [1n, 3n, 0n],
    [2n, 3n, 1n],
    [-2n, 3n, -1n],
    [5n, 2n, 3n],
    [-5n, 2n, -3n],
    [54945n, 30n, 1832n],
    [1_188_000_000n, 365n, 3_254_795n],
    [10n ** 40n + 5n, 10n, 10n ** 39n + 1n],
  ])("%s / %s is %s", (numerator, denominator, result) => {
    expect(divideRounded(numerator, denominator)).toBe(result);
  });

  test("agrees with quotient and remainder, on both sides of zero", () => {
    const numerators = fc.bigInt({ min: 0n, max: 10n ** 30n });
    const denominators = fc.bigInt({ min: 1n, max: 10n ** 15n });
    fc.assert(
      fc.property(numerators, denominators, (numerator, denominator) => {
        const rounded = oracleRound(numerator, denominator);
        expect(divideRounded(numerator, denominator)).toBe(rounded);
        expect(divideRounded(-numerator, denominator)).toBe(-rounded);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("parseDecimal", () => {
  test.each([
    ["20", 20n, 0],
    ["8.875", 8875n, 3],
    ["0", 0n, 0],
    ["0.000000001", 1n, 9],
    ["100", 100n, 0],
  ])("%s is exact", (text, coefficient, scale) => {
    expect(parseDecimal(text)).toEqual({ coefficient, scale });
  });
});
