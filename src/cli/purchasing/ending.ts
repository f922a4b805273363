import type { Purchase } from "../../contract/billing.ts";
import { CliError } from "../errors.ts";
import { failureCost, failureReason, noLicense, payableBy } from "../render/failure.ts";
import { addressText } from "../render/pageAddress.ts";

/**
 * The failure of a purchase that ended, or stopped, without success; `null` where it succeeded (cli.md, Exit codes).
 *
 * @param requestId the backend's name for the request that was answered with a decline
 */
export function errorOfPurchase(purchase: Purchase, requestId?: string | null): CliError | null {
  const look = `See \`secureflag-licenses purchases show ${purchase.id}\`.`;
  switch (purchase.status) {
    case "succeeded":
      return null;
    case "failed":
      return new CliError("payment_declined", failureReason(purchase.failure), {
        hint: `${failureCost(purchase)} ${nextStep(purchase) ?? look}`,
        requestId: requestId ?? undefined,
      });
    case "requires_approval":
      return approvalRequired(purchase);
    case "processing":
      return new CliError("purchase_unsettled", `The payment of purchase ${purchase.id} is still being processed.`, {
        hint: "Running the same command again is safe; so is `secureflag-licenses purchases resume`.",
      });
    case "needs_review":
      return new CliError("purchase_unsettled", `Purchase ${purchase.id} is being reviewed by an operator.`, {
        hint: `Running the same command again is safe. ${look}`,
      });
  }
}

/** What can be done about a failed purchase; `null` where only looking at it is left. */
function nextStep(purchase: Purchase): string | null {
  const { id, kind, nextAction, failure } = purchase;
  if (nextAction !== null) {
    const command = `\`secureflag-licenses purchases pay ${id}\``;
    const pay = `To pay it with another card${payableBy(purchase)}, open ${addressText(nextAction.url)} or run ${command}`;
    return kind === "renewal" ? `${pay}.` : `${pay}; buying again makes a new one.`;
  }
  const isOver = failure?.code === "payment_canceled" || failure?.code === "payment_expired";
  return isOver ? "Running `buy` or `top-up` again makes a new purchase." : null;
}

function approvalRequired(purchase: Purchase): CliError {
  const { nextAction } = purchase;
  const needsMethod = nextAction?.type === "add_payment_method";
  const what = needsMethod
    ? "The organization has no payment method; a card is added on the payment page"
    : "The payment waits for a person's approval";
  const where = nextAction === null ? "Approve it on the payment page" : `Open ${addressText(nextAction.url)} to pay`;
  return new CliError("approval_required", `${what}. ${noLicense(purchase, "nothing was charged yet")}`, {
    hint: `${where}${payableBy(purchase)}, then run \`secureflag-licenses purchases resume\`.`,
  });
}
