import dayjs from "dayjs";
import utc from "dayjs/plugin/utc.js";
import { BillingError } from "./errors.ts";

dayjs.extend(utc);

/** A calendar date without a time or a zone, `YYYY-MM-DD`. Two of them compare as strings. */
export type CalendarDate = string;

/** The length of an interval; a term is one of them times a count. */
export type Interval = "month" | "year";

const DAY_MS = 86_400_000;
/** The last date that is written with four digits of the year. */
const LAST_DATE = "9999-12-31";
const formatters = new Map<string, Intl.DateTimeFormat>();

/** Whether the text names a time zone of the IANA database. */
export function isTimeZone(name: string): boolean {
  try {
    formatterOf(name);
    return true;
  } catch {
    return false;
  }
}

/** Days from `from` (counted) to `to` (not counted); negative when `to` is earlier. */
export function daysBetween(from: CalendarDate, to: CalendarDate): number {
  return dayjs.utc(to).diff(dayjs.utc(from), "day");
}

/** The date so many days later, or earlier when negative. */
export function addDays(date: CalendarDate, days: number): CalendarDate {
  return dayjs.utc(date).add(days, "day").format("YYYY-MM-DD");
}

/** `anchor` + `count` intervals, its day clamped to the month's last day (billing-rules.md, Dates). */
export function addIntervals(anchor: CalendarDate, interval: Interval, count: number): CalendarDate {
  return dayjs.utc(anchor).add(count, interval).format("YYYY-MM-DD");
}

/**
 * The calendar date that an instant has in a time zone.
 *
 * @param instant milliseconds since the epoch
 * @param timeZone an IANA name
 */
export function dateInZone(instant: number, timeZone: string): CalendarDate {
  const parts = Object.fromEntries(
    formatterOf(timeZone)
      .formatToParts(instant)
      .map(({ type, value }) => [type, value]),
  );
  return `${parts.year?.padStart(4, "0")}-${parts.month}-${parts.day}`;
}

/**
 * The first instant of a calendar date in a time zone, in milliseconds since the epoch. Searched for rather than
 * computed from an offset, because in some zones midnight is skipped when daylight saving begins.
 */
export function startOfDateInZone(date: CalendarDate, timeZone: string): number {
  const middle = Date.parse(`${date}T00:00:00Z`);
  let before = middle - DAY_MS;
  let after = middle + DAY_MS;
  while (after - before > 1) {
    const probe = Math.floor((before + after) / 2);
    if (dateInZone(probe, timeZone) < date) before = probe;
    else after = probe;
  }
  return after;
}

/** The first instant after a calendar date in a time zone, in milliseconds since the epoch. */
export function endOfDateInZone(date: CalendarDate, timeZone: string): number {
  return date === LAST_DATE ? Number.MAX_SAFE_INTEGER : startOfDateInZone(addDays(date, 1), timeZone);
}

/**
 * As long after midnight so many calendar days later, whatever daylight saving does in between; never on the day after.
 *
 * @param instant milliseconds since the epoch
 */
export function daysLater(instant: number, days: number, timeZone: string): number {
  const date = dateInZone(instant, timeZone);
  const target = addDays(date, days);
  const sameTime = startOfDateInZone(target, timeZone) + (instant - startOfDateInZone(date, timeZone));
  return Math.min(sameTime, endOfDateInZone(target, timeZone) - 1);
}

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  let formatter = formatters.get(timeZone);
  if (!formatter) {
    try {
      formatter = new Intl.DateTimeFormat("en-US", {
        timeZone,
        calendar: "gregory",
        numberingSystem: "latn",
        year: "numeric",
        month: "2-digit",
        day: "2-digit",
      });
    } catch {
      throw new BillingError("invalid_date", `"${timeZone}" is not a time zone of the IANA database`);
    }
    formatters.set(timeZone, formatter);
  }
  return formatter;
}
