import { addIntervals, type CalendarDate, daysBetween, type Interval } from "./calendar.ts";
import { BillingError } from "./errors.ts";

/** What every term boundary is computed from. */
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

/** A term seen from one day: its length, and the days left with that day counted. */
export interface TermOnDate extends Term {
  readonly days: number;
  readonly daysRemaining: number;
}

/** Term number `index` (0 begins on the anchor date), both ends from the anchor and never from each other. */
export function termAt(rule: TermRule, index: number): Term {
  const boundary = (k: number) => addIntervals(rule.anchorDate, rule.interval, k * rule.intervalCount);
  return { start: boundary(index), renewalDate: boundary(index + 1) };
}

/**
 * The number of the term that contains a date.
 *
 * @throws BillingError `invalid_date` for a date before the anchor
 */
export function termIndexOn(rule: TermRule, date: CalendarDate): number {
  if (date < rule.anchorDate) {
    throw new BillingError("invalid_date", `${date} is before the subscription's first day, ${rule.anchorDate}`);
  }
  const monthsEach = rule.intervalCount * (rule.interval === "year" ? 12 : 1);
  let index = Math.max(0, Math.floor(monthsApart(rule.anchorDate, date) / monthsEach) - 1);
  while (termAt(rule, index).renewalDate <= date) index += 1;
  return index;
}

/** The term with its length and the days from `date` (counted) to the renewal date (not counted), never below 0. */
export function termOnDate(term: Term, date: CalendarDate): TermOnDate {
  return {
    start: term.start,
    renewalDate: term.renewalDate,
    days: daysBetween(term.start, term.renewalDate),
    daysRemaining: Math.max(0, daysBetween(date, term.renewalDate)),
  };
}

function monthsApart(from: CalendarDate, to: CalendarDate): number {
  const months = (date: CalendarDate) => Number(date.slice(0, 4)) * 12 + Number(date.slice(5, 7));
  return months(to) - months(from);
}
