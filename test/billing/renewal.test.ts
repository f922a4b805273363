import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dateInZone, daysBetween, startOfDateInZone } from "../../src/billing/calendar.ts";
import { priceLicenses } from "../../src/billing/quote.ts";
import { gracePeriodEnd, nextRetryAt, priceRenewal, renewalDueAt, renewalReminder } from "../../src/billing/renewal.ts";
import { type TermRule, termAt } from "../../src/billing/term.ts";
import { anyDate, anyLine, lateDate } from "../support/arbitraries.ts";
import { oracleBoundary, oracleCharge } from "../support/oracle.ts";

const monthly: TermRule = { anchorDate: "2026-01-31", interval: "month", intervalCount: 1 };
const leapDay: TermRule = { anchorDate: "2028-02-29", interval: "year", intervalCount: 1 };
const gbp = (amount: number) => ({ amount, currency: "GBP" });
const iso = (instant: number | null) => (instant === null ? null : new Date(instant).toISOString());

describe("renewalDueAt", () => {
  test.each([
    [monthly, 0, "Europe/London", "2026-02-28T00:00:00.000Z"],
    [monthly, 2, "Europe/London", "2026-04-29T23:00:00.000Z"],
    [leapDay, 0, "America/New_York", "2029-02-28T05:00:00.000Z"],
    [leapDay, 3, "America/New_York", "2032-02-29T05:00:00.000Z"],
    [leapDay, 0, "Pacific/Tongatapu", "2029-02-27T11:00:00.000Z"],
  ])("the term after %j, %d, in %s falls due at %s", (rule, index, timeZone, instant) => {
    expect(iso(renewalDueAt(rule, index, timeZone))).toBe(instant);
  });

  test("is the first instant of the next term, for any anchor and zone", () => {
    const anyZone = fc.constantFrom("Europe/London", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu");
    const anyRule = fc.record({
      anchorDate: fc.oneof(anyDate(2020, 2040), lateDate(2020, 2040)),
      interval: fc.constantFrom("month" as const, "year" as const),
      intervalCount: fc.integer({ min: 1, max: 24 }),
    });
    fc.assert(
      fc.property(anyRule, fc.nat(30), anyZone, (rule, index, timeZone) => {
        const months = (index + 1) * rule.intervalCount * (rule.interval === "year" ? 12 : 1);
        const date = oracleBoundary(rule.anchorDate, months);
        const due = renewalDueAt(rule, index, timeZone);
        expect(dateInZone(due, timeZone)).toBe(date);
        expect(dateInZone(due - 1, timeZone) < date).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe("priceRenewal", () => {
  const facts = { unitPrice: gbp(15000), taxRate: "20", term: termAt(monthly, 1), purchased: 30, used: 22 };

  test("charges every license for the whole term", () => {
    const charge = { tax: gbp(90000), total: gbp(540000) };
    expect(priceRenewal({ ...facts, reduction: null }, 1)).toEqual({
      licenses: 30,
      unitPrice: gbp(15000),
      purchaseDate: "2026-02-28",
      term: { start: "2026-02-28", renewalDate: "2026-03-31", days: 31, daysRemaining: 31 },
      dueNow: gbp(450000),
      taxRate: "20",
      ...charge,
      licensesAfter: 30,
      renewsAt: { date: "2026-03-31", licenses: 30, subtotal: gbp(450000), ...charge },
    });
  });

  test("charges fewer licenses after a reduction, and none is free", () => {
    expect(priceRenewal({ ...facts, reduction: 23 }, 1)).toMatchObject({ licenses: 23, total: gbp(414000) });
    expect(priceRenewal({ ...facts, reduction: 0 }, 1)).toMatchObject({ licenses: 22, total: gbp(396000) });
    expect(priceRenewal({ ...facts, used: 0, reduction: 0 }, 1)).toMatchObject({ licenses: 0, total: gbp(0) });
  });

  test("rounds to the provider's step", () => {
    const dinars = { unitPrice: { amount: 1_234, currency: "KWD" }, taxRate: "5" };
    const { dueNow, tax, total } = priceRenewal({ ...facts, ...dinars, purchased: 3, reduction: null }, 10);
    expect([dueNow.amount, tax.amount, total.amount]).toEqual([3_700, 190, 3_890]);
  });

  test("is exact, and matches the renewal price of every quote in the old term", () => {
    fc.assert(
      fc.property(anyLine, fc.nat(1_000), fc.option(fc.nat(1_000)), ({ currency, ...line }, purchased, scheduled) => {
        const reduction = scheduled === null ? null : Math.min(scheduled, purchased);
        const unitPrice = { amount: line.unitPrice, currency };
        const before = { ...facts, unitPrice, taxRate: line.taxRate, purchased, used: 0, autoRenew: true };
        const quote = priceLicenses({ ...before, reduction }, line.licenses, "2026-03-10");
        const { licenses } = line;
        const after = {
          ...before,
          term: termAt(monthly, 2),
          purchased: purchased + licenses,
          reduction: reduction === null ? null : reduction + licenses,
        };
        const renewal = priceRenewal(after, 1);
        expect(quote.renewsAt).toMatchObject({
          date: renewal.term.start,
          licenses: renewal.licenses,
          subtotal: renewal.dueNow,
          tax: renewal.tax,
          total: renewal.total,
        });
        const oracle = oracleCharge({ ...line, licenses: renewal.licenses, remainingDays: 1, termDays: 1 });
        expect([renewal.dueNow, renewal.tax, renewal.total].map(({ amount }) => BigInt(amount))).toEqual([
          oracle.dueNow,
          oracle.tax,
          oracle.total,
        ]);
      }),
      { numRuns: 500 },
    );
  });
});

test.each([
  ["2027-03-01", 14, "Europe/London", "2027-03-15T00:00:00.000Z"],
  ["2027-03-20", 14, "Europe/London", "2027-04-02T23:00:00.000Z"],
  ["2027-03-01", 0, "Europe/London", "2027-03-01T00:00:00.000Z"],
])("the grace period of %s and %d days in %s ends at %s", (date, days, timeZone, instant) => {
  expect(iso(gracePeriodEnd(date, days, timeZone))).toBe(instant);
});

test.each([
  ["2027-03-01T00:00:00Z", "2027-03-02T00:00:00.000Z"],
  ["2027-03-01T23:59:59Z", "2027-03-02T00:00:00.000Z"],
  ["2027-03-02T00:00:00Z", "2027-03-04T00:00:00.000Z"],
  ["2027-03-05T08:00:00Z", "2027-03-08T00:00:00.000Z"],
  ["2027-03-08T00:00:00Z", null],
  ["2028-01-01T00:00:00Z", null],
])("a renewal made on 2027-03-01 that failed by %s is retried at %s", (now, instant) => {
  const madeAt = Date.parse("2027-03-01T00:00:00Z");
  expect(iso(nextRetryAt(madeAt, Date.parse(now), "Europe/London"))).toBe(instant);
});

describe("renewalReminder", () => {
  test.each([
    ["before all", "2027-01-01T00:00:00Z", "2027-01-29T23:59:59.999Z", null, "2027-01-30T00:00:00.000Z"],
    ["the first", "2027-01-30T00:00:00Z", "2027-01-30T00:00:00Z", 30, "2027-02-22T00:00:00.000Z"],
    ["the first, late", "2027-01-30T00:00:00Z", "2027-02-21T23:59:59Z", 30, "2027-02-22T00:00:00.000Z"],
    ["after the first", "2027-02-22T00:00:00Z", "2027-02-21T23:59:59Z", null, "2027-02-22T00:00:00.000Z"],
    ["two at once", "2027-01-30T00:00:00Z", "2027-02-22T00:00:00Z", 7, "2027-02-28T00:00:00.000Z"],
    ["all at once", "2026-03-01T00:00:00Z", "2027-02-28T23:59:59Z", 1, "2027-03-01T00:00:00.000Z"],
    ["after all", "2027-03-01T00:00:00Z", "2027-02-28T23:59:59Z", null, "2027-03-01T00:00:00.000Z"],
  ])("%s", (_case, since, now, days, nextAt) => {
    const reminder = renewalReminder("2027-03-01", "Europe/London", { since: Date.parse(since), now: Date.parse(now) });
    expect([reminder.days, iso(reminder.nextAt)]).toEqual([days, nextAt]);
  });

  test("each comes at most once and in order, whenever it is looked for, and the last that was due is never left out", () => {
    const anyZone = fc.constantFrom("Europe/London", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu");
    fc.assert(
      fc.property(
        anyDate(2020, 2040),
        anyZone,
        fc.array(fc.nat(60 * 24), { maxLength: 20 }),
        (date, timeZone, hours) => {
          const end = startOfDateInZone(date, timeZone);
          let since = end - 61 * 24 * 3_600_000;
          const sent: number[] = [];
          for (const hour of hours.sort((one, other) => other - one)) {
            const now = end - 1 - hour * 3_600_000;
            if (now < since) continue;
            const { days, nextAt } = renewalReminder(date, timeZone, { since, now });
            expect(nextAt).toBeGreaterThan(now);
            since = nextAt;
            const left = daysBetween(dateInZone(now, timeZone), date);
            const due = [1, 7, 30].find((each) => left <= each) ?? null;
            if (days !== null) sent.push(days);
            expect(sent.at(-1) ?? null).toBe(due);
          }
          expect(sent).toEqual([...new Set(sent)].sort((one, other) => other - one));
        },
      ),
    );
  });
});
