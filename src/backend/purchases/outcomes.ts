import { dateInZone } from "../../billing/calendar.ts";
import type { PurchaseState } from "../../billing/purchase.ts";
import { nextRetryAt } from "../../billing/renewal.ts";
import type { PurchaseRow } from "../database/schema.ts";
import type { SettledPurchase } from "../deps.ts";
import { BACKEND } from "../events/events.ts";
import { GatewayRefusal, GatewayUnavailable, type Payment } from "../payments/gateway.ts";
import { movePurchase } from "./leases.ts";
import { moveOn } from "./moves.ts";
import { lastAttemptAt, nextCheck, priceOf, REVIEW_AFTER_MS } from "./schedule.ts";
import { endUnpaid, type Failure, fulfillPurchase, markRefundDue, type UnpaidEnd } from "./settle.ts";
import type { Step, WorkerRun } from "./worker.ts";

/** The payment was canceled before any money was taken. */
export const NEVER_PAID: Failure = {
  code: "payment_canceled",
  message: "The payment could not be made in time and was canceled.",
};

/** The customer no longer has the payment method. */
export const METHOD_REMOVED: Failure = { code: "payment_method_removed", message: "The card is no longer available." };

/** The money was returned by hand at the provider before anything was given for it. */
export const REFUNDED: Failure = { code: "payment_refunded", message: "The payment was refunded." };

/** The provider gave no other reason. */
export const REFUSED: Failure = { code: "payment_refused", message: "The payment was refused." };

/**
 * Ends a purchase whose request the provider refused as such. What was refused before money could move is declined; anything
 * else is an operator's to look at, because the provider may have done it under the same key before.
 */
export async function refuse(
  run: WorkerRun,
  purchase: PurchaseRow,
  refusal: GatewayRefusal,
  { isHarmless }: { isHarmless: boolean },
): Promise<Step> {
  if (!isHarmless || refusal.isConflict) return review(run, purchase, refusal.message);
  run.log(`purchase ${purchase.id}: ${refusal.message}`);
  return decline(run, purchase, REFUSED);
}

/** Leaves a purchase to the operator. It is still checked every day. */
export async function review(run: WorkerRun, purchase: PurchaseRow, reason: string): Promise<Step> {
  const before = BEFORE_REVIEW[purchase.state];
  await moveOn(run, purchase, before ? [before, "needs_review"] : "needs_review");
  run.log(`purchase ${purchase.id} needs review: ${reason}`);
  return "wait";
}

/** The states through which others reach `needs_review`. */
const BEFORE_REVIEW: Partial<Record<PurchaseState, PurchaseState>> = {
  charging: "unknown",
  requires_approval: "processing",
};

/**
 * Leaves a payment with an unknown outcome for later. After 24 hours an operator is asked to review the purchase, which is
 * still checked every day (src/backend/README.md, States).
 */
export async function waitOrReview(run: WorkerRun, purchase: PurchaseRow): Promise<Step> {
  const isOpen = purchase.state === "processing" || purchase.state === "unknown";
  if (!isOpen || run.clock.now() - lastAttemptAt(purchase) < REVIEW_AFTER_MS) return "wait";
  return review(run, purchase, "no evidence of its payment for 24 hours");
}

/** How a purchase ends that waited for a person and was not paid, and who ended it, for the audit log. */
export interface WaitingEnd {
  readonly state: "canceled" | "expired";
  readonly actor: string;
  /** The reason of the administrator who rejected it. */
  readonly rejection?: string | undefined;
}

const END_FAILURES: Readonly<Record<WaitingEnd["state"], Failure>> = {
  canceled: { code: "payment_canceled", message: "The purchase was canceled; nothing was charged." },
  expired: {
    code: "payment_expired",
    message: "The purchase was not paid in time and expired; nothing was charged.",
  },
};

/**
 * Fulfills a purchase whose payment took money, if that is the payment that was frozen at its acceptance, and it was
 * not refunded since. Otherwise nothing is given.
 */
export async function fulfillPaid(run: WorkerRun, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  // The answer to a confirmation of this run is new.
  const refund = run.hasConfirmed ? "none" : await refundOf(run, payment);
  if (refund === "whole" && canEndRefunded(purchase)) return decline(run, purchase, REFUNDED, { isPaymentOver: true });
  if (refund === "whole") return review(run, purchase, "its payment was refunded");
  // A refund that is on its way may still fail.
  if (refund === "pending") return "wait";
  // Outside of a review it is fulfilled, and a webhook or a reconciliation finds the refund as a difference.
  if (refund === "part" && purchase.state === "needs_review") {
    return review(run, purchase, "a part of its payment was refunded");
  }
  if (isAsFrozen(run, purchase, payment)) return fulfill(run, await withPaidMethod(run, purchase, payment));
  return review(run, purchase, "its payment took another amount, or from another customer, than was accepted");
}

/** How much of a payment that took money has since been refunded by hand at the provider; `pending` for all, but not yet. */
async function refundOf({ gateway }: WorkerRun, { id }: Payment): Promise<"none" | "part" | "pending" | "whole"> {
  const capture = await gateway.findCapture(id);
  if (capture === null) throw new GatewayUnavailable(`The provider does not know what payment ${id} took`);
  const { amount, refunded, refundPending } = capture;
  if (refunded + refundPending === 0) return "none";
  if (refunded + refundPending < amount) return "part";
  return refunded < amount ? "pending" : "whole";
}

/**
 * Whether a purchase ends once its payment was refunded. A renewal would be charged again on its schedule, which an
 * operator has to decide.
 */
