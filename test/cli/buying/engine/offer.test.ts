import { describe, expect, it } from "vitest";
import { purchaseDateOf, verifyQuote } from "../../../../src/cli/buying/engine/offer.ts";
import type { Quote } from "../../../../src/contract/billing.ts";
import { quote, subscription } from "../../support/builders.ts";

const more = (money: { amount: number; currency: string }) => ({ ...money, amount: money.amount + 1 });

const good = quote(5);

const renewsAt = good.renewsAt as NonNullable<Quote["renewsAt"]>;

const LIES: [field: string, change: Partial<Quote>][] = [
  ["licenses", { licenses: 6 }],
  ["unitPrice", { unitPrice: more(good.unitPrice) }],
  ["purchaseDate", { purchaseDate: "2026-11-23" }],
  ["term.start", { term: { ...good.term, start: "2026-03-02" } }],
  ["term.renewalDate", { term: { ...good.term, renewalDate: "2027-03-02" } }],
  ["term.days", { term: { ...good.term, days: 366 } }],
  ["term.daysRemaining", { term: { ...good.term, daysRemaining: 100 } }],
  ["dueNow", { dueNow: more(good.dueNow) }],
  ["taxRate", { taxRate: "21" }],
  ["tax", { tax: more(good.tax) }],
  ["total", { total: more(good.total) }],
  ["total", { total: { ...good.total, currency: "USD" } }],
  ["licensesAfter", { licensesAfter: 31 }],
  ["renewsAt.date", { renewsAt: { ...renewsAt, date: "2027-03-02" } }],
  ["renewsAt.licenses", { renewsAt: { ...renewsAt, licenses: 31 } }],
  ["renewsAt.subtotal", { renewsAt: { ...renewsAt, subtotal: more(renewsAt.subtotal) } }],
  ["renewsAt.tax", { renewsAt: { ...renewsAt, tax: more(renewsAt.tax) } }],
  ["renewsAt.total", { renewsAt: { ...renewsAt, total: more(renewsAt.total) } }],
  ["chargeStep", { chargeStep: 100 }],
];

describe("verifyQuote", () => {
  it("accepts a correct quote", () => {
    expect(verifyQuote(subscription(), good, 5)).toEqual([]);
  });

  it("computes the days from the quote's own instant in the billing zone, and trusts no other", () => {
    const picture = subscription();
    const term = { ...picture.term, daysRemaining: 365 };
    const lie = {
      ...good,
      purchaseDate: "2026-03-01",
      term: { ...good.term, daysRemaining: 365 },
      dueNow: { amount: 75_000, currency: "GBP" },
      tax: { amount: 15_000, currency: "GBP" },
      total: { amount: 90_000, currency: "GBP" },
    };
    const fields = verifyQuote({ ...picture, term }, lie, 5).map(({ field }) => field);
    expect(fields).toEqual(["purchaseDate", "term.daysRemaining", "dueNow", "tax", "total"]);
  });

  it.each(LIES)("finds a wrong %s", (field, change) => {
    expect(verifyQuote(subscription(), { ...good, ...change }, 5)).toMatchObject([{ field }]);
  });

  it("finds a missing renewal, and an unexpected one", () => {
    const fields = verifyQuote(subscription(), { ...good, renewsAt: null }, 5).map(({ field }) => field);
    expect(fields).toContain("renewsAt.total");
    const ending = subscription({ renewal: { ...subscription().renewal, autoRenew: false } });
    expect(verifyQuote(ending, good, 5).length).toBeGreaterThan(0);
  });

  it("computes the renewal after a scheduled reduction, raised by the purchase, never below the licenses in use", () => {
    for (const [scheduled, renewed] of [
      [23, 28],
      [15, 22],
    ] as const) {
      const reduced = subscription({ reduction: { licenses: scheduled, date: "2027-03-01" } });
      const offered = quote(5, {}, reduced);
      expect(offered.renewsAt?.licenses).toBe(renewed);
      expect(verifyQuote(reduced, offered, 5)).toEqual([]);
      expect(verifyQuote(reduced, good, 5).map(({ field }) => field)).toContain("renewsAt.licenses");
    }
  });

  it("finds a quote for another number of licenses than requested", () => {
    expect(verifyQuote(subscription(), quote(6), 5).map(({ field }) => field)).toContain("licenses");
  });

  it("computes from the subscription, not from the quote", () => {
    const dearer = subscription({ plan: { ...subscription().plan, unitPrice: { amount: 20000, currency: "GBP" } } });
    expect(verifyQuote(dearer, good, 5).map(({ field }) => field)).toEqual(
      expect.arrayContaining(["unitPrice", "dueNow", "tax", "total", "renewsAt.total"]),
    );
  });

  it("reports incomputable amounts as a difference instead of crashing", () => {
    const huge = subscription({
      plan: { ...subscription().plan, unitPrice: { amount: Number.MAX_SAFE_INTEGER, currency: "GBP" } },
    });
    expect(verifyQuote(huge, good, 5)).toMatchObject([{ field: "total" }]);
  });

  it("derives the purchase date from the days left", () => {
    expect(purchaseDateOf(subscription())).toBe("2026-11-22");
  });
});
