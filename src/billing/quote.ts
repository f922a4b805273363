import { type CalendarDate, endOfDateInZone } from "./calendar.ts";
import type { Money } from "./money.ts";
import { type Charge, prorate, recurringCharge } from "./proration.ts";
import { type Term, type TermOnDate, termOnDate } from "./term.ts";

/** The maximum number of licenses per purchase, unless the backend is configured otherwise. */
export const DEFAULT_LICENSE_LIMIT = 10_000;

/** The license counts that determine how many licenses a subscription renews with. */
export interface RenewedLicenses {
  /** Licenses purchased now. */
  readonly purchased: number;
  /** Licenses taken by users now. */
  readonly used: number;
  /** The count scheduled for the renewal, `null` where none is (README.md, Reductions). */
  readonly reduction: number | null;
}

/** The facts about a subscription that determine its prices. */
export interface PricedSubscription extends RenewedLicenses {
  readonly unitPrice: Money;
  readonly taxRate: string;
  readonly term: Term;
  readonly autoRenew: boolean;
}

/** What the subscription renews at, from the renewal date on. */
interface RenewsAt extends Charge {
  readonly date: CalendarDate;
  readonly licenses: number;
}

/** A priced quote or renewal. */
export interface Price {
  readonly licenses: number;
  readonly unitPrice: Money;
  readonly purchaseDate: CalendarDate;
  readonly term: TermOnDate;
  readonly dueNow: Money;
  readonly taxRate: string;
  readonly tax: Money;
  readonly total: Money;
  readonly licensesAfter: number;
  /** `null` where the subscription will not renew. */
  readonly renewsAt: RenewsAt | null;
}

const QUOTE_LIFETIME_MS = 30 * 60_000;

/**
 * Prices `licenses` additional licenses bought on `purchaseDate` (README.md, Proration). The backend creates quotes
 * with it, and the CLI verifies them with it.
 *
 * @param chargeStep the provider's smallest step in minor units
 * @throws BillingError `amount_out_of_range`, `invalid_rate`
 */
export function priceLicenses(
  subscription: PricedSubscription,
  licenses: number,
  purchaseDate: CalendarDate,
  chargeStep = 1,
): Price {
  const { unitPrice, taxRate, autoRenew } = subscription;
  const term = termOnDate(subscription.term, purchaseDate);
  const charge = prorate({
    unitPrice,
    licenses,
    taxRate,
    chargeStep,
    remainingDays: term.daysRemaining,
    termDays: term.days,
  });
  const renewed = licensesAtRenewal(subscription, licenses);
  return {
    licenses,
    unitPrice,
    purchaseDate,
    term,
    dueNow: charge.subtotal,
    taxRate,
    tax: charge.tax,
    total: charge.total,
    licensesAfter: subscription.purchased + licenses,
    renewsAt: autoRenew
      ? {
          date: term.renewalDate,
          licenses: renewed,
          ...recurringCharge({ unitPrice, licenses: renewed, taxRate, chargeStep }),
        }
      : null,
  };
}

/**
 * Returns how many licenses the next term has: all that are purchased, or after a reduction that count, but no fewer
 * than are used. Licenses bought before the renewal raise the reduction (README.md, Reductions).
 *
 * @param bought licenses bought before the renewal
 */
export function licensesAtRenewal({ purchased, used, reduction }: RenewedLicenses, bought = 0): number {
  return reduction === null ? purchased + bought : Math.max(reduction + bought, used);
}

/**
 * Returns when a quote expires, in milliseconds since the epoch: after 30 minutes, or at the end of its purchase date
 * (README.md, Quotes).
 *
 * @param createdAt milliseconds since the epoch
 * @param timeZone the billing time zone
 */
export function quoteExpiry(createdAt: number, purchaseDate: CalendarDate, timeZone: string): number {
  return Math.min(createdAt + QUOTE_LIFETIME_MS, endOfDateInZone(purchaseDate, timeZone));
}

/**
 * Finds the fewest licenses whose total reaches a provider's minimum charge; `null` when `limit` licenses do not.
 *
 * @param totalOf returns the total in minor units for a number of licenses; must not fall as the number grows
 */
export function minLicensesFor(minimum: number, limit: number, totalOf: (licenses: number) => number): number | null {
  if (totalOf(limit) < minimum) return null;
  let low = 1;
  let high = limit;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (totalOf(middle) >= minimum) high = middle;
    else low = middle + 1;
  }
  return low;
}
