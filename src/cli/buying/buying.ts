import type { Client } from "../../client/client.ts";
import type { Purchase, Subscription } from "../../contract/billing.ts";
import { type Connection, connectToOrganization } from "../connection/connect.ts";
import { assertOffered, type Need, resolveTarget } from "../connection/target.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf, type ErrorCode } from "../errors.ts";
import { isOnGithub, tokenVariable } from "../io.ts";
import { addressText, trustedPage } from "../kit/links.ts";
import { note, type OutputOptions, printResult, type View, viewOf } from "../kit/output.ts";
import { assertConsent, promptsAllowed } from "../kit/prompt.ts";
import { withSpinner } from "../kit/spinner.ts";
import { personApprover, renderConfirmation } from "./approver.ts";
import { buy } from "./engine/buy.ts";
import { administratorInvitation, errorOfPurchase, failureReason, pageInvitation } from "./engine/failureWords.ts";
import { checkCount, checkLimit } from "./engine/guards.ts";
import { forgetAtExit } from "./engine/journal.ts";
import { detectCiRun, keySeries } from "./engine/keys.ts";
import {
  type Approver,
  automaticApprover,
  type BuyRequest,
  type Concluded,
  type PurchasingClient,
  type PurchasingTools,
} from "./engine/tools.ts";
import { type LicenseTarget, licensesToBuy, targetOf } from "./engine/wanted.ts";
import { summarize } from "./jobSummary.ts";
import type { BuyingOptions, WaitOptions } from "./options.ts";
import { type PurchaseCommand, type ResultContext, renderBuyResult } from "./purchaseView.ts";

/** A command that buys, connected to its backend. */
export interface Buying {
  readonly connection: Connection;
  readonly tools: PurchasingTools;
}

/**
 * Connects a command that buys. Sends nothing but the requests that find the organization.
 *
 * @throws CliError `invalid_usage` if it cannot prompt and `--yes` is missing, before any request unless a guard is passed; but
 *   first the refusal of a guard, or `license_limit`
 */
export async function openBuying(request: BuyRequest, options: BuyingOptions, context: Context): Promise<Buying> {
  assertOffered(await resolveTarget(context, options), tokenVariable(context.env) !== null, "billing");
  try {
    assertConsent(context, options, "buy");
  } catch (error) {
    await assertGuardsPass(request, options, context);
    throw error;
  }
  return await connectBuying(options, context, "billing");
}

const GUARD_REFUSALS: readonly (ErrorCode | null)[] = [
  "max_licenses_exceeded",
  "max_total_exceeded",
  "if_purchased_not_met",
  "quote_file_outdated",
];

/**
 * Refuses what the guards would refuse with `--yes` as well. Reads and quotes only if a guard needs it, and ignores every
 * other failure.
 *
 * @throws CliError with one of the guards' codes; `license_limit`
 */
async function assertGuardsPass(request: BuyRequest, options: BuyingOptions, context: Context): Promise<void> {
  const { wanted, maxTotal, maxLicenses, ifPurchased } = request;
  const isCount = "licenses" in wanted;
  if (isCount) {
    checkCount(request, wanted.licenses);
    checkLimit(wanted.licenses);
  }
  if (maxTotal === null && ifPurchased === null && (isCount || maxLicenses === null)) return;
  const rehearsal = { dryRun: true, quiet: true };
  try {
    const buying = await connectBuying(options, context, "billing");
    await buyAs({ ...request, ...rehearsal }, { ...options, ...rehearsal }, context, buying);
  } catch (error) {
    if (GUARD_REFUSALS.includes(codeOf(error))) throw error;
  }
}

/** Connects a command that may buy. Sends nothing but the requests that find the organization. */
export async function connectBuying(options: BuyingOptions, context: Context, need: Need): Promise<Buying> {
  const { connection, client, organizationId } = await connectToOrganization(context, options, need);
  return { connection, tools: await purchasingTools(context, options, { client, organizationId }) };
}

/** Decides to buy again after an earlier run of the same command only if its target is not reached. */
export function buyAgainWhatIsMissing(target: LicenseTarget, { client, organizationId, say }: PurchasingTools) {
  return async ({ id }: Pick<Purchase, "id">): Promise<boolean> => {
    const subscription = await client.subscription(organizationId);
    if (licensesToBuy(target, subscription) === 0) return false;
    say(`An earlier run of this command made the purchase ${id}. More licenses are missing now.`);
    return true;
  };
}

/**
 * Buys what a command asks for.
 *
 * @param decide overrides decisions of the automatic approver, or of the person
 */
export async function buyAs(
  request: BuyRequest,
  options: BuyingOptions,
  context: Context,
  { connection, tools }: Buying,
  decide: Partial<Approver> = {},
): Promise<Concluded> {
  const keys = keySeries(request, {
    ciRun: detectCiRun(context.env),
    apiUrl: tools.client.apiUrl,
    organizationId: tools.organizationId,
    randomBytes: context.random.bytes,
  });
  const approver = await approverFor(request, options, context, connection);
  return await buy(request, keys, { ...approver, ...decide }, tools);
}

async function approverFor(
  request: BuyRequest,
  options: BuyingOptions,
  context: Context,
  connection: Connection,
): Promise<Approver> {
  const target = targetOf(request.wanted);
  const { apiUrl } = connection.client;
  if (!options.yes && !options.dryRun) {
    return personApprover(options, context, connection, target);
  }
  return automaticApprover({
    decidesAnew: target !== null,
    announce: async (offer) => {
      if (options.json || options.quiet) return;
      const view = await viewOf(context, options, "stderr");
      context.io.note(`${renderConfirmation(offer, { apiUrl, signedInAs: null, target }, view)}\n\n`);
    },
  });
}

