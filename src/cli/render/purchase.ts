import type { LicenseCounts } from "../../contract/basics.ts";
import type { Purchase, Subscription } from "../../contract/billing.ts";
import type { Output } from "../outputs.ts";
import { clean } from "./clean.ts";
import { failureReason, pageInvitation } from "./failure.ts";
import { moneyText } from "./money.ts";
import { addressText } from "./pageAddress.ts";
import { fields } from "./table.ts";
import { unpaidDeadline } from "./unpaid.ts";
import type { View } from "./view.ts";
import { countChange, counts, instant, licenses, withTax } from "./words.ts";
import { wrap } from "./wrap.ts";

/** The commands that end with one purchase. */
export type PurchaseCommand = "buy" | "purchases pay" | "purchases cancel";

/** How a command that is about one purchase went, for people. */
export function renderBuyResult(result: Output<"buy">, view: View, command: PurchaseCommand = "buy"): string {
  const { purchase, quote, replayed } = result;
  if (purchase === null) return dryRun(quote, view);
  if (result.dryRun) return `Dry run: ${rehearsed(purchase, command)}.\n${renderPurchase(purchase, view)}`;
  const change = quote === null ? "" : `: ${countChange(quote.licensesAfter, quote.licenses)}`;
  const isRenewal = purchase.kind === "renewal";
  const done = isRenewal ? "Paid the renewal of" : replayed ? "Already purchased" : "Purchased";
  const headline =
    purchase.status === "succeeded"
      ? view.style.green(`${done} ${licenses(purchase.licenses)}${change}`)
      : `${isRenewal ? "Renewal" : "Purchase"} ${statusWords(purchase, view)}: ${licenses(purchase.licenses)}`;
  return `${headline}\n${purchaseFields(purchase, result.licenses, view)}${pageLines(purchase, view)}`;
}

function rehearsed({ status, failure }: Purchase, command: PurchaseCommand): string {
  if (command === "buy") return "this was bought before by the same command, which would buy nothing more";
  if (command === "purchases pay") return status === "succeeded" ? "this is paid already" : "would try to pay this";
  return failure?.code === "payment_canceled" ? "this is canceled already" : "would cancel this";
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
  return `${purchaseFields(purchase, null, view)}${deadline}${pageLines(purchase, view)}`;
}

/** What `purchases resume` found. A purchase whose key is not void may still arrive. */
export function renderResumeResult(
  { resumed, notReceived, licenses: now }: Output<"purchases resume">,
  voidKeys: readonly string[],
  view: View,
): string {
  const parts = resumed.map((purchase) => renderPurchase(purchase, view));
  for (const { idempotencyKey, licenses: count } of notReceived) {
    const what = `A purchase of ${licenses(count)}`;
    const isVoid = voidKeys.includes(idempotencyKey);
    parts.push(isVoid ? `${what} never arrived; nothing was charged.` : `${what} has not arrived yet, and may still.`);
  }
  if (parts.length === 0) parts.push("Nothing was left open.");
  return [...parts, fields([["Licenses now", counts(now)]], view)].join("\n\n");
}

function purchaseFields(purchase: Purchase, now: LicenseCounts | null, view: View): string {
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
      ["Licenses now", now && counts(now)],
    ],
    view,
  );
}

/** The payment page, on a line of its own and never broken, so that it can be copied; then how to go on. */
function pageLines(purchase: Purchase, { width }: View): string {
  const { id, status, nextAction } = purchase;
  if (nextAction === null) return "";
  const goOn =
    status === "failed"
      ? `or run \`secureflag-licenses purchases pay ${clean(id)}\`.`
      : "then run `secureflag-licenses purchases resume`.";
  return ["", wrap(`${pageInvitation(purchase)}:`, width), addressText(nextAction.url), wrap(goOn, width)].join("\n");
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
