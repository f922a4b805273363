import { addDays, type CalendarDate, daysLater, startOfDateInZone } from "./calendar.ts";
import { recurringCharge } from "./proration.ts";
import { licensesAtRenewal, type Price, type PricedSubscription } from "./quote.ts";
import { type TermRule, termAt, termOnDate } from "./term.ts";

/** How many days licenses stay usable while a renewal is not paid, unless a backend is set otherwise. */
export const DEFAULT_GRACE_DAYS = 14;

/** A renewal that failed is tried again by itself so many days after it was made (details.md, 30). */
const RETRY_DAYS = [1, 3, 7];

/**
 * When the renewal after a term falls due: with the first instant of the next term in the billing time zone.
 *
 * @param index the number of the term that ends
 * @returns milliseconds since the epoch
 */
export function renewalDue(rule: TermRule, index: number, timeZone: string): number {
  return startOfDateInZone(termAt(rule, index).renewalDate, timeZone);
}

/**
 * The recurring total of a term, in the shape of a price: the whole term of every license that the renewal is for
 * (billing-rules.md, Renewal).
 *
 * @param subscription as it is before the renewal, with the term that the renewal begins
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
 * Until when licenses stay usable although the renewal is not paid (billing-rules.md, Renewal), in milliseconds since the
 * epoch: so many calendar days from the renewal date in the billing time zone.
 */
export function graceEnd(renewalDate: CalendarDate, days: number, timeZone: string): number {
  return startOfDateInZone(addDays(renewalDate, days), timeZone);
}

/**
 * When a failed renewal is tried again by itself; `null` when only a person tries it again (details.md, 30).
 *
 * @param madeAt when the renewal was made, and `now`, milliseconds since the epoch
 */
export function nextRetry(madeAt: number, now: number, timeZone: string): number | null {
  return RETRY_DAYS.map((days) => daysLater(madeAt, days, timeZone)).find((retry) => retry > now) ?? null;
}
