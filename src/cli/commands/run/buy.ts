import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { readInputFile, whyUnread } from "../../inputFile.ts";
import { MAX_QUOTE_FILE_BYTES, type QuoteFile, readQuoteFile } from "../../purchasing/quoteFile.ts";
import type { BuyRequest } from "../../purchasing/request.ts";
import { clean } from "../../render/clean.ts";
import type { BuyOptions } from "../buy.ts";
import { buyAs, openBuying } from "../shared/buying.ts";
import { concludePurchase } from "../shared/conclude.ts";

/**
 * Buys licenses and prints the purchase; a purchase that did not succeed is printed as well.
 *
 * @throws CliError `invalid_usage` before any request where nobody can be asked and `--yes` is missing,
 *   `quote_file_invalid`; what buying throws; the failure of the purchase that was printed
 */
export async function run(options: BuyOptions, context: Context): Promise<void> {
  const order = await orderOf(options.source);
  const buying = await openBuying(options, order.wanted, context);
  const ended = await buyAs({ ...options, ...order }, options, context, buying);
  await concludePurchase("buy", ended, buying.tools, options, context);
}

async function orderOf(source: BuyOptions["source"]): Promise<Pick<BuyRequest, "wanted" | "quoteFile">> {
  if ("licenses" in source) return { wanted: source, quoteFile: null };
  const quoteFile = await openQuoteFile(source.file);
  return { wanted: { licenses: quoteFile.licenses }, quoteFile };
}

async function openQuoteFile(path: string): Promise<QuoteFile> {
  const bytes = await readInputFile(path, MAX_QUOTE_FILE_BYTES).catch((cause: unknown) => {
    throw new CliError("quote_file_invalid", `The quote file ${clean(path)} cannot be read: ${whyUnread(cause)}`, {
      hint: "Check the path given with --from. Nothing was bought.",
      cause,
    });
  });
  return readQuoteFile(path, bytes);
}
