import { addDays, type CalendarDate, dateInZone } from "../../billing/calendar.ts";
import { BillingError } from "../../billing/errors.ts";
import type { Money } from "../../billing/money.ts";
import { largestChargeStep } from "../../billing/proration.ts";
import { type Price, type PricedSubscription, priceLicenses } from "../../billing/quote.ts";
import type { Quote, Subscription } from "../../contract/billing.ts";

/** A field of a quote that the CLI computes otherwise. */
export interface QuoteDifference {
  readonly field: string;
  readonly backend: string | number | Money | null;
  readonly computed: string | number | Money | null;
}

/** The purchase date by the subscription's own picture: its days remaining count today. */
export function purchaseDateOf({ term }: Pick<Subscription, "term">): string {
  return addDays(term.renewalDate, -term.daysRemaining);
}

/**
 * Recomputes a quote from the subscription with the rules of `billing` (product.md, promise 3).
 *
 * @param licenses how many were asked for
 * @returns every field that differs, to the minor unit; an empty list where both agree
 */
export function verifyQuote(subscription: Subscription, quote: Quote, licenses: number): QuoteDifference[] {
  const step = quote.chargeStep ?? 1;
  const { unitPrice } = subscription.plan;
  const allowed = [1, largestChargeStep(unitPrice.currency)];
  if (!allowed.includes(step)) return [{ field: "chargeStep", backend: step, computed: allowed.join(" or ") }];
  try {
    const expected = recompute(subscription, quote, licenses);
    return differencesOf(comparable(quote), comparable(expected));
  } catch (error) {
    if (!(error instanceof BillingError)) throw error;
    return [{ field: "total", backend: quote.total, computed: error.message }];
  }
}

/**
 * The price by the rules of `billing`: for the date that the quote's own instant has in the billing time zone
 * (billing-rules.md, Dates).
 *
 * @throws BillingError
 */
export function recompute(subscription: Subscription, quote: Quote, licenses: number): Price {
  return priceOn(
    dateInZone(Date.parse(quote.createdAt), subscription.organization.timeZone),
    subscription,
    quote,
    licenses,
  );
}

/**
 * The price on a date of the subscription's term, charged in the quote's steps.
 *
 * @throws BillingError
 */
export function priceOn(
  date: CalendarDate,
  subscription: Subscription,
  { chargeStep = 1 }: Pick<Quote, "chargeStep">,
  licenses: number,
): Price {
  return priceLicenses(pricedFacts(subscription), licenses, date, chargeStep);
}

function pricedFacts(subscription: Subscription): PricedSubscription {
  return {
    unitPrice: subscription.plan.unitPrice,
    taxRate: subscription.taxRate,
    term: subscription.term,
    purchased: subscription.licenses.purchased,
    used: subscription.licenses.used,
    reduction: subscription.reduction?.licenses ?? null,
    autoRenew: subscription.renewal.autoRenew,
  };
}

type Field = string | number | Money | null;

/** Everything in a price that a person confirms, by name. */
function comparable(price: Price | Quote): Record<string, Field> {
  const { term, renewsAt } = price;
  return {
    licenses: price.licenses,
    unitPrice: price.unitPrice,
    purchaseDate: price.purchaseDate,
    "term.start": term.start,
    "term.renewalDate": term.renewalDate,
    "term.days": term.days,
    "term.daysRemaining": term.daysRemaining,
    dueNow: price.dueNow,
    taxRate: price.taxRate,
    tax: price.tax,
    total: price.total,
    licensesAfter: price.licensesAfter,
    "renewsAt.date": renewsAt?.date ?? null,
    "renewsAt.licenses": renewsAt?.licenses ?? null,
    "renewsAt.subtotal": renewsAt?.subtotal ?? null,
    "renewsAt.tax": renewsAt?.tax ?? null,
    "renewsAt.total": renewsAt?.total ?? null,
  };
}

function differencesOf(quoted: Record<string, Field>, expected: Record<string, Field>): QuoteDifference[] {
  return Object.entries(quoted).flatMap(([field, backend]) => {
    const computed = expected[field] ?? null;
    return isSame(backend, computed) ? [] : [{ field, backend, computed }];
  });
}

function isSame(a: Field, b: Field): boolean {
  if (a !== null && b !== null && typeof a === "object" && typeof b === "object") {
    return a.amount === b.amount && a.currency === b.currency;
  }
  return a === b;
}
