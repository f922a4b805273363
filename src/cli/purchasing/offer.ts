import { BillingError } from "../../billing/errors.ts";
import type { Money } from "../../billing/money.ts";
import type { Price } from "../../billing/quote.ts";
import type { Client } from "../../client/client.ts";
import type { Quote, Subscription } from "../../contract/billing.ts";
import { CliError, usageError } from "../errors.ts";
import { clean } from "../render/clean.ts";
import { moneyText } from "../render/money.ts";
import { purchaseDateOf, type QuoteDifference, recompute, verifyQuote } from "./verifyQuote.ts";

/** A quote that the CLI recomputed and agrees with. */
export type VerifiedQuote = Quote & { readonly verified: true };

/** A verified quote and the subscription that it was checked against, both of one version. */
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
 * Reads the subscription, quotes and checks the quote. Both must show one version and one day, else they are read
 * again, at most 3 times (details.md, 6).
 *
 * @param licensesFor how many more, as that follows from the subscription; 0 for nothing to buy
 * @throws CliError `subscription_changed` where they keep differing, `price_check_failed` with both computations;
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
    quote = await client.createQuote(organizationId, licenses);
    readings += 1;
  } while (!isOnePicture(subscription, quote) && readings < MAX_READINGS);
  if (quote.subscriptionVersion !== subscription.version) {
    throw new CliError("subscription_changed", "The subscription keeps changing while it is being quoted");
  }
  const differences = verifyQuote(subscription, quote, licenses);
  if (differences.length > 0) throw priceCheckFailed(differences, subscription, quote, licenses);
  return { subscription, quote: { ...quote, verified: true } };
}

/**
 * Prices so many more licenses.
 *
 * @param licenses at least 1
 * @throws as `priceWanted`
 */
export async function priceOffer(client: PricingClient, organizationId: number, licenses: number): Promise<Offer> {
  const priced = await priceWanted(client, organizationId, () => licenses);
  if (priced.quote === null) throw usageError("There is nothing to price", "Ask for at least 1 license.");
  return priced;
}

function isOnePicture(subscription: Subscription, quote: Quote): boolean {
  return quote.subscriptionVersion === subscription.version && quote.purchaseDate === purchaseDateOf(subscription);
}

function priceCheckFailed(
  differences: readonly QuoteDifference[],
  subscription: Subscription,
  quote: Quote,
  licenses: number,
): CliError {
  const list = differences.map(
    ({ field, backend, computed }) => `${field}: ${show(backend)} by the backend, ${show(computed)} computed here`,
  );
  const both = `By the backend ${inWords(quote)}; computed here ${computedInWords(subscription, quote, licenses)}`;
  return new CliError("price_check_failed", `The price check failed. ${list.join("; ")}. ${both}`, {
    hint: "Nothing was bought. Report this to whoever runs the backend before buying.",
  });
}

/** A price with the days and amounts that it comes from. */
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
