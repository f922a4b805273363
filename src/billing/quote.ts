import { type CalendarDate, endOfDateInZone } from "./calendar.ts";
import type { Money } from "./money.ts";
import { type Charge, prorate, recurringCharge } from "./proration.ts";
import { type Term, type TermOnDate, termOnDate } from "./term.ts";

/** How many licenses one purchase may have, unless a backend is set otherwise (billing-rules.md, Quotes). */
export const DEFAULT_LICENSE_LIMIT = 10_000;

/** The licenses of a subscription, as far as a renewal depends on them. */
export interface RenewedLicenses {
  /** Licenses purchased now. */
  readonly purchased: number;
  /** Licenses that users have taken now. */
  readonly used: number;
  /** The count that is scheduled for the renewal, `null` where none is (details.md, 31). */
  readonly reduction: number | null;
}

/** The facts of a subscription that a price depends on. */
export interface PricedSubscription extends RenewedLicenses {
  readonly unitPrice: Money;
  readonly taxRate: string;
  readonly term: Term;
  readonly autoRenew: boolean;
}

/** What the subscription renews at: the recurring total from the renewal date. */
interface RenewsAt extends Charge {
  readonly date: CalendarDate;
  readonly licenses: number;
}

/** The priced part of a quote. */
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

const QUOTE_LIFE_MS = 30 * 60_000;

/**
 * The price of `licenses` more licenses bought on `purchaseDate` (billing-rules.md, Proration and Quotes). The backend
 * makes quotes with it and the CLI checks them with it.
 *
 * @param chargeStep the provider's smallest step in minor units, 1 unless the provider says otherwise
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
 * How many licenses the next term has: all that are purchased, or, after a reduction, that count and never fewer than
 * are used. What is bought meanwhile raises the reduction (details.md, 31).
 *
 * @param bought how many more are bought before the renewal
 */
export function licensesAtRenewal({ purchased, used, reduction }: RenewedLicenses, bought = 0): number {
  return reduction === null ? purchased + bought : Math.max(reduction + bought, used);
}

/**
 * When a quote made at `createdAt` expires, in milliseconds since the epoch: after 30 minutes or at the end of the
 * purchase date in the billing time zone, whichever comes first.
 */
export function quoteExpiry(createdAt: number, purchaseDate: CalendarDate, timeZone: string): number {
  return Math.min(createdAt + QUOTE_LIFE_MS, endOfDateInZone(purchaseDate, timeZone));
}

/**
 * The fewest licenses whose total reaches a provider's minimum charge, or `null` where even `limit` licenses do not.
 *
 * @param totalOf the total in minor units for a number of licenses; never falls as the number grows
 */
export function fewestLicensesReaching(
  minimum: number,
  limit: number,
  totalOf: (licenses: number) => number,
): number | null {
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