const APPROVAL_WAIT_SECONDS = 300;

/** Creates the tools of buying and resuming. */
export async function purchasingTools(
  context: Context,
  options: WaitOptions,
  { client, organizationId }: { client: PurchasingClient; organizationId: number },
): Promise<PurchasingTools> {
  const isPersonThere = promptsAllowed(context, options);
  const shownPages = new Set<string>();
  const { stdoutIsTerminal, stderrIsTerminal } = context.io;
  return {
    client,
    journal: await context.journal(),
    organizationId,
    clock: context.clock,
    waitSeconds: options.waitSeconds ?? (isPersonThere ? APPROVAL_WAIT_SECONDS : 0),
    say: (text) => note(context, options, text),
    busy: (text, work) => withSpinner(context, options, text, work),
    setInterruption: (words) => {
      context.interruption = words;
    },
    showPage: (purchase) => {
      const { id, status, failure, nextAction } = purchase;
      if (nextAction === null) return;
      const { url } = nextAction;
      // Required to continue, so shown with --quiet, too.
      const shown = { ...options, quiet: false };
      if (url === null) return note(context, shown, `Purchase ${id}: ${administratorInvitation(purchase)}`);
      shownPages.add(url);
      const page = trustedPage(url, client.origin);
      const reason = status === "failed" ? `${failureReason(failure)} ` : "";
      const warning = page ? "" : `Not opened, as it is not a page of ${client.origin}. `;
      note(context, shown, `Purchase ${id}: ${reason}${warning}${pageInvitation(purchase)} ${addressText(url)}`);
      if (isPersonThere && options.open && page) context.openUrl(page);
    },
    isPageOnScreen: ({ nextAction }) =>
      stdoutIsTerminal && stderrIsTerminal && !!nextAction?.url && shownPages.has(nextAction.url),
    reach: context.reach,
  };
}

/** How a purchase ended, as ending its command needs it. `failure` may come from what followed the purchase. */
interface Ending {
  readonly result: Pick<Concluded["result"], "purchase" | "dryRun">;
  readonly endedKey: string | null;
  readonly failure: Error | null;
}

/**
 * Ends a command about one purchase: prints its result, and removes the journal entry of a purchase that has ended. If the
 * result could not be printed, the entry stays, so that running again shows it.
 *
 * @param print prints the result; returns whether it was read
 * @throws CliError `output_not_written`, `result_not_printed`; the failure of the purchase, after it was printed
 */
export async function conclude(
  ended: Ending,
  journal: PurchasingTools["journal"],
  options: OutputOptions,
  context: Context,
  print: () => Promise<boolean>,
): Promise<void> {
  const wasTaken = await print().catch((cause: unknown) => {
    throw notPrinted(ended, cause);
  });
  const { endedKey, failure } = ended;
  if (wasTaken && endedKey !== null) forgetAtExit(context, journal, [endedKey]);
  if (failure) throw besideResult(failure, ended.result.purchase, options, context);
}

/**
 * The failure of a purchase after its result: for people, without the address of the payment page, which the result has.
 * An annotation on GitHub stands alone, so it keeps the address.
 */
export function besideResult(
  failure: Error,
  purchase: Purchase | null,
  { json }: OutputOptions,
  { env }: Pick<Context, "env">,
): Error {
  const isOfPurchase = codeOf(failure) === "approval_required" || codeOf(failure) === "payment_declined";
  if (json || isOnGithub(env) || purchase === null || !(failure instanceof CliError) || !isOfPurchase) return failure;
  return errorOfPurchase(purchase, failure.requestId, true) ?? failure;
}

/** The tools that printing the result of a purchase needs. */
export type ResultTools = Pick<PurchasingTools, "client" | "journal" | "isPageOnScreen">;

/** Ends a command that prints its purchase, and adds one that did not succeed to the job summary. */
export async function concludePurchase(
  name: PurchaseCommand,
  ended: Concluded,
  { client, journal, isPageOnScreen }: ResultTools,
  options: OutputOptions,
  context: Context,
  more: ResultContext = {},
): Promise<void> {
  const { result, failure } = ended;
  const { purchase } = result;
  if (purchase !== null && failure !== null) await summarize(context, options, client.origin, [purchase]);
  const about = { command: name, isPageOnScreen: purchase !== null && isPageOnScreen(purchase), ...more };
  const render = async (view: View) => renderBuyResult(result, view, about);
  await conclude(ended, journal, options, context, () =>
    printResult<PurchaseCommand>(context, options, result, render),
  );
}

function notPrinted({ result: { purchase, dryRun }, failure }: Ending, cause: unknown): unknown {
  if (codeOf(cause) !== "output_not_written") return cause;
  if (failure) return failure;
  if (purchase === null || dryRun) return cause;
  // Failed without a failure of the command: it was canceled.
  const done = purchase.status === "failed" ? "canceled" : "made";
  const message = `The purchase ${purchase.id} was ${done}, but the output could not be written`;
  const hint = "Running the same command again is safe: it shows the purchase and buys nothing more.";
  return new CliError("result_not_printed", message, { hint, cause });
}

/** Reads the subscription; `null` if the token may not read it. */
export async function readableSubscription(
  client: Pick<Client, "subscription">,
  organizationId: number,
): Promise<Subscription | null> {
  try {
    return await client.subscription(organizationId);
  } catch (error) {
    if (codeOf(error) === "insufficient_scope") return null;
    throw error;
  }
}
