import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addDays, addIntervals, daysBetween, isTimeZone } from "../../src/billing/calendar.ts";
import { anyDate, lateDate } from "../support/arbitraries.ts";
import { dayNumber, isLeapYear, oracleBoundary } from "../support/oracle.ts";

describe("isTimeZone", () => {
  test.each([
    ["Europe/London", true],
    ["Asia/Kathmandu", true],
    ["UTC", true],
    ["Mars/Olympus", false],
    ["", false],
    ["Europe/London\u001b[31m", false],
  ])("%j: %s", (name, known) => {
    expect(isTimeZone(name)).toBe(known);
  });
});

describe("days", () => {
  test.each([
    ["2026-11-22", "2027-03-01", 99],
    ["2026-03-01", "2027-03-01", 365],
    ["2027-03-01", "2028-03-01", 366],
    ["2028-02-29", "2028-03-01", 1],
    ["2026-02-14", "2026-02-28", 14],
    ["2026-12-01", "2027-06-15", 196],
    ["2026-03-28", "2026-03-30", 2],
    ["2026-01-02", "2026-01-01", -1],
  ])("from %s to %s: %d", (from, to, days) => {
    expect(daysBetween(from, to)).toBe(days);
  });

  test("match the difference of day numbers, and can be added back", () => {
    fc.assert(
      fc.property(anyDate(), anyDate(), (from, to) => {
        const days = dayNumber(to) - dayNumber(from);
        expect(daysBetween(from, to)).toBe(days);
        expect(addDays(from, days)).toBe(to);
      }),
      { numRuns: 1000 },
    );
  });

  test("are 365 in a year, or 366 in a leap year", () => {
    for (let year = 1896; year <= 2404; year += 1) {
      expect(daysBetween(`${year}-01-01`, `${year + 1}-01-01`)).toBe(isLeapYear(year) ? 366 : 365);
    }
  });
});

describe("intervals are added to the anchor, with the day clamped", () => {
  test.each([
    ["2026-01-31", "month", [1, 2, 3], ["2026-02-28", "2026-03-31", "2026-04-30"]],
    ["2028-01-31", "month", [1, 2], ["2028-02-29", "2028-03-31"]],
    ["2026-10-31", "month", [1, 2, 4], ["2026-11-30", "2026-12-31", "2027-02-28"]],
    ["2028-02-29", "year", [1, 2, 3, 4, 72], ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29", "2100-02-28"]],
    ["2026-08-29", "month", [6, 18], ["2027-02-28", "2028-02-29"]],
  ] as const)("%s + %s × %j", (anchor, interval, counts, dates) => {
    expect(counts.map((count) => addIntervals(anchor, interval, count))).toEqual(dates);
  });

  test("agrees with month arithmetic, for every anchor", () => {
    fc.assert(
      fc.property(
        fc.oneof(anyDate(), lateDate()),
        fc.constantFrom("month", "year"),
        fc.integer({ min: 0, max: 480 }),
        (anchor, interval, count) => {
          const months = interval === "year" ? count * 12 : count;
          expect(addIntervals(anchor, interval, count)).toBe(oracleBoundary(anchor, months));
        },
      ),
      { numRuns: 1000 },
    );
  });
});
