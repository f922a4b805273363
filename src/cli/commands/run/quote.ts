import type { Context } from "../../context.ts";
import { priceOffer } from "../../purchasing/offer.ts";
import type { QuoteOptions } from "../quote.ts";
import { connect } from "../shared/connect.ts";
import { printResult } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";

/**
 * Prints a quote that the CLI recomputed and agrees with.
 *
 * @throws CliError `price_check_failed`, `subscription_changed`; what connecting and quoting throw
 */
export async function run(options: QuoteOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connect(context, options);
  const pricing = organizationId().then((id) => priceOffer(client, id, options.licenses));
  const offer = await withSpinner(context, options, "Pricing", pricing);
  await printResult(context, options, offer.quote, async (view) => {
    const { renderQuote } = await import("../../render/quote.ts");
    return renderQuote(offer, options, view);
  });
}
