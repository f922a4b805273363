import { isTaxed } from "../../billing/proration.ts";
import type { Purchase, Subscription } from "../../contract/billing.ts";
import { addressText } from "../kit/links.ts";
import type { View } from "../kit/output.ts";
import { fields } from "../kit/table.ts";
import { clean } from "../kit/text.ts";
import { countChange, counts, instant, licenses, moneyText, withTax } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import type { Output } from "../outputs.ts";
import { failureReason, pageInvitation } from "./engine/failureWords.ts";

/** The commands that end with one purchase. */
export type PurchaseCommand = "buy" | "purchases pay" | "purchases cancel";

/**
 * How a command that is about one purchase went, for people: the outcome in a line, its receipt and what to do next.
 * Everything else is what `purchases show` is for.
 *
 * @param command `users` for those that add users themselves
 */
export function renderBuyResult(
  result: Output<"buy">,
  view: View,
  command: PurchaseCommand | "users" | "purchases resume" = "buy",
): string {
  const { purchase, quote } = result;
  if (purchase === null) return dryRun(quote, view);
  if (result.dryRun) return `Dry run: ${rehearsed(purchase, command)}.\n${renderPurchase(purchase, view)}`;
  const isAdded = purchase.status === "succeeded" && purchase.kind === "purchase";
  const lines = [
    outcome(result, purchase, view, command),
    purchase.receiptNumber && `Receipt ${clean(purchase.receiptNumber)}`,
    isAdded && command !== "users" && "Add users with `secureflag-licenses users add`.",
    ...pageLines(purchase, view),
    `Details: \`purchases show ${clean(purchase.id)}\``,
  ];
  return lines.filter(Boolean).join("\n");
}

function outcome(result: Output<"buy">, purchase: Purchase, view: View, command: string): string {
  if (purchase.status === "succeeded") return `${view.style.green("✓")} ${succeeded(result, purchase)}`;
  if (command === "purchases cancel" && purchase.failure?.code === "payment_canceled")
    return wrap(`Canceled the purchase of ${licensesFor(purchase)}. Nothing was charged.`, view.width);
  return unfinished(purchase, view);
}

/** `Bought 5 licenses (25 → 30) for £244.10`. */
function succeeded({ replayed, quote }: Output<"buy">, purchase: Purchase): string {
  if (purchase.kind === "renewal") return `Paid the renewal of ${licensesFor(purchase)}`;
  const change = quote === null ? "" : ` (${countChange(quote.licensesAfter, quote.licenses)})`;
  return `${replayed ? "Already bought" : "Bought"} ${licenses(purchase.licenses)}${change} for ${moneyText(purchase.total)}`;
}

/** `Purchase failed: 5 licenses for £244.10`, then why and what was given back. */
function unfinished(purchase: Purchase, view: View): string {
  const { kind, failure, refund } = purchase;
  const headline = `${kind === "renewal" ? "Renewal" : "Purchase"} ${statusWords(purchase, view)}: ${licensesFor(purchase)}`;
  return [
    headline,
    ...(failure ? [wrap(failureReason(failure), view.width)] : []),
    ...(refund ? [`Refunded ${moneyText(refund.amount)}, credit note ${clean(refund.creditNoteNumber)}`] : []),
  ].join("\n");
}

/** `5 licenses for £244.10`. */
function licensesFor(purchase: Purchase): string {
  return `${licenses(purchase.licenses)} for ${moneyText(purchase.total)}`;
}

function rehearsed({ status, failure }: Purchase, command: string): string {
  if (command === "purchases pay") return status === "succeeded" ? "this is paid already" : "would try to pay this";
  if (command === "purchases cancel")
    return failure?.code === "payment_canceled" ? "this is canceled already" : "would cancel this";
  return "the same command bought this before, and would buy nothing more";
}

function dryRun(quote: Output<"buy">["quote"], view: View): string {
  if (quote === null) return "Dry run: nothing was quoted.";
  const { licensesAfter, licenses: count, total } = quote;
  return wrap(
    `Dry run: would buy ${licenses(count)} for ${moneyText(total)}, ${countChange(licensesAfter, count)}.`,
    view.width,
  );
}

