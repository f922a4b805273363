import { addDays, type CalendarDate, dateInZone, isTimeZone } from "../../../billing/calendar.ts";
import { BillingError } from "../../../billing/errors.ts";
import type { Money } from "../../../billing/money.ts";
import { maxChargeStep } from "../../../billing/proration.ts";
import { type Price, type PricedSubscription, priceLicenses } from "../../../billing/quote.ts";
import type { Client } from "../../../client/client.ts";
import type { Quote, Subscription } from "../../../contract/billing.ts";
import { CliError, usageError } from "../../errors.ts";
import { clean } from "../../kit/text.ts";
import { moneyText } from "../../kit/words.ts";

/** A quote that the CLI recomputed and agrees with. */
export type VerifiedQuote = Quote & { readonly verified: true };

/** A verified quote and the subscription that it was checked against, both of the same version. */
export interface Offer {
  readonly subscription: Subscription;
  readonly quote: VerifiedQuote;
}

/** A subscription for which there is nothing to buy. */
export interface NothingToBuy {
  readonly subscription: Subscription;
  readonly quote: null;
}

type PricingClient = Pick<Client, "subscription" | "createQuote">;

const MAX_READINGS = 3;

/**
 * Reads the subscription, quotes and checks the quote. Reads both again, at most 3 times, until they have the same version
 * and day.
 *
 * @param licensesFor computes how many licenses to buy from the subscription; 0 for none
 * @throws CliError `subscription_changed` if they keep differing, `price_check_failed` with both computations;
 *   ClientError
 */
export async function priceWanted(
  client: PricingClient,
  organizationId: number,
  licensesFor: (subscription: Subscription) => number,
): Promise<Offer | NothingToBuy> {
  let subscription: Subscription;
  let quote: Quote;
  let licenses: number;
  let readings = 0;
  do {
    subscription = await client.subscription(organizationId);
    licenses = licensesFor(subscription);
    if (licenses === 0) return { subscription, quote: null };
    loadTimeZone(subscription.organization.timeZone);
    quote = await client.createQuote(organizationId, licenses);
    readings += 1;
  } while (!isConsistent(subscription, quote) && readings < MAX_READINGS);
  if (quote.subscriptionVersion !== subscription.version) {
    throw new CliError("subscription_changed", "The subscription keeps changing while it is being quoted");
  }
  const differences = verifyQuote(subscription, quote, licenses);
  if (differences.length > 0) throw priceCheckFailed(differences, subscription, quote, licenses);
  return { subscription, quote: { ...quote, verified: true } };
}

/**
 * Prices a number of licenses, at least 1.
 *
 * @throws as `priceWanted`
 */
export async function priceOffer(client: PricingClient, organizationId: number, licenses: number): Promise<Offer> {
  const priced = await priceWanted(client, organizationId, () => licenses);
  if (priced.quote === null) throw usageError("Nothing to price", "Ask for at least 1 license.");
  return priced;
}

/** Loads what checking the quote needs while the quote is on its way, because it takes longer than the quote. */
function loadTimeZone(name: string): void {
  setImmediate(isTimeZone, name);
}

function isConsistent(subscription: Subscription, quote: Quote): boolean {
  return quote.subscriptionVersion === subscription.version && quote.purchaseDate === purchaseDateOf(subscription);
}

function priceCheckFailed(
  differences: readonly QuoteDifference[],
  subscription: Subscription,
  quote: Quote,
  licenses: number,
): CliError {
  const list = differences.map(
    ({ field, backend, computed }) => `${field}: ${show(backend)} from the backend, ${show(computed)} computed here`,
  );
  const both = `Backend: ${inWords(quote)}; computed here: ${computedInWords(subscription, quote, licenses)}`;
  return new CliError("price_check_failed", `The price check failed. ${list.join("; ")}. ${both}`, {
    hint: "Nothing was bought. Report this to the operator of the backend before buying.",
  });
}

/** A price with its arithmetic. */
function inWords({ licenses, unitPrice, term, dueNow, tax, total }: Price | Quote): string {
  const line = `${licenses} × ${moneyText(unitPrice)} × ${term.daysRemaining} / ${term.days}`;
  return `${line} = ${moneyText(dueNow)}, + ${moneyText(tax)} tax = ${moneyText(total)}`;
}

function computedInWords(subscription: Subscription, quote: Quote, licenses: number): string {
  try {
    return inWords(recompute(subscription, quote, licenses));
  } catch (error) {
    if (error instanceof BillingError) return `nothing: ${error.message}`;
    throw error;
  }
}

function show(value: string | number | Money | null): string {
  if (value === null) return "none";
  return typeof value === "object" ? moneyText(value) : clean(String(value));
}

/** A field of a quote that differs from what the CLI computes. */
export interface QuoteDifference {
  readonly field: string;
  readonly backend: string | number | Money | null;
  readonly computed: string | number | Money | null;
}

/** Derives the purchase date from a subscription, whose days remaining count today. */
export function purchaseDateOf({ term }: Pick<Subscription, "term">): string {
  return addDays(term.renewalDate, -term.daysRemaining);
}

/**
 * Recomputes a quote from the subscription (src/billing/README.md, Quotes).
 *
 * @param licenses how many were requested
 * @returns every field that differs, to the minor unit; empty if both agree
 */
export function verifyQuote(subscription: Subscription, quote: Quote, licenses: number): QuoteDifference[] {
  const step = quote.chargeStep ?? 1;
  const { unitPrice } = subscription.plan;
  const allowed = [1, maxChargeStep(unitPrice.currency)];
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
 * Computes the price on the date that the quote's own instant has in the billing time zone.
 *
 * @throws BillingError
 */
function recompute(subscription: Subscription, quote: Quote, licenses: number): Price {
  return priceOn(
    dateInZone(Date.parse(quote.createdAt), subscription.organization.timeZone),
    subscription,
    quote,
    licenses,
  );
}

/**
 * Computes the price on a date of the subscription's term, rounded to the quote's charge step.
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

/** Everything in a price that a person confirms, by field name. */
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
