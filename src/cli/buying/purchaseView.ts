import { isTaxed } from "../../billing/proration.ts";
import type { Purchase, Subscription } from "../../contract/billing.ts";
import { addressText } from "../kit/links.ts";
import type { View } from "../kit/output.ts";
import { fields } from "../kit/table.ts";
import { clean } from "../kit/text.ts";
import { countChange, counts, instant, licenses, moneyText, withTax } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import type { Output } from "../outputs.ts";
import { administratorInvitation, awaitsAdministrator, failureReason, pageInvitation } from "./engine/failureWords.ts";

/** The commands that print one purchase. */
export type PurchaseCommand = "buy" | `purchases ${"pay" | "cancel" | "approve" | "reject"}`;

/** What the result of a purchase depends on beside the purchase. */
export interface ResultContext {
  /** `users` for commands that add users. */
  readonly command?: PurchaseCommand | "users" | "purchases resume";
  /** Whether it was paid before the command ran. */
  readonly wasPaid?: boolean;
  /** The number of licenses purchased after it, if known without a quote. */
  readonly licensesAfter?: number | null;
  /** Whether the error says why it did not succeed and what to do next. */
  readonly hasError?: boolean;
  /** Whether its payment page is on the screen already. */
  readonly isPageOnScreen?: boolean;
}

/**
 * Renders the result of a command about one purchase: the outcome in a line, its receipt and where to pay it. Leaves out what
 * the error on stderr says, and details that `purchases show` has.
 */
export function renderBuyResult(result: Output<"buy">, view: View, about: ResultContext = {}): string {
  const { purchase, quote } = result;
  const { command = "buy", hasError = true, isPageOnScreen = false, wasPaid = false } = about;
  if (purchase === null) return dryRun(quote, view);
  if (result.dryRun) return `Dry run: ${rehearsed(purchase, command)}.\n${renderPurchase(purchase, view)}`;
  const isAdded = purchase.status === "succeeded" && purchase.kind === "purchase" && !wasPaid;
  const lines = [
    outcome(result, purchase, view, about),
    purchase.receiptNumber && `Receipt ${clean(purchase.receiptNumber)}`,
    isAdded && command !== "users" && "Add users with `secureflag-licenses users add`.",
    ...(isPageOnScreen ? [] : pageLines(purchase, view)),
    !hasError && nextStep(purchase, view),
    `Details: \`secureflag-licenses purchases show ${clean(purchase.receiptNumber ?? purchase.id)}\``,
  ];
  return lines.filter(Boolean).join("\n");
}

function outcome(result: Output<"buy">, purchase: Purchase, view: View, about: ResultContext): string {
  if (purchase.status === "succeeded") return `${view.style.green("✓")} ${succeeded(result, purchase, about)}`;
  if (about.command === "purchases cancel" && purchase.failure?.code === "payment_canceled")
    return wrap(`Canceled the purchase of ${licensesFor(purchase)}. Nothing was charged.`, view.width);
  if (about.command === "purchases reject" && purchase.failure?.code === "rejected")
    return wrap(`Rejected the purchase of ${licensesFor(purchase)}. Nothing was charged.`, view.width);
  return unfinished(purchase, view, about.hasError ?? true);
}

/** `Bought 5 licenses (25 → 30) for £244.10`. */
function succeeded({ replayed, quote }: Output<"buy">, purchase: Purchase, about: ResultContext): string {
  if (about.wasPaid) return `Already paid: ${bought(purchase)} for ${moneyText(purchase.total)}. Nothing was charged.`;
  if (purchase.kind === "renewal") return `Paid the renewal of ${licensesFor(purchase)}`;
  const after = quote?.licensesAfter ?? about.licensesAfter ?? null;
  const change = after === null ? "" : ` (${countChange(after, purchase.licenses)})`;
  const verb = replayed ? "Already bought" : about.command === "purchases approve" ? "Approved and bought" : "Bought";
  return `${verb} ${licenses(purchase.licenses)}${change} for ${moneyText(purchase.total)}`;
}

