import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { forecast } from "../../purchasing/forecast.ts";
import { type Offer, priceOffer } from "../../purchasing/offer.ts";
import { quoteFileOf, writeQuoteFile } from "../../purchasing/quoteFile.ts";
import { clean } from "../../render/clean.ts";
import type { QuoteOptions } from "../quote.ts";
import { type Connection, connect } from "../shared/connect.ts";
import { note, printResult } from "../shared/output.ts";
import { assertWritable, writeOutputFile } from "../shared/outputFile.ts";
import { withSpinner } from "../shared/spinner.ts";

const MOST_READINGS = 3;

/**
 * Prints quotes that the CLI recomputed and agrees with, and writes one down where that was asked for.
 *
 * @throws CliError `price_check_failed`, `subscription_changed`, `file_exists`, `file_not_written`; what connecting and
 *   quoting throw
 */
export async function run(options: QuoteOptions, context: Context): Promise<void> {
  const { priced } = options;
  if ("compare" in priced) return await compare(priced.compare, options, context);
  const { save, when } = priced;
  if (save) assertWritable(save);
  const connection = await connect(context, options, "billing");
  const offer = await withSpinner(context, options, "Pricing", offerOf(connection, priced.licenses));
  if (save) {
    writeOutputFile(save, Buffer.from(writeQuoteFile(quoteFileOf(offer, connection.client.apiUrl))), context);
    note(context, options, `The quote is in ${clean(save.path)}. Buy it with \`buy --from ${clean(save.path)}\`.`);
  }
  if (when) return await printForecast(offer, options, context);
  await printResult(context, options, "quote", offer.quote, async (view) => {
    const { renderQuote } = await import("../../render/quote.ts");
    return renderQuote(offer, priced, view);
  });
}

async function compare(counts: readonly number[], options: QuoteOptions, context: Context): Promise<void> {
  const connection = await connect(context, options, "billing");
  const offers = await withSpinner(context, options, "Pricing", offersOf(connection, counts));
  const quotes = offers.map(({ quote }) => quote);
  await printResult(context, options, "quote", quotes, async (view) => {
    const { renderComparison } = await import("../../render/priceChart.ts");
    return renderComparison(offers, view);
  });
}

async function printForecast(offer: Offer, options: QuoteOptions, context: Context): Promise<void> {
  const { prices, renewal } = forecast(offer);
  await printResult(context, options, "quote", { quote: offer.quote, prices, renewal }, async (view) => {
    const { renderForecast } = await import("../../render/priceChart.ts");
    return renderForecast(offer, { prices, renewal }, view);
  });
}

async function offerOf({ client, organizationId }: Connection, licenses: number): Promise<Offer> {
  return await priceOffer(client, await organizationId(), licenses);
}

/** Offers that show one picture of the subscription: else they are no comparison. */
async function offersOf(connection: Connection, counts: readonly number[]): Promise<Offer[]> {
  for (let readings = 0; readings < MOST_READINGS; readings += 1) {
    const offers: Offer[] = [];
    for (const count of counts) offers.push(await offerOf(connection, count));
    const versions = new Set(offers.map(({ quote }) => quote.subscriptionVersion));
    if (versions.size === 1) return offers;
  }
  throw new CliError("subscription_changed", "The subscription keeps changing while it is being quoted");
}
