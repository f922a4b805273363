import { Argument, type Command } from "commander";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { readInputFile, whyUnread } from "../files/files.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { clean } from "../kit/text.ts";
import { someText, wholeNumber } from "../kit/values.ts";
import { buyAs, concludePurchase, openBuying } from "./buying.ts";
import { MAX_QUOTE_FILE_BYTES, type QuoteFile, readQuoteFile } from "./engine/quoteFile.ts";
import type { BuyRequest } from "./engine/tools.ts";
import { addBuyingOptions, type BuyingFlags, type BuyingOptions, readBuying } from "./options.ts";

/** What `buy` was told: a number of licenses, or a quote file that says it. */
export interface BuyOptions extends BuyingOptions {
  readonly source: { readonly licenses: number } | { readonly file: string };
}

interface BuyFlags extends BuyingFlags {
  readonly from?: string;
}

const KEYS = `
In a CI job that is known (GitHub, GitLab, CircleCI,
Jenkins, Buildkite, Azure) the same command in the same
pipeline run is the same purchase, however often the run is
tried again. Two equal purchases meant in one job, or in a
matrix, need a --note or an --idempotency-key of their own.
A quote file buys once, from whatever machine.`;

/** Registers `buy`. */
export function register(program: Command, context: Context, run: Run<BuyOptions> = runBuy): void {
  const command = addCommand(program, {
    name: "buy",
    examples: ["buy 5", "buy 5 --yes --max-total 300 --json"],
  })
    .addArgument(new Argument("[licenses]", "how many more").argParser(wholeNumber(1)))
    .option("--from <file>", "buy what this file of `quote --save` says", someText);
  addBuyingOptions(command)
    .addHelpText("after", KEYS)
    .action((licenses: number | undefined, flags: BuyFlags, command: Command) => {
      const options = { ...readGlobals(command), ...readBuying(flags), source: sourceOf(licenses, flags) };
      return interruptible(context, () => run(options, context));
    });
}

function sourceOf(licenses: number | undefined, { from: file, idempotencyKey }: BuyFlags): BuyOptions["source"] {
  if (file !== undefined && idempotencyKey !== undefined) {
    throw usageError("A quote file has a key of its own, so that it is bought once", "Leave --idempotency-key out.");
  }
  if (licenses !== undefined && file === undefined) return { licenses };
  if (licenses === undefined && file !== undefined) return { file };
  throw usageError(
    licenses === undefined ? "How many licenses to buy is missing" : "A quote file says by itself how many to buy",
    "Say either a number, such as `buy 5`, or --from <file>.",
  );
}

/**
 * Buys licenses and prints the purchase; a purchase that did not succeed is printed as well.
 *
 * @throws CliError `invalid_usage` before any request where nobody can be asked and `--yes` is missing,
 *   `quote_file_invalid`; what buying throws; the failure of the purchase that was printed
 */
export async function runBuy(options: BuyOptions, context: Context): Promise<void> {
  const request = { ...options, ...(await orderOf(options.source)) };
  const buying = await openBuying(request, options, context);
  const ended = await buyAs(request, options, context, buying);
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