/**
 * One purchase.
 *
 * @param subscription of which it may be the unpaid renewal; `null` where that is not asked
 */
export function renderPurchase(purchase: Purchase, view: View, subscription: Subscription | null = null): string {
  const isUnpaid = subscription?.unpaid?.purchaseId === purchase.id;
  const deadline = isUnpaid ? `\n${fields([unpaidDeadline(subscription)], view)}` : "";
  return [`${purchaseFields(purchase, view)}${deadline}`, ...pageLines(purchase, view)].join("\n");
}

/** What `purchases resume` found. A purchase whose key is not void may still arrive. */
export function renderResumeResult(
  { resumed, notReceived, licenses: now }: Output<"purchases resume">,
  voidKeys: readonly string[],
  view: View,
): string {
  const about = { licenses: null, quote: null, replayed: false, dryRun: false };
  const parts = resumed.map((purchase) => renderBuyResult({ purchase, ...about }, view, "purchases resume"));
  for (const { idempotencyKey, licenses: count } of notReceived) {
    const what = `A purchase of ${licenses(count)}`;
    const isVoid = voidKeys.includes(idempotencyKey);
    parts.push(isVoid ? `${what} never arrived; nothing was charged.` : `${what} has not arrived yet, and may still.`);
  }
  if (parts.length === 0) parts.push("Nothing was left open.");
  return [...parts, fields([["Licenses now", counts(now)]], view)].join("\n\n");
}

function purchaseFields(purchase: Purchase, view: View): string {
  const { total, dueNow, tax, failure, refund } = purchase;
  return fields(
    [
      ["Purchase", clean(purchase.id)],
      ["Status", statusWords(purchase, view)],
      ["Failure", failure && failureReason(failure)],
      ["What", bought(purchase)],
      ["Total", withTax({ total, net: dueNow, tax })],
      [
        "Refund",
        refund
          ? `${moneyText(refund.amount)} on ${instant(refund.refundedAt)}, credit note ${clean(refund.creditNoteNumber)}`
          : null,
      ],
      ["Receipt", purchase.receiptNumber && clean(purchase.receiptNumber)],
      ["PO number", purchase.purchaseOrder && clean(purchase.purchaseOrder)],
      ["Note", purchase.note && clean(purchase.note)],
      ["Key", purchase.idempotencyKey && clean(purchase.idempotencyKey)],
      ["Begun", instant(purchase.createdAt)],
      ["Completed", purchase.completedAt && instant(purchase.completedAt)],
      ["By", buyer(purchase)],
    ],
    view,
  );
}

/** The payment page, on a line of its own and never broken, so that it can be copied; then how to go on. */
function pageLines(purchase: Purchase, { width }: View): string[] {
  const { id, status, nextAction } = purchase;
  if (nextAction === null) return [];
  const goOn =
    status === "failed"
      ? `or run \`secureflag-licenses purchases pay ${clean(id)}\`.`
      : "then run `secureflag-licenses purchases resume`.";
  return [wrap(`${pageInvitation(purchase)}:`, width), addressText(nextAction.url), wrap(goOn, width)];
}

/** Who bought, and with which token; `null` for a renewal. */
export function buyer({ purchasedBy }: Purchase): string | null {
  if (purchasedBy === null) return null;
  return clean(purchasedBy.token ? `${purchasedBy.email}, token ${purchasedBy.token}` : purchasedBy.email);
}

/** What was bought. */
export function bought(purchase: Purchase): string {
  return purchase.kind === "renewal" ? `renewal of ${licenses(purchase.licenses)}` : licenses(purchase.licenses);
}

/** Where a purchase stands. */
export function statusWords({ status, refund }: Purchase, { style }: View): string {
  const words = refund ? "failed, refunded" : status.replace("_", " ");
  if (status === "succeeded") return style.green(words);
  return status === "failed" ? style.red(words) : style.yellow(words);
}

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
