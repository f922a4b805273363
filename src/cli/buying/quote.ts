import { Argument, type Command, Option } from "commander";
import { type Connection, connect } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { assertWritable, type OutputFile, writeOutputFile } from "../files/files.ts";
import { assertStdoutFree, STANDARD, writeStdout } from "../files/standard.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { note, printResult, type View } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { fields } from "../kit/table.ts";
import { clean } from "../kit/text.ts";
import { countList, someText, wholeNumber } from "../kit/values.ts";
import {
  budgetWords,
  countChange,
  dateAhead,
  formula,
  idleWords,
  instant,
  keptReduction,
  withTax,
} from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import { explanation, localized } from "./engine/explanation.ts";
import { type Offer, priceOffer } from "./engine/offer.ts";
import { quoteFileOf, writeQuoteFile } from "./engine/quoteFile.ts";
import { forecast, renderComparison, renderForecast } from "./priceChart.ts";

/** What to price: one number of licenses, optionally on later dates, or several to compare. */
type Priced =
  | { readonly licenses: number; readonly when: boolean; readonly explain: boolean; readonly save: OutputFile | null }
  | { readonly compare: readonly number[] };

/** The options of `quote`. */
export interface QuoteOptions extends GlobalOptions {
  readonly priced: Priced;
}

interface QuoteFlags {
  explain?: boolean;
  save?: string;
  force?: boolean;
  compare?: number[];
  when?: boolean;
}

/** Registers `quote`. */
export function register(program: Command, context: Context, run: Run<QuoteOptions> = runQuote): void {
  addCommand(program, {
    name: "quote",
    examples: ["quote 5 --explain", "quote --compare 1,5,10,25"],
  })
    .addArgument(new Argument("[licenses]", "number of licenses to price").argParser(wholeNumber(1)))
    .option("--explain", "show the arithmetic line by line")
    .addOption(
      new Option("--compare <numbers>", "compare the prices of several numbers (e.g. 1,5,10)")
        .argParser(countList)
        .conflicts(["explain", "when", "save"]),
    )
    .addOption(new Option("--when", "show prices in the coming months").conflicts(["explain", "save"]))
    .option("--save <file>", "save the quote, to review it and buy from it later; - for stdout", someText)
    .option("--force", "overwrite the file if it exists")
    .action((licenses: number | undefined, flags: QuoteFlags, command: Command) => {
      const globals = readGlobals(command);
      const options = { ...globals, priced: pricedBy(licenses, flags) };
      if (flags.save === STANDARD)
        assertStdoutFree("--save -", { "--json": globals.json, "--explain": flags.explain === true });
      return interruptible(context, () => run(options, context));
    });
}

function pricedBy(licenses: number | undefined, flags: QuoteFlags): Priced {
  const { compare, when = false, explain = false } = flags;
  const save = fileOf(flags);
  if (licenses !== undefined && compare === undefined) return { licenses, when, explain, save };
  if (licenses === undefined && compare !== undefined) return { compare };
  throw usageError(
    licenses === undefined ? "Missing argument: <licenses>" : "<licenses> cannot be used with --compare",
    "Example: `secureflag-licenses quote 5`, or `secureflag-licenses quote --compare 1,5,10`.",
  );
}

function fileOf({ save, force = false }: QuoteFlags): OutputFile | null {
  if (save === undefined && force)
    throw usageError("--force requires --save", "Pass --save <file>, or remove --force.");
  return save === undefined ? null : { path: save, force };
}

const MAX_READINGS = 3;

/**
 * Prints quotes that the CLI has verified by recomputing them, and saves one with `--save`.
 *
 * @throws CliError `price_check_failed`, `subscription_changed`, `file_exists`, `file_not_written`; what connecting and
 *   quoting throw
 */
export async function runQuote(options: QuoteOptions, context: Context): Promise<void> {
  const { priced } = options;
  if ("compare" in priced) return await compare(priced.compare, options, context);
  const { save, when } = priced;
  if (save && save.path !== STANDARD) assertWritable(save);
  const connection = await connect(context, options, "billing");
  const offer = await withSpinner(context, options, "Pricing", offerOf(connection, priced.licenses));
  if (save) {
    const file = writeQuoteFile(quoteFileOf(offer, connection.client.apiUrl));
    if (save.path === STANDARD) return await writeStdout(context, [file]);
    writeOutputFile(save, Buffer.from(file), context);
    note(
      context,
      options,
      `Saved the quote to ${clean(save.path)}. Buy it with \`secureflag-licenses buy --from ${clean(save.path)}\`.`,
    );
  }
  if (when) return await printForecast(offer, options, context);
  await printResult<"quote">(context, options, offer.quote, (view) => renderQuote(offer, priced, view));
}

async function compare(counts: readonly number[], options: QuoteOptions, context: Context): Promise<void> {
  const connection = await connect(context, options, "billing");
  const offers = await withSpinner(context, options, "Pricing", offersOf(connection, counts));
  const quotes = offers.map(({ quote }) => quote);
  await printResult<"quote">(context, options, quotes, (view) => renderComparison(offers, view));
}

async function printForecast(offer: Offer, options: QuoteOptions, context: Context): Promise<void> {
  const { prices, renewal } = forecast(offer);
  await printResult<"quote">(context, options, { quote: offer.quote, prices, renewal }, (view) =>
    renderForecast(offer, { prices, renewal }, view),
  );
}

async function offerOf({ client, organizationId }: Connection, licenses: number): Promise<Offer> {
  return await priceOffer(client, await organizationId(), licenses);
}

/** Prices several numbers of licenses at one version of the subscription, so that they can be compared. */
async function offersOf(connection: Connection, counts: readonly number[]): Promise<Offer[]> {
  for (let readings = 0; readings < MAX_READINGS; readings += 1) {
    const offers: Offer[] = [];
    for (const count of counts) offers.push(await offerOf(connection, count));
    const versions = new Set(offers.map(({ quote }) => quote.subscriptionVersion));
    if (versions.size === 1) return offers;
  }
  throw new CliError("subscription_changed", "The subscription keeps changing while it is being quoted");
}

/** Renders a verified quote; with `explain`, followed by its arithmetic line by line. */
export function renderQuote({ quote, subscription }: Offer, { explain }: { explain: boolean }, view: View): string {
  const { total, dueNow, tax, renewsAt, term } = quote;
  const facts = fields(
    [
      ["Licenses", view.style.bold(countChange(quote.licensesAfter, quote.licenses))],
      ["Due now", view.style.bold(withTax({ total, net: dueNow, tax }))],
      ["Subtotal", formula(quote, subscription.plan)],
      ["Bought on", `${quote.purchaseDate} in ${clean(subscription.organization.timeZone)}`],
      [renewsAt === null ? "Ends" : "Renewal", dateAhead(term.renewalDate, term.daysRemaining)],
      [
        "Renews at",
        renewsAt &&
          `${withTax({ total: renewsAt.total, net: renewsAt.subtotal, tax: renewsAt.tax })} for ${renewsAt.licenses} licenses`,
      ],
      ["Reduction", keptReduction(subscription, quote)],
      ["Idle", idleWords(subscription)],
      ["Budget", subscription.budget && budgetWords(subscription.budget, total)],
      ["Valid until", instant(quote.expiresAt)],
      ["Quote", quote.id],
      ["Verified", "recomputed from the subscription, with the same result"],
    ],
    view,
  );
  if (!explain) return facts;
  const lines = explanation(quote, subscription.plan, localized()).map((line) => wrap(line, view.width));
  return `${facts}\n\n${lines.join("\n")}`;
}
