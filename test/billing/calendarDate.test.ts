import { describe, expect, test } from "vitest";
import { isCalendarDate } from "../../src/billing/calendarDate.ts";

describe("isCalendarDate", () => {
  test.each([
    ["2026-11-22", true],
    ["2028-02-29", true],
    ["2000-02-29", true],
    ["2026-02-29", false],
    ["2100-02-29", false],
    ["2026-04-31", false],
    ["2026-13-01", false],
    ["2026-00-10", false],
    ["2026-01-00", false],
    ["2026-1-1", false],
    ["26-01-01", false],
    ["2026-01-01T00:00:00Z", false],
    [" 2026-01-01", false],
    ["2026-01-01\n", false],
    ["0100-01-01", true],
    ["0099-12-31", false],
    ["0000-02-29", false],
    ["+02026-01-01", false],
    ["+012026-01-01", false],
    ["-002026-01-01", false],
    ["", false],
  ])("%j: %s", (text, exists) => {
    expect(isCalendarDate(text)).toBe(exists);
  });
});
