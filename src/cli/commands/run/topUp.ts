import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import type { Output } from "../../outputs.ts";
import type { BuyRequest } from "../../purchasing/request.ts";
import type { BuyResult, PurchasingTools } from "../../purchasing/tools.ts";
import { type LicenseTarget, licensesToBuy } from "../../purchasing/wanted.ts";
import { licenses, targetWords } from "../../render/words.ts";
import { whoBuys } from "../shared/buyer.ts";
import { type Buying, buyAgainWhatIsMissing, buyAs, openBuying } from "../shared/buying.ts";
import { conclude } from "../shared/conclude.ts";
import { note, printResult } from "../shared/output.ts";
import { missingWords } from "../shared/shortage.ts";
import { withSpinner } from "../shared/spinner.ts";
import { type EndedTopUp, reportTopUp } from "../shared/topUpReport.ts";
import type { TopUpOptions } from "../topUp.ts";

/**
 * Buys what is missing to reach a target and prints what was done; a purchase that did not succeed is printed as well.
 *
 * @throws CliError `invalid_usage` before any request where nobody can be asked and `--yes` is missing; what buying
 *   throws; the failure of the purchase that was printed
 */
export async function run(options: TopUpOptions, context: Context): Promise<void> {
  const ended = await reportTopUp(options, context, () => topUp(options, context));
  await conclude(ended, ended.tools.journal, context, () =>
    printResult(context, options, "top-up", ended.topUp, async (view) => {
      const { renderTopUp } = await import("../../render/topUp.ts");
      return renderTopUp(ended.topUp, view);
    }),
  );
}

async function topUp(options: TopUpOptions, context: Context): Promise<EndedTopUp> {
  if (options.yes && options.maxLicenses === null && options.maxTotal === null) note(context, options, UNLIMITED);
  const buying = await openBuying(options, options.target, context);
  await announce(options, context, buying);
  const { tools } = buying;
  const request: BuyRequest = { ...options, wanted: options.target, quoteFile: null };
  const buyAgain = buyAgainWhatIsMissing(options.target, tools);
  const concluded = await buyAs(request, options, context, buying, { buyAgain });
  if (options.explicitKey !== null) await assertReached(options.target, concluded.result, tools);
  return { ...concluded, topUp: topUpOf(options.target, concluded.result), tools };
}

const UNLIMITED = "Warning: No limit is set. Pass --max-licenses <n> or --max-total <amount>.";

/**
 * A key buys once, whatever the target is then: what it bought before may not be all that is missing now.
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
    hint: "This command bought nothing. A target needs no key: leave --idempotency-key out.",
  });
}

/** Who does what and why, for whoever reads the log of a job later. */
async function announce(options: TopUpOptions, context: Context, { connection, tools }: Buying): Promise<void> {
  if (options.json || options.quiet) return;
  const who = await withSpinner(context, options, "Asking who you are", whoBuys(connection));
  const where = `organization ${tools.organizationId} at ${tools.client.origin}`;
  note(context, options, `Topping up ${where} to ${targetWords(options.target)}, as ${who}.`);
}

/** A purchase to a target buys exactly what was missing when it was decided. */
function topUpOf(target: LicenseTarget, result: BuyResult): Output<"top-up"> {
  const { purchase, quote } = result;
  return {
    target,
    shortfall: quote?.licenses ?? purchase?.licenses ?? 0,
    bought: purchase?.status === "succeeded" && !result.dryRun ? purchase.licenses : 0,
    ...result,
  };
}