/** `Purchase failed: 5 licenses for £244.10`, then what was given back. */
function unfinished(purchase: Purchase, view: View, hasError: boolean): string {
  const { kind, failure, refund } = purchase;
  const headline = `${kind === "renewal" ? "Renewal" : "Purchase"} ${statusWords(purchase, view)}: ${licensesFor(purchase)}`;
  return [
    headline,
    ...(failure && !hasError ? [wrap(failureReason(failure), view.width)] : []),
    ...(refund ? [`Refunded ${moneyText(refund.amount)}, credit note ${clean(refund.creditNoteNumber)}`] : []),
  ].join("\n");
}

/** `5 licenses for £244.10`. */
function licensesFor(purchase: Purchase): string {
  return `${licenses(purchase.licenses)} for ${moneyText(purchase.total)}`;
}

function rehearsed({ status, failure, approval }: Purchase, command: string): string {
  if (command === "purchases approve")
    return approval?.approvedAt ? "already approved" : "would approve and charge this";
  if (command === "purchases reject") return failure?.code === "rejected" ? "already rejected" : "would reject this";
  if (command === "purchases pay") return status === "succeeded" ? "already paid" : "would try to pay this";
  if (command === "purchases cancel")
    return failure?.code === "payment_canceled" ? "already canceled" : "would cancel this";
  return "already bought by an earlier run; would buy nothing more";
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
 * Renders one purchase.
 *
 * @param subscription the subscription whose unpaid renewal it may be
 */
export function renderPurchase(purchase: Purchase, view: View, subscription: Subscription | null = null): string {
  const isUnpaid = subscription?.unpaid?.purchaseId === purchase.id;
  const deadline = isUnpaid ? `\n${fields([unpaidDeadline(subscription), missedRenewals(subscription)], view)}` : "";
  const lines = [
    `${purchaseFields(purchase, view)}${deadline}`,
    ...pageLines(purchase, view),
    nextStep(purchase, view),
  ];
  return lines.filter(Boolean).join("\n");
}

/** What `purchases resume` knows beside its result. */
export interface ResumeContext {
  /** Keys under which nothing will ever arrive. */
  readonly voidKeys: readonly string[];
  about(purchase: Purchase): ResultContext;
}

/** Renders what `purchases resume` found. A purchase whose key is not void may still arrive. */
export function renderResumeResult(
  { resumed, notReceived, licenses: now }: Output<"purchases resume">,
  { voidKeys, about }: ResumeContext,
  view: View,
): string {
  const rest = { licenses: null, quote: null, replayed: false, dryRun: false };
  const parts = resumed.map((purchase) =>
    renderBuyResult({ purchase, ...rest }, view, { command: "purchases resume", ...about(purchase) }),
  );
  for (const { idempotencyKey, licenses: count } of notReceived) {
    const what = `A purchase of ${licenses(count)}`;
    const isVoid = voidKeys.includes(idempotencyKey);
    parts.push(isVoid ? `${what} never arrived. Nothing was charged.` : `${what} has not arrived yet.`);
  }
  if (parts.length === 0) parts.push("No open purchases.");
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
      ["Started", instant(purchase.createdAt)],
      ["Completed", purchase.completedAt && instant(purchase.completedAt)],
      ["By", buyer(purchase)],
      ["Approved", approval(purchase)],
    ],
    view,
  );
}

/** `2026-11-22 13:00 UTC by bob@northwind.example`; `null` if no administrator has approved it. */
function approval({ approval }: Purchase): string | null {
  if (!approval?.approvedAt) return null;
  return `${instant(approval.approvedAt)} by ${clean(approval.approvedBy ?? "an administrator")}`;
}

/** The payment page, on a line of its own that is never broken, so that it can be copied; or who approves the purchase. */
function pageLines(purchase: Purchase, { width }: View): string[] {
  const { nextAction } = purchase;
  if (awaitsAdministrator(purchase)) return [wrap(administratorInvitation(purchase), width)];
  return !nextAction?.url ? [] : [wrap(`${pageInvitation(purchase)}:`, width), addressText(nextAction.url)];
}

