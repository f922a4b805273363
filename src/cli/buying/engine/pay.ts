import type { PurchaseAnswer } from "../../../contract/billing.ts";
import { CliError, codeOf } from "../../errors.ts";
import { errorOfPurchase } from "./failureWords.ts";
import { canBePaid, type FollowTools, follow, licensesAfter, splitAnswer } from "./follow.ts";
import { approvedAsShown, differenceFrom } from "./send.ts";
import type { Concluded } from "./tools.ts";

/**
 * A purchase that can be paid now, or was paid already.
 *
 * @throws CliError `not_payable`; ClientError
 */
export async function readPayable(purchaseId: string, tools: FollowTools): Promise<PurchaseAnswer> {
  const purchase = await read(purchaseId, tools);
  const { id, status, nextAction } = purchase;
  if (nextAction !== null || status === "succeeded") return purchase;
  throw new CliError("not_payable", `The purchase ${id} ${STATES[status]}; there is nothing to pay`);
}

/**
 * Tries to pay a purchase, once, and follows it: to its end, or, where `waitSeconds` says so, until a person has paid
 * it on the payment page. Nothing new is bought. Its journal entry stays: the command that began it was not told.
 *
 * @param shown the purchase whose amount was approved
 * @throws CliError, ClientError: `not_payable` where it cannot be paid any more; what refused the call
 */
export async function pay(shown: PurchaseAnswer, tools: FollowTools): Promise<Concluded> {
  if (shown.status === "succeeded") return concluded(shown, null);
  const { id } = shown;
  tools.setInterruption({
    message: `The payment of ${id} may already be under way. It is charged at most once.`,
    hint: `See it with \`secureflag-licenses purchases show ${id}\`.`,
  });
  const { begun, lost } = await attempt(id, tools);
  const purchase = await follow(begun, tools, "unpayable");
  const failure = lost !== null && canBePaid(purchase) ? untold(purchase, lost) : errorOfPurchase(purchase);
  return {
    ...concluded(purchase, differenceFrom(approvedAsShown(shown), purchase) ?? failure),
    licensesAfter: licensesAfter(purchase, shown.organizationLicenses.purchased),
  };
}

/**
 * A purchase that waits for approval, or is canceled already.
 *
 * @throws CliError `not_cancelable`; ClientError
 */
export async function readCancelable(purchaseId: string, tools: FollowTools): Promise<PurchaseAnswer> {
  const purchase = await read(purchaseId, tools);
  if (purchase.status === "requires_approval" || isCanceled(purchase)) return purchase;
  const { id, status } = purchase;
  throw new CliError("not_cancelable", `The purchase ${id} ${STATES[status]} and cannot be canceled`);
}

const STATES: Readonly<Record<PurchaseAnswer["status"], string>> = {
  processing: "is still being processed",
  requires_approval: "waits for approval",
  succeeded: "has succeeded",
  failed: "has failed for good",
  needs_review: "is being reviewed",
};

/**
 * Cancels a purchase that waits for approval. That it is canceled is a success here.
 *
 * @throws CliError, ClientError: `not_cancelable`; what refused the call
 */
export async function cancel(purchaseId: string, tools: FollowTools): Promise<Concluded> {
  const canceling = tools.client.cancelPurchase(tools.organizationId, purchaseId);
  const answer = await tools.busy("Canceling", canceling);
  const purchase = await follow(answer, { ...tools, waitSeconds: 0 });
  return concluded(purchase, isCanceled(purchase) ? null : notCanceled(purchase));
}

function isCanceled({ failure }: PurchaseAnswer): boolean {
  return failure?.code === "payment_canceled";
}

/** What `pay` or `cancel` would act on; nothing was sent that changes anything. */
export function rehearsed(purchase: PurchaseAnswer): Concluded {
  const { result, ...rest } = concluded(purchase, null);
  return { ...rest, result: { ...result, dryRun: true } };
}

function notCanceled(purchase: PurchaseAnswer): CliError | null {
  const { id, status } = purchase;
  if (status === "failed") return errorOfPurchase(purchase);
  if (status === "succeeded")
    return new CliError("not_cancelable", `The purchase ${id} was paid before it was canceled`);
  return new CliError("purchase_unsettled", `The purchase ${id} is not canceled yet`, {
    hint: "Running the same command again is safe.",
  });
}

function read(purchaseId: string, { client, organizationId, busy }: FollowTools): Promise<PurchaseAnswer> {
  return busy("Reading the purchase", client.purchase(organizationId, purchaseId));
}

/**
 * Sends the one attempt. Where its answer is lost the purchase is read instead, because a second request could be a
 * second attempt at a card that was declined.
 */
async function attempt(
  purchaseId: string,
  { client, organizationId, busy }: FollowTools,
): Promise<{ begun: PurchaseAnswer; lost: Error | null }> {
  try {
    return { begun: await busy("Paying", client.payPurchase(organizationId, purchaseId)), lost: null };
  } catch (error) {
    if (!(error instanceof Error) || codeOf(error) !== "outcome_unknown") throw error;
    const reading = busy("Looking at the purchase", client.purchase(organizationId, purchaseId));
    const begun = await reading.catch(() => Promise.reject(error));
    // Why its answer is not known: what that leaves open is told of the purchase.
    return { begun, lost: error.cause instanceof Error ? error.cause : error };
  }
}

function untold({ id }: PurchaseAnswer, cause: Error): CliError {
  return new CliError("outcome_unknown", `Whether the purchase ${id} was paid is not known yet. ${cause.message}`, {
    hint: `See \`secureflag-licenses purchases show ${id}\`. Paying again is safe: it is charged once at most.`,
    cause,
  });
}

function concluded(answer: PurchaseAnswer, failure: CliError | null): Concluded {
  const { purchase, licenses } = splitAnswer(answer);
  return {
    result: { purchase, licenses, quote: null, replayed: false, dryRun: false },
    endedKey: null,
    failure,
  };
}
