import { describe, expect, test } from "vitest";
import { addMonths, countMonths, firstDayOf, isCalendarMonth, monthOf } from "../../src/billing/months.ts";

test.each([
  ["2026-01", true],
  ["2026-12", true],
  ["1000-01", true],
  ["0999-12", false],
  ["2026-00", false],
  ["2026-13", false],
  ["2026-1", false],
  ["2026-01-01", false],
  ["x2026-01", false],
])("%s is a month: %s", (text, isMonth) => {
  expect(isCalendarMonth(text)).toBe(isMonth);
});

describe("addMonths and countMonths", () => {
  test.each([
    ["2026-11", 0, "2026-11"],
    ["2026-11", 1, "2026-12"],
    ["2026-11", 2, "2027-01"],
    ["2026-12", 12, "2027-12"],
    ["2026-01", -1, "2025-12"],
    ["2026-11", -11, "2025-12"],
    ["2026-11", -120, "2016-11"],
  ])("%s and %d more is %s", (month, count, other) => {
    expect(addMonths(month, count)).toBe(other);
    expect(countMonths(month, other)).toBe(count + 1);
  });
});

test("a month of a date, and the first day of a month", () => {
  expect(monthOf("2026-11-22")).toBe("2026-11");
  expect(firstDayOf("2026-11")).toBe("2026-11-01");
});
