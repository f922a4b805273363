import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isTaxed, maxChargeStep, prorate, recurringCharge, taxOn } from "../../src/billing/proration.ts";
import { anyLine, anyTaxRate, type Line } from "../support/arbitraries.ts";
import { oracleCharge } from "../support/oracle.ts";

function chargeOf(line: Line, chargeStep = 1) {
  return prorate({ ...line, chargeStep, unitPrice: { amount: line.unitPrice, currency: line.currency } });
}

function dueOf(line: Line, changes: Partial<Line> = {}): number {
  return chargeOf({ ...line, ...changes }).subtotal.amount;
}

describe("exactness", () => {
  test.each([
    {
      name: "a product beyond 2^53",
      unitPrice: 9_007_199_254_740_991,
      licenses: 1,
      remainingDays: 364,
      termDays: 365,
      due: 8_982_521_996_508_824,
    },
    {
      name: "a product beyond 2^64",
      unitPrice: 900_719_925_474,
      licenses: 9_999,
      remainingDays: 365,
      termDays: 366,
      due: 8_981_691_161_768_585,
    },
  ])("$name", ({ due, ...line }) => {
    const charge = chargeOf({ ...line, currency: "USD", taxRate: "0" });
    expect(BigInt(charge.subtotal.amount)).toBe(oracleCharge({ ...line, taxRate: "0" }).dueNow);
    expect(charge.subtotal.amount).toBe(due);
  });

  test.each([
    ["the line", { unitPrice: Number.MAX_SAFE_INTEGER, licenses: 2, remainingDays: 30, termDays: 30, taxRate: "0" }],
    ["the tax", { unitPrice: 9_000_000_000_000_000, licenses: 1, remainingDays: 30, termDays: 30, taxRate: "101" }],
    ["the total", { unitPrice: 9_000_000_000_000_000, licenses: 1, remainingDays: 30, termDays: 30, taxRate: "20" }],
  ])("%s beyond a safe integer is an error, not a wrong number", (_, line) => {
    expect(() => chargeOf({ ...line, currency: "USD" })).toThrow(
      expect.objectContaining({ code: "amount_out_of_range" }),
    );
  });

  test.each(["", "-1", "1e2", "1,5", ".5", "5.", "20%", " 20", "0x10", "1.0000000001", "NaN"])(
    "the tax rate %j is rejected",
    (taxRate) => {
      expect(() => taxOn({ amount: 100, currency: "USD" }, taxRate)).toThrow(
        expect.objectContaining({ code: "invalid_rate" }),
      );
    },
  );

  test.each([
    [20342, "20", 4068],
    [100, "8.875", 9],
    [200, "8.875", 18],
    [1000, "0.05", 1],
    [999, "0.05", 0],
    [1, "50", 1],
    [1, "49.999999999", 0],
    [80543, "10", 8054],
    [0, "20", 0],
  ])("the tax on %d at %s %% is %d", (amount, taxRate, tax) => {
    expect(taxOn({ amount, currency: "EUR" }, taxRate)).toEqual({ amount: tax, currency: "EUR" });
  });
});

test.each([
  ["0", false],
  ["0.000", false],
  ["20", true],
  ["0.05", true],
  ["09", true],
])("isTaxed(%j) is %s", (taxRate, taxed) => {
  expect(isTaxed(taxRate)).toBe(taxed);
});

describe("a coarser rounding step", () => {
  test.each([
    ["KWD", 10],
    ["MGA", 100],
    ["USD", 1],
    ["JPY", 1],
    ["CLF", 1],
  ])("the largest for %s is %d", (currency, step) => {
    expect(maxChargeStep(currency)).toBe(step);
  });

  test("every amount is a multiple of the step, and within half a step of the exact one", () => {
    fc.assert(
      fc.property(anyLine, fc.constantFrom(10, 100), (line, step) => {
        const { subtotal, tax, total } = chargeOf(line, step);
        for (const { amount } of [subtotal, tax, total]) expect(amount % step).toBe(0);
        const exact = BigInt(line.unitPrice) * BigInt(line.licenses) * BigInt(line.remainingDays);
        const difference = BigInt(subtotal.amount) * BigInt(line.termDays) - exact;
        expect(2n * (difference < 0n ? -difference : difference)).toBeLessThanOrEqual(BigInt(step * line.termDays));
      }),
    );
  });
});

