import { type Command, Option } from "commander";
import { toDecimalString } from "../../billing/money.ts";
import type { Context } from "../context.ts";
import { CliError, ERRORS, reportOf, usageError } from "../errors.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { trustedPage } from "../kit/links.ts";
import { note, printResult, type View, warn } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { fields } from "../kit/table.ts";
import { wholeNumber } from "../kit/values.ts";
import { counts, licenses, missingWords } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import type { Output } from "../outputs.ts";
import { type Buying, buyAgainWhatIsMissing, buyAs, conclude, openBuying, type ResultTools } from "./buying.ts";
import type { BuyRequest, BuyResult, Concluded, PurchasingTools } from "./engine/tools.ts";
import { inProgress, type LicenseTarget, licensesToBuy, targetWords } from "./engine/wanted.ts";
import { addToJobSummary, renderStoppedTopUp, renderTopUpSummary, summarize, writeOutputs } from "./jobSummary.ts";
import { addBuyingOptions, type BuyingFlags, type BuyingOptions, readBuying, whoBuys } from "./options.ts";
import { type ResultContext, renderBuyResult } from "./purchaseView.ts";

/** The options of `top-up`. */
export interface TopUpOptions extends BuyingOptions {
  readonly target: LicenseTarget;
}

interface TopUpFlags extends BuyingFlags {
  readonly available?: number;
  readonly purchased?: number;
  readonly whenBelow?: number;
  readonly plan?: boolean;
}

const SAFE = `
Licenses of purchases in progress count toward the target:
run it as often as you like, from any number of jobs. With
--yes it warns on stderr if neither --max-total nor
--max-licenses is set; with --quiet or --json it does not.`;

/** Registers `top-up`. */
export function register(program: Command, context: Context, run: Run<TopUpOptions> = runTopUp): void {
  const command = addCommand(program, {
    name: "top-up",
    examples: ["top-up --available 5", "top-up --purchased 50 --yes --max-total 500 --json"],
  })
    .addOption(
      new Option("--available <n>", "target number of available licenses")
        .argParser(wholeNumber(0))
        .conflicts("purchased"),
    )
    .option("--purchased <n>", "target number of purchased licenses", wholeNumber(0))
    .option("--when-below <n>", "with --available: buy only if fewer than <n> are available", wholeNumber(0))
    .option("--plan", "like --dry-run, but works with a read-only token");
  addBuyingOptions(command)
    .addHelpText("after", SAFE)
    .action((flags: TopUpFlags, command: Command) => {
      const plan = flags.plan === true && { dryRun: true, isPlan: true };
      const options = { ...readGlobals(command), ...readBuying(flags), ...plan, target: targetOf(flags) };
      return interruptible(context, () => run(options, context));
    });
}

function targetOf({ available, purchased, whenBelow }: TopUpFlags): LicenseTarget {
  if (whenBelow !== undefined && available === undefined)
    throw usageError("--when-below requires --available", "Pass --available <n>, or remove --when-below.");
  if (available !== undefined && whenBelow !== undefined && whenBelow > available) {
    throw usageError(
      `--when-below cannot be more than --available (${available})`,
      "Example: `secureflag-licenses top-up --available 10 --when-below 3`.",
    );
  }
  if (available !== undefined) return { available, ...(whenBelow !== undefined && { whenBelow }) };
  if (purchased !== undefined) return { purchased };
  throw usageError("Missing target", "Pass one of --available <n> and --purchased <n>.");
}

/**
 * Buys what is missing to a target and prints what was done, even if the purchase did not succeed.
 *
 * @throws CliError `invalid_usage` if it cannot prompt and `--yes` is missing; what buying throws; the failure of the
 *   purchase, after it was printed
 */
export async function runTopUp(options: TopUpOptions, context: Context): Promise<void> {
  const ended = await reportTopUp(options, context, () => topUp(options, context));
  const { topUp: result, tools } = ended;
  const isPageOnScreen = result.purchase !== null && tools.isPageOnScreen(result.purchase);
  await conclude(ended, tools.journal, options, context, () =>
    printResult<"top-up">(context, options, result, (view) => renderTopUp(result, view, { isPageOnScreen })),
  );
}

async function topUp(options: TopUpOptions, context: Context): Promise<EndedTopUp> {
  if (options.yes && options.maxLicenses === null && options.maxTotal === null) warn(context, options, UNLIMITED);
  const request: BuyRequest = { ...options, wanted: options.target, quoteFile: null };
  const buying = await openBuying(request, options, context);
  await announce(options, context, buying);
  const { tools } = buying;
  const buyAgain = buyAgainWhatIsMissing(options.target, tools);
  const concluded = await buyAs(request, options, context, buying, { buyAgain });
  if (options.explicitKey !== null) await assertReached(options.target, concluded.result, tools);
  return { ...concluded, topUp: topUpOf(options.target, concluded.result), tools };
}

