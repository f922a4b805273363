import { addDays, addDaysInZone, type CalendarDate, startOfDateInZone } from "./calendar.ts";
import { recurringCharge } from "./proration.ts";
import { licensesAtRenewal, type Price, type PricedSubscription } from "./quote.ts";
import { type TermRule, termAt, termOnDate } from "./term.ts";

/** How many days licenses stay usable while a renewal is unpaid, unless the backend is configured otherwise. */
export const DEFAULT_GRACE_DAYS = 14;

/** When a failed renewal is retried, in days after it was created (README.md, Renewal). */
const RETRY_DAYS = [1, 3, 7];

/**
 * Returns when the renewal after a term is due, in milliseconds since the epoch: the first instant of the next term.
 *
 * @param index the number of the term that ends
 * @param timeZone the billing time zone
 */
export function renewalDueAt(rule: TermRule, index: number, timeZone: string): number {
  return startOfDateInZone(termAt(rule, index).renewalDate, timeZone);
}

/**
 * Prices a renewal (README.md, Renewal): every license, for the whole of the next term.
 *
 * @param subscription as it is before the renewal, but with the term that the renewal begins
 * @param chargeStep the provider's smallest step in minor units
 * @throws BillingError `amount_out_of_range`, `invalid_rate`
 */
export function priceRenewal(subscription: Omit<PricedSubscription, "autoRenew">, chargeStep: number): Price {
  const { unitPrice, taxRate, term } = subscription;
  const licenses = licensesAtRenewal(subscription);
  const charge = recurringCharge({ unitPrice, licenses, taxRate, chargeStep });
  return {
    licenses,
    unitPrice,
    purchaseDate: term.start,
    term: termOnDate(term, term.start),
    dueNow: charge.subtotal,
    taxRate,
    tax: charge.tax,
    total: charge.total,
    licensesAfter: licenses,
    renewsAt: { date: term.renewalDate, licenses, ...charge },
  };
}

/**
 * Returns when the grace period of an unpaid renewal ends, in milliseconds since the epoch: `days` calendar days after
 * the renewal date, in the billing time zone.
 */
export function gracePeriodEnd(renewalDate: CalendarDate, days: number, timeZone: string): number {
  return startOfDateInZone(addDays(renewalDate, days), timeZone);
}

/**
 * Returns when a failed renewal is retried next, in milliseconds since the epoch; `null` after the last automatic retry
 * (README.md, Renewal).
 *
 * @param madeAt when the renewal was created, and `now`, both in milliseconds since the epoch
 */
export function nextRetryAt(madeAt: number, now: number, timeZone: string): number | null {
  return RETRY_DAYS.map((days) => addDaysInZone(madeAt, days, timeZone)).find((retry) => retry > now) ?? null;
}

/** How many days before a renewal date administrators are reminded of it, in the order of the reminders. */
const REMINDER_DAYS = [30, 7, 1];

/** Which reminder of a renewal to send now, and when to look again. */
export interface RenewalReminder {
  /** How many days before the renewal date the reminder was due; `null` for none. */
  readonly days: number | null;
  /** When the next reminder is due, or the start of the renewal date if there is none; milliseconds since the epoch. */
  readonly nextAt: number;
}

/**
 * Decides which reminder of a renewal is due (README.md, Reminders): of several, only the one nearest to the renewal date.
 *
 * @param since from when on reminders are due, milliseconds since the epoch: those before it were sent or left out
 * @param now before the renewal date begins, milliseconds since the epoch
 */
export function renewalReminder(
  renewalDate: CalendarDate,
  timeZone: string,
  { since, now }: { since: number; now: number },
): RenewalReminder {
  const reminders = REMINDER_DAYS.map((days) => ({
    days,
    at: startOfDateInZone(addDays(renewalDate, -days), timeZone),
  }));
  const due = reminders.findLast(({ at }) => since <= at && at <= now);
  const next = reminders.find(({ at }) => at > now);
  return { days: due?.days ?? null, nextAt: next?.at ?? startOfDateInZone(renewalDate, timeZone) };
}
