import type { Purchase } from "../../../contract/billing.ts";
import { clean } from "../../kit/text.ts";
import { instant } from "../../kit/words.ts";

/** Why a payment failed, by the codes that providers and our backend use, in words that need no knowledge of payments. */
const REASONS: Readonly<Record<string, string>> = {
  card_declined: "The bank declined the card.",
  insufficient_funds: "There are not enough funds on the card.",
  expired_card: "The card has expired.",
  incorrect_cvc: "The card's security code is wrong.",
  authentication_required: "The bank wants the cardholder to confirm this payment.",
  no_payment_method: "The organization has no payment method.",
  payment_canceled: "The purchase was canceled before it was paid.",
  payment_expired: "Nobody paid the purchase in time, and it expired.",
};

/** Why a purchase failed: in our words where the code is known, else in the backend's, cleaned. */
export function failureReason(failure: Purchase["failure"]): string {
  if (failure === null) return "The purchase failed.";
  const known = Object.hasOwn(REASONS, failure.code) ? REASONS[failure.code] : undefined;
  return known ?? (clean(failure.message).trim() || "The purchase failed.");
}

/** What a purchase or a renewal that failed has cost. */
export function failureCost(failed: Pick<Purchase, "kind" | "refund" | "receiptNumber">): string {
  return noLicense(failed, whatWasCharged(failed));
}

/** Says of a purchase that no license came of it; a renewal adds none in any case. */
export function noLicense({ kind }: Pick<Purchase, "kind">, charged: string): string {
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
 * ` by 2026-11-23 10:00 UTC`: until when a purchase may be paid. Nothing for a renewal, which stays payable; its deadline
 * is a date in the billing time zone (see `unpaidDeadline`).
 */
export function payableBy({ kind, nextAction }: Pick<Purchase, "kind" | "nextAction">): string {
  return nextAction === null || kind === "renewal" ? "" : ` by ${instant(nextAction.expiresAt)}`;
}

/** What a person does on the payment page, with the time that is left; the URL follows it. */
export function pageInvitation(purchase: Pick<Purchase, "kind" | "status" | "nextAction">): string {
  const { status, nextAction } = purchase;
  const by = payableBy(purchase);
  if (status === "failed") return `Pay with another card${by} at`;
  if (nextAction?.type === "add_payment_method") return `Add a payment method and pay${by} at`;
  return `Approve the payment${by} at`;
}