const UNLIMITED = "No limit is set. Pass --max-licenses <n> or --max-total <amount>.";

/**
 * Checks that a target is reached by what its key bought before: a key buys only once.
 *
 * @throws CliError `idempotency_key_reused`
 */
async function assertReached(target: LicenseTarget, { purchase, replayed }: BuyResult, tools: PurchasingTools) {
  if (purchase?.status !== "succeeded" || !replayed) return;
  const reading = tools.client.subscription(tools.organizationId);
  const missing = licensesToBuy(target, await tools.busy("Reading the subscription", reading));
  if (missing === 0) return;
  const before = `The key bought ${licenses(purchase.licenses)} before, as ${purchase.id}`;
  throw new CliError("idempotency_key_reused", `${before}; ${missingWords(missing)} to ${targetWords(target)}`, {
    hint: "This command bought nothing. A target needs no key: remove --idempotency-key.",
  });
}

/** Notes who tops up what to which target, for the log of a job. */
async function announce(options: TopUpOptions, context: Context, { connection, tools }: Buying): Promise<void> {
  if (options.json || options.quiet) return;
  const who = await withSpinner(context, options, "Asking who you are", whoBuys(connection));
  const where = `organization ${tools.organizationId} at ${tools.client.origin}`;
  note(context, options, `Topping up ${where} to ${targetWords(options.target)}, as ${who}.`);
}

/** A purchase buys exactly what was missing to the target when it was decided. */
function topUpOf(target: LicenseTarget, result: BuyResult): Output<"top-up"> {
  const { purchase, quote } = result;
  return {
    target,
    shortfall: quote?.licenses ?? purchase?.licenses ?? 0,
    bought: purchase?.status === "succeeded" && !result.dryRun ? purchase.licenses : 0,
    ...result,
  };
}

/** How a top-up ended, with the tools that it used. */
export interface EndedTopUp extends Concluded {
  readonly topUp: Output<"top-up">;
  readonly tools: ResultTools;
}

/**
 * Writes the outputs and the job summary of a top-up in GitHub Actions. A failure to write them is a warning.
 *
 * @throws what the work throws
 */
export async function reportTopUp(
  options: TopUpOptions,
  context: Context,
  work: () => Promise<EndedTopUp>,
): Promise<EndedTopUp> {
  try {
    const ended = await work();
    const { topUp, tools } = ended;
    await writeOutputs(context, options, outputsOf(topUp, tools.client.origin));
    await addToJobSummary(context, options, renderTopUpSummary(topUp));
    if (topUp.purchase !== null && ended.failure !== null)
      await summarize(context, options, tools.client.origin, [topUp.purchase]);
    return ended;
  } catch (error) {
    const report = reportOf(error);
    await writeOutputs(context, options, { status: ERRORS[report.code].outcome === "open" ? "unknown" : "stopped" });
    await addToJobSummary(context, options, renderStoppedTopUp(options.target, report));
    throw error;
  }
}

/** The outputs of a step; those of the purchase are empty if nothing was bought (src/cli/README.md, GitHub Actions). */
function outputsOf({ shortfall, bought, purchase, licenses, dryRun }: Output<"top-up">, origin: string) {
  const made = dryRun ? null : purchase;
  const page = made?.status === "requires_approval" ? (made.nextAction?.url ?? null) : null;
  return {
    status: purchase?.status ?? (shortfall === 0 ? "nothing_missing" : "planned"),
    bought: String(bought),
    purchased: String(licenses.purchased),
    available: String(licenses.available),
    total: made === null ? "" : `${toDecimalString(made.total)} ${made.total.currency}`,
    "purchase-id": made?.id ?? "",
    "approval-url": page === null ? "" : (trustedPage(page, origin) ?? ""),
  };
}

/** Renders the result of `top-up`. */
export function renderTopUp(topUp: Output<"top-up">, view: View, about: ResultContext = {}): string {
  if (topUp.shortfall > 0) return renderBuyResult(topUp, view, about);
  const facts = fields([["Licenses now", counts(topUp.licenses)]], view);
  return `${view.style.green(wrap(nothingToBuy(topUp), view.width))}\n${facts}`;
}

function nothingToBuy({ target, licenses: now, dryRun }: Output<"top-up">): string {
  return `${dryRun ? "Dry run: nothing" : "Nothing"} to buy: the target is ${targetWords(target)}${inProgress(target, now)}.`;
}
