import type { PurchaseAnswer } from "../../../contract/billing.ts";
import { CliError, codeOf } from "../../errors.ts";
import { administratorInvitation, awaitsAdministrator, errorOfPurchase } from "./failureWords.ts";
import { canBePaid, type FollowTools, follow, licensesAfter, splitAnswer } from "./follow.ts";
import { approvedAsShown, differenceFrom } from "./send.ts";
import type { Concluded } from "./tools.ts";

/**
 * Reads a purchase that can be paid now, or is already paid.
 *
 * @throws CliError `not_payable`; ClientError
 */
export async function readPayable(purchaseId: string, tools: FollowTools): Promise<PurchaseAnswer> {
  const purchase = await read(purchaseId, tools);
  const { id, status, nextAction } = purchase;
  if (awaitsAdministrator(purchase)) {
    throw new CliError("not_payable", `The purchase ${id} requires the approval of another administrator`, {
      hint: administratorInvitation(purchase),
    });
  }
  if (nextAction !== null || status === "succeeded") return purchase;
  throw new CliError("not_payable", `Nothing to pay: the purchase ${id} ${STATES[status]}`);
}

/**
 * Tries to pay a purchase once and follows it, for `waitSeconds` also while a person pays on the payment page. Buys nothing
 * new. Keeps its journal entry: the command that started it has not seen its end.
 *
 * @param shown the purchase whose amount was approved
 * @throws CliError, ClientError: `not_payable` if it can no longer be paid; what refused the call
 */
export async function pay(shown: PurchaseAnswer, tools: FollowTools): Promise<Concluded> {
  if (shown.status === "succeeded") return concluded(shown, null);
  const { id } = shown;
  tools.setInterruption({
    message: `The payment of ${id} may already be in progress. It is charged at most once.`,
    hint: `See it with \`secureflag-licenses purchases show ${id}\`.`,
  });
  const { begun, lost } = await attempt(id, tools);
  const purchase = await follow(begun, tools, "unpayable");
  const failure = lost !== null && canBePaid(purchase) ? unknownOutcome(purchase, lost) : errorOfPurchase(purchase);
  return {
    ...concluded(purchase, differenceFrom(approvedAsShown(shown), purchase) ?? failure),
    licensesAfter: licensesAfter(purchase, shown.organizationLicenses.purchased),
  };
}

/**
 * Reads a purchase that waits for approval, or is already canceled.
 *
 * @throws CliError `not_cancelable`; ClientError
 */
export async function readCancelable(purchaseId: string, tools: FollowTools): Promise<PurchaseAnswer> {
  const purchase = await read(purchaseId, tools);
  if (purchase.status === "requires_approval" || isCanceled(purchase)) return purchase;
  const { id, status } = purchase;
  throw new CliError("not_cancelable", `The purchase ${id} ${STATES[status]} and cannot be canceled`);
}

/** The end of a sentence about a purchase with a status. */
export const STATES: Readonly<Record<PurchaseAnswer["status"], string>> = {
  processing: "is still being processed",
  requires_approval: "is waiting for approval",
  succeeded: "has succeeded",
  failed: "has failed for good",
  needs_review: "is being reviewed",
};

/**
 * Cancels a purchase that waits for approval. A canceled purchase is a success here.
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

/** The result of a dry run of `pay`, `cancel`, `approve` or `reject`. */
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

/** Reads a purchase. */
export function read(purchaseId: string, { client, organizationId, busy }: FollowTools): Promise<PurchaseAnswer> {
  return busy("Reading the purchase", client.purchase(organizationId, purchaseId));
}

/**
 * Sends one attempt. If its response is lost, reads the purchase instead: a second request could try a declined card
 * again.
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
    return { begun, lost: error.cause instanceof Error ? error.cause : error };
  }
}

function unknownOutcome({ id }: PurchaseAnswer, cause: Error): CliError {
  return new CliError("outcome_unknown", `It is unknown whether the purchase ${id} was paid. ${cause.message}`, {
    hint: `See \`secureflag-licenses purchases show ${id}\`. Paying again is safe: it is charged at most once.`,
    cause,
  });
}

/** Ends with a purchase. Keeps the journal entry of the command that started it. */
export function concluded(answer: PurchaseAnswer, failure: CliError | null): Concluded {
  const { purchase, licenses } = splitAnswer(answer);
  return {
    result: { purchase, licenses, quote: null, replayed: false, dryRun: false },
    endedKey: null,
    failure,
  };
}
