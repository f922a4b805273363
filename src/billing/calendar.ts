import dayjs from "dayjs";
import utc from "dayjs/plugin/utc.js";
import { BillingError } from "./errors.ts";

dayjs.extend(utc);

/** A calendar date without a time or a zone, `YYYY-MM-DD`. Dates compare as strings. */
export type CalendarDate = string;

/** The unit of a term's length. */
export type Interval = "month" | "year";

const DAY_MS = 86_400_000;

/** The last date whose year has four digits. */
const LAST_DATE = "9999-12-31";

const formatters = new Map<string, Intl.DateTimeFormat>();

/** Reports whether the name is a time zone of the IANA database. */
export function isTimeZone(name: string): boolean {
  try {
    formatterOf(name);
    return true;
  } catch {
    return false;
  }
}

/** Counts the days from `from` (included) to `to` (excluded); negative when `to` is earlier. */
export function daysBetween(from: CalendarDate, to: CalendarDate): number {
  return dayjs.utc(to).diff(dayjs.utc(from), "day");
}

/** Returns the date `days` later, or earlier when negative. */
export function addDays(date: CalendarDate, days: number): CalendarDate {
  return dayjs.utc(date).add(days, "day").format("YYYY-MM-DD");
}

/** Returns `anchor` + `count` intervals, the day clamped to the last of the month (README.md, Terms). */
export function addIntervals(anchor: CalendarDate, interval: Interval, count: number): CalendarDate {
  return dayjs.utc(anchor).add(count, interval).format("YYYY-MM-DD");
}

/**
 * Returns the calendar date of an instant in a time zone.
 *
 * @param instant milliseconds since the epoch
 * @param timeZone an IANA name
 * @throws BillingError `invalid_date` for an unknown time zone
 */
export function dateInZone(instant: number, timeZone: string): CalendarDate {
  // `en-US` writes 11/22/2026.
  const [month = "", day = "", year = ""] = formatterOf(timeZone).format(instant).split("/");
  return `${year.padStart(4, "0")}-${month}-${day}`;
}

/** The starts of dates that were searched lately, by date and zone. */
const starts = new Map<string, number>();

const MAX_STARTS = 10_000;

/** Returns the first instant of a calendar date in a time zone, in milliseconds since the epoch. */
export function startOfDateInZone(date: CalendarDate, timeZone: string): number {
  const key = `${date} ${timeZone}`;
  const known = starts.get(key);
  if (known !== undefined) return known;
  const start = findStart(date, timeZone);
  if (starts.size >= MAX_STARTS) starts.clear();
  starts.set(key, start);
  return start;
}

/** Searches, instead of using a zone offset, because some zones skip midnight when daylight saving time begins. */
function findStart(date: CalendarDate, timeZone: string): number {
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

/** Returns the first instant after a calendar date in a time zone, in milliseconds since the epoch. */
export function endOfDateInZone(date: CalendarDate, timeZone: string): number {
  return date === LAST_DATE ? Number.MAX_SAFE_INTEGER : startOfDateInZone(addDays(date, 1), timeZone);
}

/**
 * Returns the same time of day `days` calendar days later, measured from midnight, whether or not daylight saving time
 * changes in between. Never passes the end of that day.
 *
 * @param instant milliseconds since the epoch
 */
export function addDaysInZone(instant: number, days: number, timeZone: string): number {
  const date = dateInZone(instant, timeZone);
  const target = addDays(date, days);
  const sameTime = startOfDateInZone(target, timeZone) + (instant - startOfDateInZone(date, timeZone));
  return Math.min(sameTime, endOfDateInZone(target, timeZone) - 1);
}

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  let formatter = formatters.get(timeZone);
  if (!formatter) {
    formatter = createFormatter(timeZone);
    formatters.set(timeZone, formatter);
  }
  return formatter;
}

function createFormatter(timeZone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat("en-US", {
      timeZone,
      calendar: "gregory",
      numberingSystem: "latn",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
    });
  } catch {
    throw new BillingError("invalid_date", `Unknown time zone "${timeZone}": not in the IANA database`);
  }
}
