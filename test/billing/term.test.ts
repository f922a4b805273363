import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addDays } from "../../src/billing/calendar.ts";
import { type TermRule, termAt, termIndexOn, termOnDate } from "../../src/billing/term.ts";
import { anyDate, lateDate } from "../support/arbitraries.ts";
import { dayNumber } from "../support/oracle.ts";

function boundaries(rule: TermRule, count: number): string[] {
  return Array.from({ length: count }, (_, index) => termAt(rule, index).start);
}

function termOn(rule: TermRule, date: string) {
  return termOnDate(termAt(rule, termIndexOn(rule, date)), date);
}

/** From the latest anchor to the last year that a date can be written in. */
const YEARS_LEFT = 9998 - 2060;

const anyRule: fc.Arbitrary<TermRule> = fc.record({
  anchorDate: fc.oneof(anyDate(2000, 2060), lateDate(2000, 2060), fc.constantFrom("2028-02-29", "2026-01-31")),
  interval: fc.constantFrom("month", "year"),
  intervalCount: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 120 })),
});

/** A rule and the number of one of its terms; every date stays below year 9999. */
function anyTerm(lastIndex: number): fc.Arbitrary<[TermRule, number]> {
  return anyRule.chain((rule) => {
    const years = rule.intervalCount / (rule.interval === "year" ? 1 : 12);
    const last = Math.min(lastIndex, Math.floor(YEARS_LEFT / years) - 1);
    return fc.tuple(fc.constant(rule), fc.integer({ min: 0, max: last }));
  });
}

describe("boundaries", () => {
  test("monthly from 2026-01-31", () => {
    expect(boundaries({ anchorDate: "2026-01-31", interval: "month", intervalCount: 1 }, 14)).toEqual([
      "2026-01-31",
      "2026-02-28",
      "2026-03-31",
      "2026-04-30",
      "2026-05-31",
      "2026-06-30",
      "2026-07-31",
      "2026-08-31",
      "2026-09-30",
      "2026-10-31",
      "2026-11-30",
      "2026-12-31",
      "2027-01-31",
      "2027-02-28",
    ]);
  });

  test("yearly from 2028-02-29", () => {
    expect(boundaries({ anchorDate: "2028-02-29", interval: "year", intervalCount: 1 }, 5)).toEqual([
      "2028-02-29",
      "2029-02-28",
      "2030-02-28",
      "2031-02-28",
      "2032-02-29",
    ]);
  });

  test("every three months from 2026-11-30", () => {
    expect(boundaries({ anchorDate: "2026-11-30", interval: "month", intervalCount: 3 }, 5)).toEqual([
      "2026-11-30",
      "2027-02-28",
      "2027-05-30",
      "2027-08-30",
      "2027-11-30",
    ]);
  });
});

describe("the term that contains a date", () => {
  const yearly: TermRule = { anchorDate: "2026-03-01", interval: "year", intervalCount: 1 };
  const leap: TermRule = { anchorDate: "2028-02-29", interval: "year", intervalCount: 1 };

  test.each([
    [yearly, "2026-03-01", { start: "2026-03-01", renewalDate: "2027-03-01", days: 365, daysRemaining: 365 }],
    [yearly, "2026-11-22", { start: "2026-03-01", renewalDate: "2027-03-01", days: 365, daysRemaining: 99 }],
    [yearly, "2027-02-28", { start: "2026-03-01", renewalDate: "2027-03-01", days: 365, daysRemaining: 1 }],
    [yearly, "2027-03-01", { start: "2027-03-01", renewalDate: "2028-03-01", days: 366, daysRemaining: 366 }],
    [yearly, "2028-02-29", { start: "2027-03-01", renewalDate: "2028-03-01", days: 366, daysRemaining: 1 }],
    [leap, "2029-02-27", { start: "2028-02-29", renewalDate: "2029-02-28", days: 365, daysRemaining: 1 }],
    [leap, "2029-02-28", { start: "2029-02-28", renewalDate: "2030-02-28", days: 365, daysRemaining: 365 }],
    [leap, "2032-02-28", { start: "2031-02-28", renewalDate: "2032-02-29", days: 366, daysRemaining: 1 }],
    [leap, "2032-02-29", { start: "2032-02-29", renewalDate: "2033-02-28", days: 365, daysRemaining: 365 }],
  ])("%j on %s", (rule, date, term) => {
    expect(termOn(rule, date)).toEqual(term);
  });

  test("does not exist for a date before the anchor", () => {
    expect(() => termIndexOn(yearly, "2026-02-28")).toThrow(expect.objectContaining({ code: "invalid_date" }));
  });

  test("has no days left once it is over, never a negative number", () => {
    expect(termOnDate({ start: "2026-03-01", renewalDate: "2027-03-01" }, "2027-04-01").daysRemaining).toBe(0);
  });
});

describe("properties", () => {
  test("boundaries strictly increase, and a term ends where the next begins", () => {
    fc.assert(
      fc.property(anyTerm(200), ([rule, index]) => {
        const term = termAt(rule, index);
        expect(term.start < term.renewalDate).toBe(true);
        expect(termAt(rule, index + 1).start).toBe(term.renewalDate);
      }),
      { numRuns: 500 },
    );
  });

  test("every date from the anchor on is in exactly the term with its index", () => {
    fc.assert(
      fc.property(anyRule, fc.integer({ min: 0, max: 20_000 }), (rule, days) => {
        const date = addDays(rule.anchorDate, days);
        const index = termIndexOn(rule, date);
        const term = termAt(rule, index);
        expect(term.start <= date && date < term.renewalDate).toBe(true);
        if (index > 0) expect(termAt(rule, index - 1).renewalDate <= date).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test("the days left run from the whole term on its first day to 1 on its last", () => {
    fc.assert(
      fc.property(anyTerm(50), ([rule, index]) => {
        const { start, renewalDate } = termAt(rule, index);
        const first = termOn(rule, start);
        const last = termOn(rule, addDays(renewalDate, -1));
        expect(first.days).toBe(dayNumber(renewalDate) - dayNumber(start));
        expect(first.daysRemaining).toBe(first.days);
        expect(last).toEqual({ ...first, daysRemaining: 1 });
      }),
      { numRuns: 500 },
    );
  });
});
