import { BillingError } from "../../billing/errors.ts";
import { formatMoney, type Money } from "../../billing/money.ts";
import type { Price } from "../../billing/quote.ts";
import type { Client } from "../../client/client.ts";
import type { Quote, Subscription } from "../../contract/billing.ts";
import { CliError } from "../errors.ts";
import { clean } from "../render/clean.ts";
import { purchaseDateOf, type QuoteDifference, recompute, verifyQuote } from "./verifyQuote.ts";

/** A quote that the CLI recomputed and agrees with. */
export type VerifiedQuote = Quote & { readonly verified: true };

/** A verified quote and the subscription that it was checked against, both of one version. */
export interface Offer {
  readonly subscription: Subscription;
  readonly quote: VerifiedQuote;
}

const MAX_READINGS = 3;

/**
 * Reads the subscription, quotes and checks the quote. Both must show one version and one day, else they are read
 * again, at most 3 times (details.md, 6).
 *
 * @throws CliError `subscription_changed` where they keep differing, `price_check_failed` with both computations;
 *   ClientError
 */
export async function priceOffer(
  client: Pick<Client, "subscription" | "createQuote">,
  organizationId: number,
  licenses: number,
): Promise<Offer> {
  let subscription: Subscription;
  let quote: Quote;
  let readings = 0;
  do {
    subscription = await client.subscription(organizationId);
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
  const line = `${licenses} × ${formatMoney(unitPrice)} × ${term.daysRemaining} / ${term.days}`;
  return `${line} = ${formatMoney(dueNow)}, + ${formatMoney(tax)} tax = ${formatMoney(total)}`;
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
  return typeof value === "object" ? formatMoney(value) : clean(String(value));
}
