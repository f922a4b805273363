import type { Context } from "../../context.ts";
import { priceOffer } from "../../purchasing/offer.ts";
import { quoteFileOf, writeQuoteFile } from "../../purchasing/quoteFile.ts";
import { clean } from "../../render/clean.ts";
import type { QuoteOptions } from "../quote.ts";
import { connect } from "../shared/connect.ts";
import { note, printResult } from "../shared/output.ts";
import { assertWritable, writeOutputFile } from "../shared/outputFile.ts";
import { withSpinner } from "../shared/spinner.ts";

/**
 * Prints a quote that the CLI recomputed and agrees with, and writes it down where that was asked for.
 *
 * @throws CliError `price_check_failed`, `subscription_changed`, `file_exists`, `file_not_written`; what connecting and
 *   quoting throw
 */
export async function run(options: QuoteOptions, context: Context): Promise<void> {
  const { save } = options;
  if (save) assertWritable(save);
  const { client, organizationId } = await connect(context, options);
  const pricing = organizationId().then((id) => priceOffer(client, id, options.licenses));
  const offer = await withSpinner(context, options, "Pricing", pricing);
  if (save) {
    writeOutputFile(save, Buffer.from(writeQuoteFile(quoteFileOf(offer, client.apiUrl))), context);
    note(context, options, `The quote is in ${clean(save.path)}. Buy it with \`buy --from ${clean(save.path)}\`.`);
  }
  await printResult(context, options, "quote", offer.quote, async (view) => {
    const { renderQuote } = await import("../../render/quote.ts");
    return renderQuote(offer, options, view);
  });
}
