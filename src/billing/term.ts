import { addIntervals, type CalendarDate, daysBetween, type Interval } from "./calendar.ts";
import { BillingError } from "./errors.ts";

/** The rule from which every term of a subscription follows. */
export interface TermRule {
  readonly anchorDate: CalendarDate;
  readonly interval: Interval;
  /** How many intervals one term lasts, at least 1. */
  readonly intervalCount: number;
}

/** `[start, renewalDate)`: the renewal date is the first day of the next term. */
export interface Term {
  readonly start: CalendarDate;
  readonly renewalDate: CalendarDate;
}

/** A term as of a date: its length, and the days left, that date included. */
export interface TermOnDate extends Term {
  readonly days: number;
  readonly daysRemaining: number;
}

/** Returns term number `index`; number 0 begins on the anchor date (README.md, Terms). */
export function termAt(rule: TermRule, index: number): Term {
  return { start: boundaryAt(rule, index), renewalDate: boundaryAt(rule, index + 1) };
}

/**
 * Returns the number of the term that contains a date.
 *
 * @throws BillingError `invalid_date` for a date before the anchor date
 */
export function termIndexOn(rule: TermRule, date: CalendarDate): number {
  if (date < rule.anchorDate) {
    throw new BillingError("invalid_date", `${date} is before ${rule.anchorDate}, the first day of the subscription`);
  }
  const monthsPerTerm = rule.intervalCount * (rule.interval === "year" ? 12 : 1);
  const index = Math.floor((monthNumber(date) - monthNumber(rule.anchorDate)) / monthsPerTerm);
  // The term begins no later than in the month of the date, but within that month it may begin after the date.
  return boundaryAt(rule, index) > date ? index - 1 : index;
}

/** Returns a term with its length and the days from `date` (included) to the renewal date (excluded), at least 0. */
export function termOnDate({ start, renewalDate }: Term, date: CalendarDate): TermOnDate {
  return {
    start,
    renewalDate,
    days: daysBetween(start, renewalDate),
    daysRemaining: Math.max(0, daysBetween(date, renewalDate)),
  };
}

/** Counts from the anchor date, because the day of the previous boundary may have been clamped. */
function boundaryAt({ anchorDate, interval, intervalCount }: TermRule, index: number): CalendarDate {
  return addIntervals(anchorDate, interval, index * intervalCount);
}

function monthNumber(date: CalendarDate): number {
  return Number(date.slice(0, 4)) * 12 + Number(date.slice(5, 7));
}
