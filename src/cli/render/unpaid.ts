import { isTaxed } from "../../billing/proration.ts";
import type { Subscription } from "../../contract/billing.ts";
import { clean } from "./clean.ts";
import { moneyText } from "./money.ts";

/** A subscription, as far as it says what is past due. */
export type Owing = Pick<Subscription, "state" | "unpaid" | "taxRate">;

/** `£4,500.00 with tax, renewal pur_1`; `null` where nothing is past due. */
export function unpaidRenewal({ unpaid, taxRate }: Owing): string | null {
  return unpaid && `${unpaidAmount(unpaid, taxRate)}, renewal ${clean(unpaid.purchaseId)}`;
}

function unpaidAmount({ total }: NonNullable<Subscription["unpaid"]>, taxRate: string): string {
  return `${moneyText(total)}${isTaxed(taxRate) ? " with tax" : ""}`;
}

/** The one deadline of an unpaid renewal, as a labeled row: when the subscription is suspended, or since when it is. */
export function unpaidDeadline({ state, unpaid }: Owing): [label: string, value: string | null] {
  if (unpaid === null) return ["Pay before", null];
  return state === "suspended"
    ? ["Suspended", `since ${unpaid.deadline}, until the renewal is paid`]
    : ["Pay before", `${unpaid.deadline}, or the subscription is suspended`];
}

/** Why a subscription is suspended, the end of a sentence; `null` where nothing is past due. */
export function unpaidSuspension({ unpaid, taxRate }: Owing): string | null {
  if (unpaid === null) return null;
  const what = `renewal ${clean(unpaid.purchaseId)} (${unpaidAmount(unpaid, taxRate)}) is unpaid`;
  return `${what}, and the subscription has been suspended since ${unpaid.deadline}`;
}

/** Says what is unpaid, what that keeps from happening, and how to pay it by when; `null` where nothing is past due. */
export function unpaidWarning({ state, unpaid, taxRate }: Owing): string | null {
  if (unpaid === null) return null;
  const what = `The renewal ${clean(unpaid.purchaseId)} is unpaid: ${unpaidAmount(unpaid, taxRate)}.`;
  return state === "suspended"
    ? `${what} The subscription has been suspended since ${unpaid.deadline}. Pay it with ${payCommand(unpaid.purchaseId)}.`
    : `${what} No licenses can be bought until it is paid. Pay it before ${unpaid.deadline}, ` +
        `or the subscription is suspended: ${payCommand(unpaid.purchaseId)}.`;
}

/** The command that pays a purchase. */
export function payCommand(purchaseId: string): string {
  return `\`secureflag-licenses purchases pay ${clean(purchaseId)}\``;
}
