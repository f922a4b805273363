import { ProblemError } from "../problem.ts";
import type { SubscriptionPicture } from "./picture.ts";

/**
 * Refuses to sell to a subscription that has ended or whose renewal is not paid (billing-rules.md, Renewal).
 *
 * @throws ProblemError `subscription_not_purchasable`, with the renewal to pay as `purchaseId`
 */
export function assertPurchasable(picture: SubscriptionPicture): void {
  if (picture.state !== "active") throw notPurchasable(picture, "no licenses can be added to it");
}

/**
 * Refuses to give out a license when the subscription has ended or is suspended; while it is past due licenses stay usable.
 *
 * @throws ProblemError `subscription_not_purchasable`, with the renewal to pay as `purchaseId`
 */
export function assertUsable(picture: SubscriptionPicture): void {
  if (picture.state === "ended" || picture.state === "suspended")
    throw notPurchasable(picture, "its licenses cannot be given out");
}

function notPurchasable({ row, state, term }: SubscriptionPicture, consequence: string): ProblemError {
  const { unpaid_renewal: purchaseId } = row;
  if (purchaseId === null) {
    return new ProblemError(
      "subscription_not_purchasable",
      `The subscription ended on ${term.renewalDate}; ${consequence}`,
    );
  }
  const what = state === "suspended" ? "is suspended" : "is past due";
  return new ProblemError(
    "subscription_not_purchasable",
    `The subscription ${what}; ${consequence} until its renewal is paid: \`purchases pay ${purchaseId}\``,
    { purchaseId },
  );
}
