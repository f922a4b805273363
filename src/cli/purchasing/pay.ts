import type { PurchaseAnswer } from "../../contract/billing.ts";
import { CliError, codeOf } from "../errors.ts";
import { errorOfPurchase } from "./ending.ts";
import { canBePaid, type FollowTools, follow, hasEnded, splitAnswer } from "./follow.ts";
import type { Concluded } from "./tools.ts";

/**
 * Tries to pay a declined purchase again, once, and follows it: to its end, or, where `waitSeconds` says so, until a
 * person has paid it on the payment page (details.md, 11). Nothing is bought anew.
 *
 * @throws CliError, ClientError: `not_payable` where it cannot be paid any more; what refused the call
 */
export async function pay(purchaseId: string, tools: FollowTools): Promise<Concluded> {
  tools.setInterruption({
    message: `The payment of ${purchaseId} may already be under way. It is charged once at most.`,
    hint: `See it with \`secureflag-licenses purchases show ${purchaseId}\`.`,
  });
  const { begun, lost } = await attempt(purchaseId, tools);
  const purchase = await follow(begun, tools, "unpayable");
  return concluded(purchase, lost !== null && canBePaid(purchase) ? untold(purchase, lost) : errorOfPurchase(purchase));
}

/**
 * What `pay` would try to pay; sends nothing that changes anything.
 *
 * @throws CliError `not_payable`; ClientError
 */
export function rehearsePay(purchaseId: string, tools: FollowTools): Promise<Concluded> {
  return rehearse(purchaseId, tools, ({ id, status, nextAction }) =>
    nextAction === null && status !== "succeeded"
      ? new CliError("not_payable", `The purchase ${id} ${TOLD[status]}; there is nothing to pay`)
      : null,
  );
}

/**
 * What `cancel` would cancel; sends nothing that changes anything.
 *
 * @throws CliError `not_cancelable`; ClientError
 */
export function rehearseCancel(purchaseId: string, tools: FollowTools): Promise<Concluded> {
  return rehearse(purchaseId, tools, ({ id, status, failure }) =>
    status === "requires_approval" || failure?.code === "payment_canceled"
      ? null
      : new CliError("not_cancelable", `The purchase ${id} ${TOLD[status]} and cannot be canceled`),
  );
}

async function rehearse(
  purchaseId: string,
  { client, organizationId, busy }: FollowTools,
  refusal: (purchase: PurchaseAnswer) => CliError | null,
): Promise<Concluded> {
  const purchase = await busy("Reading the purchase", client.purchase(organizationId, purchaseId));
  const refused = refusal(purchase);
  if (refused) throw refused;
  const { result } = concluded(purchase, null);
  return { result: { ...result, dryRun: true }, endedKey: null, failure: null };
}

const TOLD: Readonly<Record<PurchaseAnswer["status"], string>> = {
  processing: "is still being processed",
  requires_approval: "waits for approval",
  succeeded: "has succeeded",
  failed: "has failed for good",
  needs_review: "is being reviewed",
};

/**
 * Cancels a purchase that waits for approval (details.md, 13). That it is canceled is a success here.
 *
 * @throws CliError, ClientError: `not_cancelable`; what refused the call
 */
export async function cancel(purchaseId: string, tools: FollowTools): Promise<Concluded> {
  const canceling = tools.client.cancelPurchase(tools.organizationId, purchaseId);
  const answer = await tools.busy("Canceling", canceling);
  const purchase = await follow(answer, { ...tools, waitSeconds: 0 });
  return concluded(purchase, purchase.failure?.code === "payment_canceled" ? null : notCanceled(purchase));
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
    endedKey: hasEnded(purchase) ? purchase.idempotencyKey : null,
    failure,
  };
}
