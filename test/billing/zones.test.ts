import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addDays, addDaysInZone, dateInZone, endOfDateInZone, startOfDateInZone } from "../../src/billing/calendar.ts";
import { quoteExpiry } from "../../src/billing/quote.ts";
import { calendarDate } from "../support/oracle.ts";

const zones = Intl.supportedValuesOf("timeZone");
const DAY_MS = 86_400_000;
const years = { min: Date.parse("2024-01-01T00:00:00Z"), max: Date.parse("2034-01-01T00:00:00Z") };
const anyInstant = fc.integer(years);
const anyZone = fc.constantFrom(...zones);

/** The wall clock's date in a zone, taken from the zone's offset rather than from the date's own parts. */
const offsets = new Map<string, Intl.DateTimeFormat>();
function oracleDate(instant: number, timeZone: string): string {
  let format = offsets.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" });
    offsets.set(timeZone, format);
  }
  const name = format.formatToParts(instant).find(({ type }) => type === "timeZoneName")?.value ?? "";
  const [, sign = "+", hours = "0", minutes = "0", seconds = "0"] =
    /GMT(?:([+-])(\d+):(\d+)(?::(\d+))?)?/.exec(name) ?? [];
  const offset = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
  const local = new Date(instant + (sign === "-" ? -offset : offset));
  return calendarDate(local.getUTCFullYear(), local.getUTCMonth() + 1, local.getUTCDate());
}