describe("properties", () => {
  const runs = { numRuns: 1000 };

  test("the price agrees with an independent exact computation", () => {
    fc.assert(
      fc.property(anyLine, (line) => {
        const { subtotal, tax, total } = chargeOf(line);
        const oracle = oracleCharge(line);
        expect([subtotal, tax, total].map(({ amount }) => BigInt(amount))).toEqual([
          oracle.dueNow,
          oracle.tax,
          oracle.total,
        ]);
        expect([subtotal.currency, tax.currency, total.currency]).toEqual(Array(3).fill(line.currency));
      }),
      runs,
    );
  });

  test("the price is never negative, and never more than for the full term", () => {
    fc.assert(
      fc.property(anyLine, (line) => {
        const { subtotal, tax, total } = chargeOf(line);
        expect(Math.min(subtotal.amount, tax.amount, total.amount)).toBeGreaterThanOrEqual(0);
        const full = recurringCharge({ ...line, unitPrice: { amount: line.unitPrice, currency: line.currency } });
        expect(subtotal.amount).toBeLessThanOrEqual(full.subtotal.amount);
        expect(total.amount).toBeLessThanOrEqual(full.total.amount);
      }),
      runs,
    );
  });

  test("the whole term costs exactly the unit price times the licenses", () => {
    fc.assert(
      fc.property(anyLine, (line) => {
        expect(BigInt(dueOf(line, { remainingDays: line.termDays }))).toBe(
          BigInt(line.unitPrice) * BigInt(line.licenses),
        );
      }),
      runs,
    );
  });

  test("a day later never costs more", () => {
    fc.assert(
      fc.property(anyLine, (line) => {
        fc.pre(line.remainingDays > 0);
        const today = chargeOf(line);
        const tomorrow = chargeOf({ ...line, remainingDays: line.remainingDays - 1 });
        expect(tomorrow.subtotal.amount).toBeLessThanOrEqual(today.subtotal.amount);
        expect(tomorrow.total.amount).toBeLessThanOrEqual(today.total.amount);
      }),
      runs,
    );
  });

  test("N licenses differ from N single ones by at most half a minor unit each", () => {
    fc.assert(
      fc.property(anyLine, (line) => {
        const singles = BigInt(dueOf(line, { licenses: 1 })) * BigInt(line.licenses);
        const difference = BigInt(dueOf(line)) - singles;
        // The N rounded singles are off by N halves at most, the one rounded line by another half.
        expect(2n * (difference < 0n ? -difference : difference)).toBeLessThanOrEqual(BigInt(line.licenses) + 1n);
        if (line.licenses === 1) expect(difference).toBe(0n);
      }),
      runs,
    );
  });

  test("one more license never costs less", () => {
    fc.assert(
      fc.property(anyLine, (line) => {
        expect(dueOf(line, { licenses: line.licenses + 1 })).toBeGreaterThanOrEqual(dueOf(line));
      }),
      runs,
    );
  });

  test("the tax is within half a minor unit of the exact one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000_000_000 }), anyTaxRate, (amount, taxRate) => {
        const [whole = "", fraction = ""] = taxRate.split(".");
        const scale = 100n * 10n ** BigInt(fraction.length);
        const exact = BigInt(amount) * BigInt(whole + fraction);
        const difference = BigInt(taxOn({ amount, currency: "USD" }, taxRate).amount) * scale - exact;
        expect(2n * (difference < 0n ? -difference : difference)).toBeLessThanOrEqual(scale);
      }),
      runs,
    );
  });
});
