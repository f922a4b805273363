import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addMonths, countMonths, firstDayOf, isCalendarMonth, monthOf } from "../../src/billing/months.ts";
import { countsAtEnds, runwayOf, unusedLicenses } from "../../src/billing/report.ts";
import { anyDate } from "../support/arbitraries.ts";
import { oracleBoundary } from "../support/oracle.ts";

describe("months", () => {
  test.each([
    ["2026-11", true],
    ["1000-01", true],
    ["2026-00", false],
    ["2026-13", false],
    ["0999-12", false],
    ["2026-1", false],
    ["2026-11-22", false],
    ["", false],
  ])("%j is a month: %s", (text, expected) => {
    expect(isCalendarMonth(text)).toBe(expected);
  });

  test("are added as the months of dates are, in both directions", () => {
    fc.assert(
      fc.property(anyDate(1500, 2500), fc.integer({ min: -3000, max: 3000 }), (date, count) => {
        const month = monthOf(date);
        expect(addMonths(month, count)).toBe(oracleBoundary(date, count).slice(0, 7));
        expect(firstDayOf(month)).toBe(`${date.slice(0, 8)}01`);
        expect(countMonths(month, addMonths(month, count))).toBe(count + 1);
      }),
    );
  });
});

describe("runwayOf", () => {
  test.each([
    // available, added in net, days, users per day
    [3, 1, 270, 0.0111],
    [3, 2, 135, 0.0222],
    [2, 7, 25, 0.0778],
    [10, 90, 10, 1],
    [10, 91, 9, 1.0111],
    [1, 91, 0, 1.0111],
    [0, 1, 0, 0.0111],
    [-1, 5, 0, 0.0556],
  ])("%d available licenses and %d users added last %d days, at %d a day", (available, added, days, usersPerDay) => {
    expect(runwayOf(available, added)).toEqual({ days, usersPerDay, basisDays: 90 });
  });

  test.each([[0], [-3], [null]])("is unknown, or without an end, if %s users were added in net", (added) => {
    expect(runwayOf(3, added)).toBeNull();
  });
});

describe("unusedLicenses", () => {
  const subscription = {
    unitPrice: { amount: 15_000, currency: "GBP" },
    taxRate: "20",
    purchased: 25,
    used: 22,
    reduction: null,
    autoRenew: true,
  };

  test.each([
    ["what nobody uses is renewed, with tax", {}, { licenses: 3, amount: 54_000 }],
    ["nothing is available", { used: 25 }, { licenses: 0, amount: 0 }],
    ["a reduction takes all of it away", { reduction: 22 }, { licenses: 3, amount: 0 }],
    ["a reduction takes some of it away", { reduction: 24 }, { licenses: 3, amount: 36_000 }],
    ["more are used than are purchased", { used: 30 }, { licenses: 0, amount: 0 }],
    ["more are used than a reduction leaves", { reduction: 20 }, { licenses: 3, amount: 0 }],
    ["tax is rounded on each total", { taxRate: "8.875", unitPrice: { amount: 999, currency: "GBP" } }, null],
  ])("%s", (_, changes, expected) => {
    const unused = unusedLicenses({ ...subscription, ...changes }, 1);
    // 25 × 9.99 = 249.75 and tax 22.17; 22 × 9.99 = 219.78 and tax 19.51.
    const { licenses, amount } = expected ?? { licenses: 3, amount: 24_975 + 2_217 - (21_978 + 1_951) };
    expect(unused).toEqual({ licenses, renewalTotal: { amount, currency: "GBP" } });
  });

  test("there are none to save without a renewal", () => {
    expect(unusedLicenses({ ...subscription, autoRenew: false }, 1)).toBeNull();
  });
});

describe("countsAtEnds", () => {
  test.each([
    [[], []],
    [[0], [5]],
    [
      [1, 2, -3],
      [6, 8, 5],
    ],
    [
      [1, null, 2, 0],
      [null, 3, 5, 5],
    ],
    [
      [1, 2, null],
      [null, null, 5],
    ],
  ])("changes of %j end at %j, the last at 5", (changes, ends) => {
    expect(countsAtEnds(5, changes)).toEqual(ends);
  });
});
