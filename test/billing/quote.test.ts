import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addDays } from "../../src/billing/calendar.ts";
import { recurringCharge } from "../../src/billing/proration.ts";
import { licensesAtRenewal, minLicensesFor, priceLicenses } from "../../src/billing/quote.ts";
import { type TermRule, termAt, termIndexOn } from "../../src/billing/term.ts";
import { anyDate, anyLine } from "../support/arbitraries.ts";
import { oracleCharge } from "../support/oracle.ts";

const gbp = (amount: number) => ({ amount, currency: "GBP" });

function subscription(rule: TermRule, date: string, changes: object = {}) {
  const term = termAt(rule, termIndexOn(rule, date));
  const licenses = { purchased: 25, used: 22, reduction: null };
  return { unitPrice: gbp(15000), taxRate: "20", term, ...licenses, autoRenew: true, ...changes };
}

const yearly: TermRule = { anchorDate: "2026-03-01", interval: "year", intervalCount: 1 };

describe("priceLicenses", () => {
  test("matches the first worked example in full", () => {
    expect(priceLicenses(subscription(yearly, "2026-11-22"), 5, "2026-11-22")).toEqual({
      licenses: 5,
      unitPrice: gbp(15000),
      purchaseDate: "2026-11-22",
      term: { start: "2026-03-01", renewalDate: "2027-03-01", days: 365, daysRemaining: 99 },
      dueNow: gbp(20342),
      taxRate: "20",
      tax: gbp(4068),
      total: gbp(24410),
      licensesAfter: 30,
      renewsAt: {
        date: "2027-03-01",
        licenses: 30,
        subtotal: gbp(450000),
        tax: gbp(90000),
        total: gbp(540000),
      },
    });
  });

  test("has no renewal without autoRenew", () => {
    const price = priceLicenses(subscription(yearly, "2026-11-22", { autoRenew: false }), 5, "2026-11-22");
    expect(price.renewsAt).toBeNull();
    expect(price.total).toEqual(gbp(24410));
  });

  test("is exact on any date of any term, and renews all the licenses", () => {
    const anyRule = fc.record({
      anchorDate: anyDate(2020, 2030),
      interval: fc.constantFrom("month" as const, "year" as const),
      intervalCount: fc.integer({ min: 1, max: 24 }),
    });
    fc.assert(
      fc.property(
        anyRule,
        fc.integer({ min: 0, max: 5000 }),
        anyLine,
        fc.nat(10_000),
        (rule, days, line, purchased) => {
          const date = addDays(rule.anchorDate, days);
          const unitPrice = { amount: line.unitPrice, currency: line.currency };
          const facts = subscription(rule, date, { unitPrice, taxRate: line.taxRate, purchased });
          const price = priceLicenses(facts, line.licenses, date);
          const oracle = oracleCharge({
            ...line,
            remainingDays: price.term.daysRemaining,
            termDays: price.term.days,
          });
          expect([price.dueNow, price.tax, price.total].map(({ amount }) => BigInt(amount))).toEqual([
            oracle.dueNow,
            oracle.tax,
            oracle.total,
          ]);
          expect(price.licensesAfter).toBe(purchased + line.licenses);
          expect(price.renewsAt).toEqual({
            date: price.term.renewalDate,
            licenses: price.licensesAfter,
            ...recurringCharge({ unitPrice, licenses: price.licensesAfter, taxRate: line.taxRate }),
          });
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("licensesAtRenewal", () => {
  test("includes purchased licenses in the next term, whether a reduction was scheduled before or is raised by them", () => {
    fc.assert(
      fc.property(fc.nat(100), fc.nat(100), fc.nat(100), fc.nat(50), (used, free, kept, bought) => {
        const reduction = used + Math.min(kept, free);
        const before = { purchased: used + free, used, reduction };
        const after = { purchased: used + free + bought, used, reduction: reduction + bought };
        expect(licensesAtRenewal(before, bought)).toBe(licensesAtRenewal(after));
        expect(licensesAtRenewal(after)).toBeGreaterThanOrEqual(used);
        expect(licensesAtRenewal(after)).toBeLessThanOrEqual(after.purchased);
      }),
    );
  });

  test("is shown by a quote, which adds to the current count", () => {
    const price = priceLicenses(subscription(yearly, "2026-11-22", { reduction: 23 }), 5, "2026-11-22");
    expect(price).toMatchObject({ licensesAfter: 30, dueNow: gbp(20342) });
    expect(price.renewsAt).toMatchObject({ licenses: 28, subtotal: gbp(420000), total: gbp(504000) });
  });
});

describe("minLicensesFor", () => {
  test.each([
    [30, 10_000, (licenses: number) => licenses, 30],
    [30, 10_000, () => 30, 1],
    [30, 20, (licenses: number) => licenses, null],
    [0, 10, () => 0, 1],
    [1, 1, () => 1, 1],
    [1, 1, () => 0, null],
  ])("a minimum of %d within %d licenses", (minimum, limit, totalOf, fewest) => {
    expect(minLicensesFor(minimum, limit, totalOf)).toBe(fewest);
  });

  test("agrees with trying every number", () => {
    fc.assert(
      fc.property(anyLine, fc.integer({ min: 1, max: 60 }), fc.nat(200), (line, limit, minimum) => {
        const small = { ...line, unitPrice: line.unitPrice % 100 };
        const totalOf = (licenses: number) => Number(oracleCharge({ ...small, licenses }).total);
        const counts = Array.from({ length: limit }, (_, index) => index + 1);
        const bruteForce = counts.find((licenses) => totalOf(licenses) >= minimum) ?? null;
        expect(minLicensesFor(minimum, limit, totalOf)).toBe(bruteForce);
      }),
      { numRuns: 1000 },
    );
  });
});