function canEndRefunded({ kind, state }: PurchaseRow): boolean {
  return kind === "purchase" && state !== "requires_approval";
}

/** Whether the amount, currency, customer and mode of a payment are those of the purchase. */
function isAsFrozen({ gateway }: WorkerRun, purchase: PurchaseRow, payment: Payment): boolean {
  const { amount, currency } = payment.amount;
  return (
    amount === purchase.total &&
    currency === purchase.currency &&
    payment.customer === purchase.customer_id &&
    payment.mode === gateway.account.mode
  );
}

/**
 * Names the payment method that was charged, for the receipt and as the one to store. It is not that of the last
 * attempt if the bank approved an earlier attempt just as the last one began.
 */
export async function withPaidMethod(run: WorkerRun, purchase: PurchaseRow, payment: Payment): Promise<PurchaseRow> {
  const { paymentMethod } = payment;
  if (paymentMethod === null || paymentMethod === purchase.payment_method) return purchase;
  const changes = { payment_method: paymentMethod, payment_method_label: await labelOf(run, paymentMethod) };
  return movePurchase(run.database, purchase, purchase.state, changes);
}

/** The label of a payment method, if the provider shows it: what was paid must be fulfilled either way. */
async function labelOf({ gateway, log }: WorkerRun, paymentMethod: string): Promise<string | null> {
  try {
    return await gateway.readLabel(paymentMethod);
  } catch (error) {
    if (!(error instanceof GatewayUnavailable || error instanceof GatewayRefusal)) throw error;
    log(`label of payment method ${paymentMethod}`, error);
    return null;
  }
}

/** Fulfills a paid purchase, or refunds it if its term has ended meanwhile. */
export async function fulfill(run: WorkerRun, purchase: PurchaseRow, actor = BACKEND): Promise<Step> {
  const now = run.clock.now();
  if (purchase.total > 0 && isTermOver(purchase, now)) {
    const message = "The payment arrived after the term had ended; it is refunded.";
    return startRefund(run, purchase, { code: "term_ended", message });
  }
  run.fulfilled = await fulfillPurchase(run, purchase, now, actor);
  observeSettled(run, purchase, "fulfilled");
  run.reach("B8");
  return "settled";
}

/** Whether the term of a purchase has ended. A renewal is owed even then. */
function isTermOver(purchase: PurchaseRow, now: number): boolean {
  if (purchase.kind === "renewal") return false;
  return dateInZone(now, purchase.time_zone) >= priceOf(purchase).term.renewalDate;
}

/** Why a payment that arrived is refunded. */
const REFUND_REASONS = ["payment_late", "term_ended"];

/** Whether a refund is owed, also one that failed and is an operator's now. */
export function isRefundOwed({ state, failure_code }: PurchaseRow): boolean {
  return state === "refund_due" || (state === "needs_review" && REFUND_REASONS.includes(failure_code ?? ""));
}

/** Records that a payment has to be refunded. */
export async function startRefund(run: WorkerRun, purchase: PurchaseRow, failure: Failure): Promise<Step> {
  await markRefundDue(run, purchase, failure, run.clock.now());
  return { ...purchase, state: "refund_due" };
}

/** Ends a purchase declined. A renewal is retried on its schedule. */
export async function decline(
  run: WorkerRun,
  purchase: PurchaseRow,
  failure: Failure,
  more: Partial<Pick<UnpaidEnd, "actor" | "isPaymentOver">> = {},
): Promise<Step> {
  const now = run.clock.now();
  const nextCheckAt = purchase.kind === "renewal" ? nextRetryAt(purchase.accepted_at, now, purchase.time_zone) : null;
  await endUnpaid(run.database, purchase, { state: "declined", failure, actor: BACKEND, nextCheckAt, ...more }, now);
  observeSettled(run, purchase, "declined");
  return "settled";
}

/** No administrator approved the purchase in time. */
const NEVER_APPROVED: Failure = {
  code: "approval_expired",
  message: "No administrator approved the purchase in time, and it expired; nothing was charged.",
};

/**
 * Ends a waiting purchase that has no payment, or whose payment the provider canceled. It stays watched for a payment that
 * arrives anyway.
 */
export async function endWaiting(run: WorkerRun, purchase: PurchaseRow, end: WaitingEnd): Promise<Step> {
  const { state, actor } = end;
  const now = run.clock.now();
  const nextCheckAt = purchase.payment_id === null ? null : nextCheck(now, now);
  await endUnpaid(run.database, purchase, { state, ...reasonOf(purchase, end), actor, nextCheckAt }, now);
  observeSettled(run, purchase, state);
  return "settled";
}

function reasonOf({ state }: PurchaseRow, end: WaitingEnd): Pick<UnpaidEnd, "failure" | "event"> {
  const { rejection } = end;
  if (rejection !== undefined) {
    return { failure: { code: REJECTED, message: rejection }, event: "purchase.rejected" };
  }
  const isUnapproved = state === "awaiting_approval" && end.state === "expired";
  return { failure: isUnapproved ? NEVER_APPROVED : END_FAILURES[end.state] };
}

/** The code of a purchase that an administrator rejected. */
export const REJECTED = "rejected";

/** Reports a purchase that has settled. */
export function observeSettled(run: WorkerRun, purchase: PurchaseRow, outcome: SettledPurchase["outcome"]): void {
  const seconds = Math.max(0, run.clock.now() - lastAttemptAt(purchase)) / 1_000;
  run.observe?.({ kind: purchase.kind, outcome, seconds });
}
