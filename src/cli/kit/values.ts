import { InvalidArgumentError } from "commander";
import { isCalendarDate } from "../../billing/calendarDate.ts";
import { isCalendarMonth } from "../../billing/months.ts";
import { MAX_TOKEN_DAYS, SCOPES, type Scope } from "../../contract/constants.ts";
import { clean } from "./text.ts";

/**
 * Reads a whole number written in plain digits: no sign, no point, no exponent, no leading zero.
 *
 * @throws InvalidArgumentError for anything else and outside `minimum`…`maximum`
 */
export function wholeNumber(minimum: number, maximum = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^(0|[1-9]\d*)$/.test(text) ? Number(text) : Number.NaN;
    if (value >= minimum && value <= maximum) return value;
    const isOpen = maximum === Number.MAX_SAFE_INTEGER && !(value > maximum);
    const range = isOpen ? `${minimum} or more` : `${minimum} to ${maximum}`;
    throw new InvalidArgumentError(`It must be a whole number, ${range}.`);
  };
}

const MAX_COUNTS = 20;

/** Reads numbers of licenses, separated by commas; one that is there twice counts once. */
export function countList(text: string): number[] {
  const counts = text.split(",").map((part) => wholeNumber(1)(part.trim()));
  if (counts.length <= MAX_COUNTS) return [...new Set(counts)];
  throw new InvalidArgumentError(`It must be at most ${MAX_COUNTS} numbers, separated by commas.`);
}

/** Checks the shape of an amount in major units, `500` or `500.00`; its decimals depend on the currency. */
export function amountText(text: string): string {
  if (/^(0|[1-9]\d{0,14})(\.\d{1,4})?$/.test(text)) return text;
  throw new InvalidArgumentError("It must be an amount such as 500 or 500.00, without a currency sign.");
}

/** Checks an idempotency key: 1 to 255 visible ASCII characters (src/contract/README.md, Idempotency). */
export function idempotencyKey(text: string): string {
  if (/^[\x21-\x7e]{1,255}$/.test(text)) return text;
  throw new InvalidArgumentError("It must be 1 to 255 visible ASCII characters without spaces.");
}

/** Checks a text's length in characters. */
export function shortText(maximum: number): (text: string) => string {
  return (text) => {
    if (text.trim() !== "" && text.length <= maximum) return text;
    throw new InvalidArgumentError(`It must have 1 to ${maximum} characters.`);
  };
}

/** Takes the spaces, line ends and byte order marks around a text away, and refuses one that is then empty. */
export function trimmedText(text: string): string {
  return someText(text).trim();
}

/** Refuses an empty text, such as of a variable that was never set. */
export function someText(text: string): string {
  if (text.trim() !== "") return text;
  throw new InvalidArgumentError("It must not be empty.");
}

const MAX_PROFILE_NAME = 100;

/** Whether a text may name a profile: no control characters, up to 100 characters. */
export function isProfileName(text: string): boolean {
  // `__proto__` is no name of a field that a JSON file could keep.
  const isText = text.trim() !== "" && clean(text) === text && text !== "__proto__";
  return isText && [...text].length <= MAX_PROFILE_NAME;
}

/** Checks a profile's name. */
export function profileName(text: string): string {
  if (isProfileName(text)) return text.trim();
  throw new InvalidArgumentError(`It must have 1 to ${MAX_PROFILE_NAME} characters that can be seen.`);
}

/** Reads scopes, separated by commas. */
export function scopeList(text: string): Scope[] {
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !SCOPES.some((scope) => scope === name));
  if (unknown === undefined) return [...new Set(names as Scope[])];
  throw new InvalidArgumentError(`They must be of ${SCOPES.join(", ")}, separated by commas.`);
}

/** Reads how long a token lives, `90d`: whole days. */
export function lifetimeDays(text: string): number {
  const days = Number(/^([1-9]\d{0,2})d$/.exec(text)?.[1]);
  if (days <= MAX_TOKEN_DAYS) return days;
  throw new InvalidArgumentError(`It must be days such as 90d, at most ${MAX_TOKEN_DAYS}d.`);
}

/** Reads an amount for a month, `500/month` or `500.00`; its decimals depend on the currency. */
export function monthlyAmount(text: string): string {
  try {
    return amountText(withoutMonth(text));
  } catch {
    throw new InvalidArgumentError("It must be an amount such as 500/month, without a currency sign.");
  }
}

/** Reads a number of licenses for a month, `10/month`. */
export function monthlyLicenses(text: string): number {
  try {
    return wholeNumber(0, 1_000_000)(withoutMonth(text));
  } catch {
    throw new InvalidArgumentError("It must be a whole number such as 10/month.");
  }
}

function withoutMonth(text: string): string {
  return text.replace(/\/month$/, "");
}

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

/** Checks a month, `2026-11`. */
export function calendarMonth(text: string): string {
  if (isCalendarMonth(text)) return text;
  throw new InvalidArgumentError("It must be a month such as 2026-11.");
}

/** Checks a type of events, `purchase.accepted`, or what several begin with, `purchase`. */
export function eventType(text: string): string {
  if (/^[a-z_]+(\.[a-z_]+)?$/.test(text)) return text;
  throw new InvalidArgumentError("It must be a type such as purchase.accepted, or purchase for all of them.");
}

/** The profile without `--profile`, SECUREFLAG_PROFILE and `profiles use`. */
export const DEFAULT_PROFILE = "default";
