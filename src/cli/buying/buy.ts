import { Argument, type Command } from "commander";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { readInput } from "../files/standard.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { promptsAllowed } from "../kit/prompt.ts";
import { clean } from "../kit/text.ts";
import { someText, wholeNumber } from "../kit/values.ts";
import { type Buying, buyAs, concludePurchase, openBuying } from "./buying.ts";
import { MAX_QUOTE_FILE_BYTES, type QuoteFile, readQuoteFile } from "./engine/quoteFile.ts";
import type { BuyRequest } from "./engine/tools.ts";
import { addBuyingOptions, type BuyingFlags, type BuyingOptions, readBuying } from "./options.ts";

/** The options of `buy`: a number of licenses, a quote file that has it, or `null` to ask the person at the terminal. */
export interface BuyOptions extends BuyingOptions {
  readonly source: { readonly licenses: number } | { readonly file: string } | null;
}

interface BuyFlags extends BuyingFlags {
  readonly from?: string;
}

const NOTES = `
In a terminal, \`buy\` alone offers to sign in, shows the
price and asks how many licenses to buy.

In CI (GitHub, GitLab, CircleCI, Jenkins, Buildkite, Azure)
the same command in the same job of a pipeline run is one
purchase, no matter how often the job is retried; another
job buys again. To buy twice in one job or matrix, pass a
different --note or --idempotency-key. A quote file buys
once, on any machine.`;

/** Registers `buy`. */
export function register(program: Command, context: Context, run: Run<BuyOptions> = runBuy): void {
  const command = addCommand(program, {
    name: "buy",
    examples: ["buy 5", "buy 5 --yes --max-total 300 --json"],
  })
    .addArgument(new Argument("[licenses]", "number of licenses to buy").argParser(wholeNumber(1)))
    .option("--from <file>", "buy from a quote saved with `quote --save`; - for stdin", someText);
  addBuyingOptions(command)
    .addHelpText("after", NOTES)
    .action((licenses: number | undefined, flags: BuyFlags, command: Command) => {
      const given = { ...readGlobals(command), ...readBuying(flags) };
      const mayAsk = !given.yes && promptsAllowed(context, given);
      const options = { ...given, source: sourceOf(licenses, flags, mayAsk) };
      return interruptible(context, () => run(options, context));
    });
}

function sourceOf(
  licenses: number | undefined,
  { from: file, idempotencyKey }: BuyFlags,
  mayAsk: boolean,
): BuyOptions["source"] {
  if (file !== undefined && idempotencyKey !== undefined) {
    throw usageError(
      "--idempotency-key cannot be used with --from: a quote file has its own key",
      "Remove --idempotency-key.",
    );
  }
  if (licenses !== undefined && file === undefined) return { licenses };
  if (licenses === undefined && file !== undefined) return { file };
  if (licenses === undefined && mayAsk) return null;
  throw usageError(
    licenses === undefined ? "Missing argument: <licenses>" : "<licenses> cannot be used with --from",
    "Example: `secureflag-licenses buy 5`, or `secureflag-licenses buy --from quote.json`.",
  );
}

/**
 * Buys licenses and prints the purchase, even if it did not succeed.
 *
 * @throws CliError `invalid_usage` if it cannot prompt and `--yes` is missing, `quote_file_invalid`; what buying throws; the
 *   failure of the purchase, after it was printed
 */
export async function runBuy(options: BuyOptions, context: Context): Promise<void> {
  const { request, buying } = await begin(options, context);
  const ended = await buyAs(request, options, context, buying);
  await concludePurchase("buy", ended, buying.tools, options, context);
}

async function begin(options: BuyOptions, context: Context): Promise<{ request: BuyRequest; buying: Buying }> {
  if (options.source === null) {
    // Imported here, because most commands say how many.
    const { askWhatToBuy } = await import("./guided.ts");
    const { licenses, buying } = await askWhatToBuy(options, context);
    return { request: { ...options, wanted: { licenses }, quoteFile: null }, buying };
  }
  const request = { ...options, ...(await orderOf(options.source, context)) };
  return { request, buying: await openBuying(request, options, context) };
}

async function orderOf(
  source: NonNullable<BuyOptions["source"]>,
  context: Context,
): Promise<Pick<BuyRequest, "wanted" | "quoteFile">> {
  if ("licenses" in source) return { wanted: source, quoteFile: null };
  const quoteFile = await openQuoteFile(source.file, context);
  return { wanted: { licenses: quoteFile.licenses }, quoteFile };
}

async function openQuoteFile(path: string, { io }: Context): Promise<QuoteFile> {
  const hint = "Check the path given with --from. Nothing was bought.";
  const bytes = await readInput(path, MAX_QUOTE_FILE_BYTES, io, (reason, cause) => {
    const message = `Cannot read the quote file ${clean(path)}: ${reason}`;
    return new CliError("quote_file_invalid", message, { hint, cause });
  });
  return readQuoteFile(path, bytes);
}
