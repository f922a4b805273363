import { InvalidArgumentError } from "commander";
import { isCalendarDate } from "../../../billing/calendarDate.ts";

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/;

/**
 * Reads an RFC 3339 instant, or a date, which means 10:00 UTC on it: then it is that date in nearly every time zone.
 *
 * @returns milliseconds since the epoch
 * @throws InvalidArgumentError for anything else
 */
export function instantOrDate(text: string): number {
  const date = text.slice(0, 10);
  const instant = isCalendarDate(text) ? `${text}T10:00:00Z` : text;
  if (isCalendarDate(date) && INSTANT.test(instant) && !Number.isNaN(Date.parse(instant))) return Date.parse(instant);
  throw new InvalidArgumentError("It must be an instant such as 2026-11-22T10:00:00Z, or a date such as 2026-11-22.");
}

/** Checks a calendar date, `2026-11-22`. */
export function calendarDate(text: string): string {
  if (isCalendarDate(text)) return text;
  throw new InvalidArgumentError("It must be a date such as 2026-11-22.");
}
