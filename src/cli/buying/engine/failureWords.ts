import { ADMINISTRATOR_APPROVAL, type Purchase } from "../../../contract/billing.ts";
import { CliError } from "../../errors.ts";
import { addressText } from "../../kit/links.ts";
import { clean } from "../../kit/text.ts";
import { instant } from "../../kit/words.ts";

/** Why a payment failed, in plain words, by the codes that providers and our backend use. */
const REASONS: Readonly<Record<string, string>> = {
  card_declined: "The bank declined the card.",
  insufficient_funds: "The card has insufficient funds.",
  expired_card: "The card has expired.",
  incorrect_cvc: "The card's security code is wrong.",
  authentication_required: "The bank requires the cardholder to confirm this payment.",
  no_payment_method: "The organization has no payment method.",
  payment_canceled: "The purchase was canceled before it was paid.",
  payment_expired: "The purchase was not paid in time and expired.",
  approval_expired: "No administrator approved the purchase in time, and it expired.",
};

/** Says why a purchase failed: in our words if the code is known, else in the backend's, cleaned. */
export function failureReason(failure: Purchase["failure"]): string {
  if (failure === null) return "The purchase failed.";
  if (failure.code === "rejected") {
    return `An administrator rejected the purchase: ${clean(failure.message).trim().replace(/\.$/, "")}.`;
  }
  const known = Object.hasOwn(REASONS, failure.code) ? REASONS[failure.code] : undefined;
  return known ?? (clean(failure.message).trim() || "The purchase failed.");
}

/** Says what a failed purchase or renewal cost. */
export function failureCost(failed: Pick<Purchase, "kind" | "refund" | "receiptNumber">): string {
  return noLicense(failed, whatWasCharged(failed));
}

/** Says that a purchase added no license; a renewal never adds any. */
function noLicense({ kind }: Pick<Purchase, "kind">, charged: string): string {
  return kind === "purchase"
    ? `No license was added and ${charged}.`
    : `${charged[0]?.toUpperCase()}${charged.slice(1)}.`;
}

function whatWasCharged({ refund, receiptNumber }: Pick<Purchase, "refund" | "receiptNumber">): string {
  if (refund) return "the payment was refunded";
  // Only a payment that arrived has a receipt.
  return receiptNumber === null ? "nothing was charged" : "the payment is being refunded";
}

/**
 * ` by 2026-11-23 10:00 UTC`: until when a purchase can be paid. Empty for a renewal, which stays payable; its deadline is
 * a date in the billing time zone (see `unpaidDeadline`).
 */
function payableBy({ kind, nextAction }: Pick<Purchase, "kind" | "nextAction">): string {
  return nextAction === null || kind === "renewal" ? "" : ` by ${instant(nextAction.expiresAt)}`;
}

/** Whether a purchase waits for another administrator, who approves it with a command and not on a page. */
export function awaitsAdministrator({ nextAction }: Pick<Purchase, "nextAction">): boolean {
  return nextAction?.type === ADMINISTRATOR_APPROVAL;
}

/** Who has to approve a purchase that waits for another administrator, how, and by when. */
export function administratorInvitation({
  id,
  kind,
  nextAction,
}: Pick<Purchase, "id" | "kind" | "nextAction">): string {
  const command = `\`secureflag-licenses purchases approve ${clean(id)}\``;
  return `It waits for another administrator to run ${command}${payableBy({ kind, nextAction })}.`;
}

/** What to do on the payment page and by when; the URL follows. */
export function pageInvitation(purchase: Pick<Purchase, "kind" | "status" | "nextAction">): string {
  const { status, nextAction } = purchase;
  const by = payableBy(purchase);
  if (status === "failed") return `Pay with another card${by} at`;
  if (nextAction?.type === "add_payment_method") return `Add a payment method and pay${by} at`;
  return `Approve the payment${by} at`;
}

/**
 * Creates the error of a purchase that did not succeed, or not yet; `null` if it succeeded (src/cli/README.md, Exit codes).
 *
 * @param requestId the ID of the request that the decline answered
 * @param isPageShown whether the result above the error has the address of the payment page
 */
export function errorOfPurchase(purchase: Purchase, requestId?: string | null, isPageShown = false): CliError | null {
  const look = `See \`secureflag-licenses purchases show ${purchase.id}\`.`;
  switch (purchase.status) {
    case "succeeded":
      return null;
    case "failed":
      return new CliError("payment_declined", failureReason(purchase.failure), {
        hint: `${failureCost(purchase)} ${nextStep(purchase, isPageShown) ?? look}`,
        requestId: requestId ?? undefined,
      });
    case "requires_approval":
      return approvalRequired(purchase, isPageShown);
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

/** What can be done about a failed purchase; `null` if nothing. */
function nextStep(purchase: Purchase, isPageShown: boolean): string | null {
  const { id, kind, nextAction, failure } = purchase;
  if (nextAction !== null) {
    const command = `\`secureflag-licenses purchases pay ${id}\``;
    if (isPageShown) return `Pay it on the payment page or with ${command}.`;
    const page = nextAction.url === null ? "" : `open ${addressText(nextAction.url)} or `;
    const pay = `To pay it with another card${payableBy(purchase)}, ${page}run ${command}`;
    return kind === "renewal" ? `${pay}.` : `${pay}; buying again makes a new purchase.`;
  }
  return OVER.includes(failure?.code ?? "") ? "Buy again to make a new purchase." : null;
}

/** Why a purchase ended without anyone's objection. */
const OVER = ["payment_canceled", "payment_expired", "approval_expired"];

function approvalRequired(purchase: Purchase, isPageShown: boolean): CliError {
  const { nextAction } = purchase;
  if (awaitsAdministrator(purchase)) {
    const message = `The purchase requires the approval of another administrator. ${noLicense(purchase, "nothing was charged yet")}`;
    const goOn = "Once it is approved, run `secureflag-licenses purchases resume`.";
    return new CliError("approval_required", message, {
      hint: isPageShown ? goOn : `${administratorInvitation(purchase)} ${goOn}`,
    });
  }
  const needsMethod = nextAction?.type === "add_payment_method";
  const what = needsMethod
    ? "The organization has no payment method; add a card on the payment page"
    : "The payment requires approval";
  const page = isPageShown ? null : (nextAction?.url ?? null);
  const where = page === null ? "Pay it on the payment page" : `Open ${addressText(page)} to pay${payableBy(purchase)}`;
  return new CliError("approval_required", `${what}. ${noLicense(purchase, "nothing was charged yet")}`, {
    hint: `${where}, then run \`secureflag-licenses purchases resume\`.`,
  });
}
