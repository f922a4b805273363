import type { Client } from "../../client/client.ts";
import type { Purchase, Subscription } from "../../contract/billing.ts";
import { type Connection, connectToOrganization } from "../connection/connect.ts";
import { assertOffered, type Need, resolveTarget } from "../connection/target.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf } from "../errors.ts";
import { addressText, trustedPage } from "../kit/links.ts";
import { note, type OutputOptions, printResult, type View, viewOf } from "../kit/output.ts";
import { assertConsent, promptsAllowed } from "../kit/prompt.ts";
import { withSpinner } from "../kit/spinner.ts";
import { personApprover, renderConfirmation } from "./approver.ts";
import { buy } from "./engine/buy.ts";
import { failureReason, pageInvitation } from "./engine/failureWords.ts";
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
import { type LicenseTarget, licensesToBuy, targetOf, type Wanted } from "./engine/wanted.ts";
import { summarize } from "./jobSummary.ts";
import type { BuyingOptions, WaitOptions } from "./options.ts";
import { type PurchaseCommand, renderBuyResult } from "./purchaseView.ts";

/** A command that buys, connected to its backend. */
export interface Buying {
  readonly connection: Connection;
  readonly tools: PurchasingTools;
}

/**
 * Connects a command that buys. Sends nothing but what finding the organization takes.
 *
 * @throws CliError `invalid_usage` before any request where it cannot prompt and `--yes` is missing; first what the
 *   purchase would be refused for with it: `license_limit`, `max_licenses_exceeded`
 */
export async function openBuying(options: BuyingOptions, wanted: Wanted, context: Context): Promise<Buying> {
  assertOffered(await resolveTarget(context, options), context.env.SECUREFLAG_API_TOKEN, "billing");
  try {
    assertConsent(context, options, "buy");
  } catch (error) {
    if ("licenses" in wanted) {
      checkCount(options, wanted.licenses);
      checkLimit(wanted.licenses);
    }
    throw error;
  }
  return await connectBuying(options, context, "billing");
}

/** Connects a command that may come to buy. Sends nothing but what finding the organization takes. */
export async function connectBuying(options: BuyingOptions, context: Context, need: Need): Promise<Buying> {
  const { connection, client, organizationId } = await connectToOrganization(context, options, need);
  return { connection, tools: await purchasingTools(context, options, { client, organizationId }) };
}

/** Decides that what an earlier run of a command has bought is bought again only where its target is not reached. */
export function buyAgainWhatIsMissing(target: LicenseTarget, { client, organizationId, say }: PurchasingTools) {
  return async ({ id }: Pick<Purchase, "id">): Promise<boolean> => {
    const subscription = await client.subscription(organizationId);
    if (licensesToBuy(target, subscription) === 0) return false;
    say(`The purchase ${id} of the same command succeeded; more is missing now.`);
    return true;
  };
}

/**
 * Buys what was wanted as a command was told to.
 *
 * @param decide what else decides about offers; the automatic or the person's decisions unless it says otherwise
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
  const { apiUrl, isLoopback: isSandbox } = connection.client;
  if (!options.yes && !options.dryRun) {
    return personApprover(options, context, connection, target);
  }
  return automaticApprover({
    decidesAnew: target !== null,
    announce: async (offer) => {
      if (options.json || options.quiet) return;
      const view = await viewOf(context, options, "stderr");
      context.io.note(`${renderConfirmation(offer, { apiUrl, isSandbox, signedInAs: null, target }, view)}\n\n`);
    },
  });
}

const APPROVAL_WAIT_SECONDS = 300;

/** The tools of buying and resuming, made of the context. */
export async function purchasingTools(
  context: Context,
  options: WaitOptions,
  { client, organizationId }: { client: PurchasingClient; organizationId: number },
): Promise<PurchasingTools> {
  const isPersonThere = promptsAllowed(context, options);
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
      const page = trustedPage(nextAction.url, client.origin);
      const reason = status === "failed" ? `${failureReason(failure)} ` : "";
      const warning = page ? "" : `It is not a page of ${client.origin}, so it was not opened. `;
      // Nothing goes on without it, so that --quiet does not silence it.
      const shown = { ...options, quiet: false };
      note(
        context,
        shown,
        `Purchase ${id}: ${reason}${warning}${pageInvitation(purchase)} ${addressText(nextAction.url)}`,
      );
      if (isPersonThere && options.open && page) context.openUrl(page);
    },
    reach: context.reach,
  };
}

/** What ending a command takes of how its purchase ended. `failure` may also be of what came after the purchase. */
interface Ending {
  readonly result: Pick<Concluded["result"], "purchase" | "dryRun">;
  readonly endedKey: string | null;
  readonly failure: Error | null;
}

/**
 * Ends a command that was about one purchase: prints its result, and forgets a purchase that was begun here and has
 * ended. One whose result could not be printed stays in the journal, so that running again shows it.
 *
 * @param print prints the result; gives whether it was taken
 * @throws CliError `output_not_written`, `result_not_printed`; the purchase's failure, after it was printed
 */
export async function conclude(
  ended: Ending,
  journal: PurchasingTools["journal"],
  context: Context,
  print: () => Promise<boolean>,
): Promise<void> {
  const wasTaken = await print().catch((cause: unknown) => {
    throw notPrinted(ended, cause);
  });
  const { endedKey, failure } = ended;
  if (wasTaken && endedKey !== null) forgetAtExit(context, journal, [endedKey]);
  if (failure) throw failure;
}

/** Ends a command that prints the purchase as it is; one that did not succeed goes into the job's summary. */
export async function concludePurchase(
  name: PurchaseCommand,
  ended: Concluded,
  { client, journal }: Pick<PurchasingTools, "client" | "journal">,
  options: OutputOptions,
  context: Context,
): Promise<void> {
  const { result, failure } = ended;
  if (result.purchase !== null && failure !== null) await summarize(context, options, client.origin, [result.purchase]);
  const render = async (view: View) => renderBuyResult(result, view, name);
  await conclude(ended, journal, context, () => printResult<PurchaseCommand>(context, options, result, render));
}

function notPrinted({ result: { purchase, dryRun }, failure }: Ending, cause: unknown): unknown {
  if (codeOf(cause) !== "output_not_written") return cause;
  if (failure) return failure;
  if (purchase === null || dryRun) return cause;
  // Ending as failed without a failure of the command: that was what the command is for.
  const done = purchase.status === "failed" ? "canceled" : "made";
  const message = `The purchase ${purchase.id} was ${done}, but its result could not be printed`;
  const hint = "Running the same command again is safe: it shows the purchase and buys nothing more.";
  return new CliError("result_not_printed", message, { hint, cause });
}

/** The subscription, or `null` where the token may not see it. */
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