describe("dateInZone", () => {
  test.each([
    ["2026-11-22T00:30:00Z", "Europe/London", "2026-11-22"],
    ["2026-11-22T00:30:00Z", "America/New_York", "2026-11-21"],
    ["2026-11-22T10:30:00Z", "Pacific/Kiritimati", "2026-11-23"],
    ["2026-11-22T11:30:00Z", "Pacific/Pago_Pago", "2026-11-22"],
    ["2026-11-22T10:30:00Z", "Pacific/Pago_Pago", "2026-11-21"],
    ["2026-06-30T22:59:59.999Z", "Europe/London", "2026-06-30"],
    ["2026-06-30T23:00:00Z", "Europe/London", "2026-07-01"],
    ["2026-11-21T18:14:59Z", "Asia/Kathmandu", "2026-11-21"],
    ["2026-11-21T18:15:00Z", "Asia/Kathmandu", "2026-11-22"],
    ["0999-06-01T12:00:00Z", "UTC", "0999-06-01"],
  ])("%s in %s is %s", (instant, timeZone, date) => {
    expect(dateInZone(Date.parse(instant), timeZone)).toBe(date);
  });

  test("throws for an unknown zone", () => {
    expect(() => dateInZone(0, "Mars/Olympus")).toThrow(expect.objectContaining({ code: "invalid_date" }));
  });

  test("agrees with the zone's offset", () => {
    fc.assert(
      fc.property(anyInstant, anyZone, (instant, timeZone) => {
        expect(dateInZone(instant, timeZone)).toBe(oracleDate(instant, timeZone));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("startOfDateInZone", () => {
  test.each([
    ["2026-11-22", "UTC", "2026-11-22T00:00:00.000Z"],
    ["2026-07-01", "Europe/London", "2026-06-30T23:00:00.000Z"],
    ["2026-11-22", "America/New_York", "2026-11-22T05:00:00.000Z"],
    ["2026-11-22", "Pacific/Kiritimati", "2026-11-21T10:00:00.000Z"],
    ["2026-11-22", "Pacific/Pago_Pago", "2026-11-22T11:00:00.000Z"],
    // Midnight is skipped: the day begins at 01:00.
    ["2026-03-29", "Asia/Beirut", "2026-03-28T22:00:00.000Z"],
    ["2026-09-06", "America/Santiago", "2026-09-06T04:00:00.000Z"],
  ])("%s in %s is %s", (date, timeZone, instant) => {
    expect(new Date(startOfDateInZone(date, timeZone)).toISOString()).toBe(instant);
  });

  test.each(zones)("%s: the millisecond before belongs to the day before, on both sides of midnight", (timeZone) => {
    const dates = ["2026-01-01", "2026-03-29", "2026-07-01", "2026-10-25", "2026-12-31", "2028-02-29", "2028-03-01"];
    for (const date of dates) {
      const start = startOfDateInZone(date, timeZone);
      const sides = [start - 1, start, start + 1].map((instant) => dateInZone(instant, timeZone));
      expect(sides).toEqual([addDays(date, -1), date, date]);
      expect(sides).toEqual([start - 1, start, start + 1].map((instant) => oracleDate(instant, timeZone)));
    }
  });

  test("is the first instant of any date in any zone, at most 25 hours before that of the next date", () => {
    fc.assert(
      fc.property(anyInstant, anyZone, (instant, timeZone) => {
        const date = dateInZone(instant, timeZone);
        const start = startOfDateInZone(date, timeZone);
        const next = startOfDateInZone(addDays(date, 1), timeZone);
        expect(start <= instant && instant < next).toBe(true);
        expect(next - start).toBeLessThanOrEqual(DAY_MS + DAY_MS / 24);
        expect(next - start).toBeGreaterThanOrEqual(DAY_MS - DAY_MS / 24);
      }),
      { numRuns: 500 },
    );
  });
});

describe("endOfDateInZone", () => {
  test.each([
    ["2026-06-30", "Europe/London", "2026-06-30T23:00:00.000Z"],
    ["2026-09-05", "America/Santiago", "2026-09-06T04:00:00.000Z"],
    ["9999-12-30", "UTC", "9999-12-31T00:00:00.000Z"],
  ])("%s in %s is %s", (date, timeZone, instant) => {
    expect(new Date(endOfDateInZone(date, timeZone)).toISOString()).toBe(instant);
  });

  test("never ends for the last representable date", () => {
    expect(endOfDateInZone("9999-12-31", "UTC")).toBe(Number.MAX_SAFE_INTEGER);
  });
});

describe("quoteExpiry", () => {
  test.each([
    ["2026-11-22T12:00:00Z", "2026-11-22", "Europe/London", "2026-11-22T12:30:00.000Z"],
    ["2026-11-22T23:30:00Z", "2026-11-22", "Europe/London", "2026-11-23T00:00:00.000Z"],
    ["2026-11-22T23:45:00Z", "2026-11-22", "Europe/London", "2026-11-23T00:00:00.000Z"],
    ["2026-11-22T23:29:59Z", "2026-11-22", "Europe/London", "2026-11-22T23:59:59.000Z"],
    ["2026-11-23T04:45:00Z", "2026-11-22", "America/New_York", "2026-11-23T05:00:00.000Z"],
  ])("a quote made %s for %s in %s expires %s", (createdAt, date, timeZone, expiresAt) => {
    expect(new Date(quoteExpiry(Date.parse(createdAt), date, timeZone)).toISOString()).toBe(expiresAt);
  });

  test("is after the quote, within 30 minutes, and never after the end of the purchase date, in any zone", () => {
    fc.assert(
      fc.property(anyInstant, anyZone, (createdAt, timeZone) => {
        const date = dateInZone(createdAt, timeZone);
        const expiresAt = quoteExpiry(createdAt, date, timeZone);
        expect(expiresAt).toBeGreaterThan(createdAt);
        expect(expiresAt - createdAt).toBeLessThanOrEqual(30 * 60_000);
        expect(dateInZone(expiresAt - 1, timeZone)).toBe(date);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("addDaysInZone", () => {
  test.each([
    ["2027-03-27T23:30:00Z", 1, "Europe/London", "2027-03-28T22:59:59.999Z"],
    ["2027-03-27T00:00:00Z", 2, "Europe/London", "2027-03-28T23:00:00.000Z"],
    ["2026-11-22T12:00:00Z", 100, "Europe/London", "2027-03-02T12:00:00.000Z"],
    ["2026-10-31T04:00:00Z", 3, "America/New_York", "2026-11-03T05:00:00.000Z"],
  ])("%s plus %d days in %s is %s: the same time of day, even across a clock change", (from, days, zone, to) => {
    expect(new Date(addDaysInZone(Date.parse(from), days, zone)).toISOString()).toBe(to);
  });
});