/** What to do after or instead of opening the payment page, as the end of its sentence; `null` if nothing can be paid. */
function nextStep({ id, status, nextAction }: Purchase, { width }: View): string | null {
  if (!nextAction?.url) return null;
  return status === "failed"
    ? wrap(`or run ${payCommand(id)}.`, width)
    : wrap("then run `secureflag-licenses purchases resume`.", width);
}

/** Names who bought, and with which token; `null` for a renewal. */
export function buyer({ purchasedBy }: Purchase): string | null {
  if (purchasedBy === null) return null;
  return clean(purchasedBy.token ? `${purchasedBy.email}, token ${purchasedBy.token}` : purchasedBy.email);
}

/** Names what was bought: `5 licenses`, `renewal of 25 licenses`. */
export function bought(purchase: Purchase): string {
  return purchase.kind === "renewal" ? `renewal of ${licenses(purchase.licenses)}` : licenses(purchase.licenses);
}

/** The status of purchases that failed without a decline. */
const ENDINGS: Readonly<Record<string, string>> = {
  payment_expired: "expired",
  approval_expired: "expired",
  payment_canceled: "canceled",
  rejected: "rejected",
};

/** Names the status of a purchase. */
export function statusWords({ status, failure, refund }: Purchase, { style }: View): string {
  const word = (status === "failed" && failure && ENDINGS[failure.code]) || status.replace("_", " ");
  const words = refund ? `${word}, refunded` : word;
  if (status === "succeeded") return style.green(words);
  return status === "failed" ? style.red(words) : style.yellow(words);
}

/** What is past due of a subscription. */
export type Owing = Pick<Subscription, "state" | "unpaid" | "taxRate">;

/** `£4,500.00 with tax, renewal pur_1`; `null` if nothing is past due. */
export function unpaidRenewal({ unpaid, taxRate }: Owing): string | null {
  return unpaid && `${unpaidAmount(unpaid, taxRate)}, renewal ${clean(unpaid.purchaseId)}`;
}

/** The renewals that are charged once the unpaid one is paid, as a labeled row. */
export function missedRenewals({ unpaid, taxRate }: Owing): [label: string, value: string | null] {
  const missed = unpaid?.missed ?? null;
  return ["Then due", missed && `${missedWords(missed, taxRate)}, once it is paid`];
}

/** `3 more renewals, US$2,700.00 with tax`. */
export function missedWords({ renewals, total }: NonNullable<NonNullable<Owing["unpaid"]>["missed"]>, taxRate: string) {
  const count = renewals === 1 ? "1 more renewal" : `${renewals} more renewals`;
  return `${count}, ${moneyText(total)}${isTaxed(taxRate) ? " with tax" : ""}`;
}

function unpaidAmount({ total }: NonNullable<Subscription["unpaid"]>, taxRate: string): string {
  return `${moneyText(total)}${isTaxed(taxRate) ? " with tax" : ""}`;
}

/** The deadline of an unpaid renewal as a labeled row: when the subscription will be suspended, or since when it is. */
export function unpaidDeadline({ state, unpaid }: Owing): [label: string, value: string | null] {
  if (unpaid === null) return ["Pay before", null];
  return state === "suspended"
    ? ["Suspended", `since ${unpaid.deadline}, until the renewal is paid`]
    : ["Pay before", `${unpaid.deadline}, or the subscription is suspended`];
}

/** Says why a subscription is suspended, as the end of a sentence; `null` if nothing is past due. */
export function unpaidSuspension({ unpaid, taxRate }: Owing): string | null {
  if (unpaid === null) return null;
  const what = `renewal ${clean(unpaid.purchaseId)} (${unpaidAmount(unpaid, taxRate)}) is unpaid`;
  return `${what}, and the subscription has been suspended since ${unpaid.deadline}`;
}

/** The command that pays a purchase. */
export function payCommand(purchaseId: string): string {
  return `\`secureflag-licenses purchases pay ${clean(purchaseId)}\``;
}
