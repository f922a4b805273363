import { formatMoney } from "../../billing/money.ts";
import { isTaxed } from "../../billing/proration.ts";
import { ProblemError } from "../problem.ts";
import { type SubscriptionPicture, unpaidRenewal } from "./picture.ts";

/**
 * Refuses to sell to a subscription that has ended or whose renewal is not paid (billing-rules.md, Renewal).
 *
 * @throws ProblemError `subscription_not_purchasable`, with the renewal to pay as `purchaseId`
 */
export function assertPurchasable(picture: SubscriptionPicture): void {
  if (picture.state !== "active") throw notPurchasable(picture, "No licenses can be bought");
}

/**
 * Refuses to give out a license when the subscription has ended or is suspended; while it is past due licenses stay usable.
 *
 * @throws ProblemError `subscription_not_purchasable`, with the renewal to pay as `purchaseId`
 */
export function assertUsable(picture: SubscriptionPicture): void {
  if (picture.state === "ended" || picture.state === "suspended")
    throw notPurchasable(picture, "Users cannot take licenses");
}

function notPurchasable(picture: SubscriptionPicture, consequence: string): ProblemError {
  const { row, term, state } = picture;
  const unpaid = unpaidRenewal(picture);
  if (unpaid === null) {
    return new ProblemError(
      "subscription_not_purchasable",
      `${consequence}: the subscription ended on ${term.renewalDate}`,
    );
  }
  const { purchaseId, total, deadline } = unpaid;
  const amount = `${formatMoney(total)}${isTaxed(row.tax_rate) ? " with tax" : ""}`;
  const suspension =
    state === "suspended"
      ? `the subscription has been suspended since ${deadline}`
      : `on ${deadline} the subscription is suspended`;
  return new ProblemError(
    "subscription_not_purchasable",
    `${consequence}: renewal ${purchaseId} (${amount}) is unpaid, and ${suspension}`,
    { purchaseId },
  );
}
