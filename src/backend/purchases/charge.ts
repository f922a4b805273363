import { dateInZone } from "../../billing/calendar.ts";
import { money } from "../../billing/money.ts";
import { nextRetryAt } from "../../billing/renewal.ts";
import type { PurchaseRow } from "../database/schema.ts";
import type { BackendDeps, SettledPurchase } from "../deps.ts";
import { BACKEND } from "../events/events.ts";
import { isSameSpendingMonth } from "../identity/spending.ts";
import { GatewayUnavailable, type Payment } from "../payments/gateway.ts";
import { type Clocks, LEASE_MS, movePurchase, renewLease, StaleLease } from "./leases.ts";
import { deadlineOf, lastAttemptAt, nextCheck, priceOf, REVIEW_AFTER_MS } from "./schedule.ts";
import {
  endUnpaid,
  type Failure,
  fulfillPurchase,
  markRefundDue,
  requireApproval,
  requireApprovalAgain,
} from "./settle.ts";
import type { PurchaseRecord } from "./store.ts";

/** The payment was canceled before any money was taken. */
const NEVER_PAID: Failure = {
  code: "payment_canceled",
  message: "The payment could not be made in time and was canceled.",
};

const NO_METHOD: Failure = { code: "no_payment_method", message: "There is no payment method." };

const NEEDS_PERSON: Failure = {
  code: "authentication_required",
  message: "The bank requires a person to approve the payment.",
};

const REFUSED: Failure = { code: "payment_refused", message: "The payment was refused." };

/** Takes the next step of charging a purchase: creates its payment, confirms it, or follows its status. */
export async function charge(run: WorkerRun, purchase: PurchaseRow): Promise<Step> {
  if (purchase.payment_id) return followPayment(run, purchase, await run.gateway.read(purchase.payment_id));
  if (run.clock.now() >= deadlineOf(purchase)) return decline(run, purchase, NEVER_PAID);
  if (purchase.state === "accepted") return movePurchase(run.database, purchase, "charging");
  return createPayment(run, purchase);
}

/** Creates the payment unconfirmed, commits its ID before any money can move, and confirms it. */
async function createPayment(run: WorkerRun, purchase: PurchaseRow): Promise<Step> {
  const payment = await run.gateway.create({
    idempotencyKey: `${purchase.id}:create`,
    purchaseId: purchase.id,
    kind: purchase.kind,
    amount: money(purchase.total, purchase.currency),
    paymentMethod: purchase.payment_method,
  });
  run.reach("B4");
  const changes = { payment_id: payment.id, spent_at: run.clock.now() };
  const saved = await movePurchase(run.database, purchase, "charging", changes);
  run.reach("B5");
  return followPayment(run, saved, payment);
}

/** Moves the purchase to where its payment is. Only the provider's status decides. */
async function followPayment(run: WorkerRun, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  switch (payment.status) {
    case "succeeded":
      return fulfill(run, purchase);
    case "canceled":
      return decline(run, purchase, NEVER_PAID);
    case "processing":
      if (purchase.state === "charging" || purchase.state === "unknown") {
        await movePurchase(run.database, purchase, "processing");
      }
      return "wait";
    default:
      return isOutcomeKnown(purchase, payment)
        ? handleRefusal(run, purchase, payment)
        : confirmPayment(run, purchase, payment);
  }
}

/**
 * Whether the status of an unpaid payment is the outcome of the last attempt. After a second attempt it may still be the
 * outcome of the first, so the attempt is repeated under its own key.
 */
function isOutcomeKnown(purchase: PurchaseRow, payment: Payment): boolean {
  if (purchase.payment_method === null || purchase.state === "processing") return true;
  return purchase.confirm_count === 0 && payment.status !== "requires_confirmation";
}

/** Handles a payment that requires a person or was declined. A renewal is charged without a person, so both decline it. */
async function handleRefusal(run: WorkerRun, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  if (purchase.kind === "renewal") return decline(run, purchase, renewalFailure(purchase, payment));
  const times = { now: run.clock.now(), deadline: deadlineOf(purchase) };
  const isLate = times.now >= times.deadline;
  if (purchase.payment_method === null || payment.status === "requires_action") {
    if (isLate) return cancelPayment(run, purchase, payment);
    await requireApproval(run.database, purchase, times);
    return "settled";
  }
  const failure = payment.failure ?? NEVER_PAID;
  if (purchase.on_decline === "declined" || isLate) return decline(run, purchase, failure);
  await requireApprovalAgain(run.database, purchase, failure, times);
  return "settled";
}

/** Why a renewal was not paid, in Stripe's terms for off-session payments. */
function renewalFailure(purchase: PurchaseRow, payment: Payment): Failure {
  if (purchase.payment_method === null) return NO_METHOD;
  return payment.status === "requires_action" ? NEEDS_PERSON : (payment.failure ?? REFUSED);
}

/**
 * Confirms the payment, or cancels it after the deadline. The purchase counts in the spending month of its confirmation;
 * the limit is not checked again, because no request is waiting for the result.
 */
async function confirmPayment(run: WorkerRun, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  const now = run.clock.now();
  if (now >= deadlineOf(purchase)) return cancelPayment(run, purchase, payment);
  if (run.hasConfirmed || purchase.payment_method === null) return waitOrReview(run, purchase);
  run.hasConfirmed = true;
  const isUnchanged = purchase.state === "charging" && isSameSpendingMonth(purchase.spent_at, now, purchase.time_zone);
  const charging = isUnchanged ? purchase : await movePurchase(run.database, purchase, "charging", { spent_at: now });
  try {
    const confirmed = await run.gateway.confirm(payment.id, {
      idempotencyKey: `${purchase.id}:confirm:${purchase.confirm_count}`,
      paymentMethod: purchase.payment_method,
      approvedByPerson: purchase.by_person === 1,
    });
    run.reach("B7");
    return await followConfirmation(run, charging, confirmed);
  } catch (error) {
    if (!(error instanceof GatewayUnavailable)) throw error;
    run.log(`purchase ${purchase.id}: ${error.message}`);
    return movePurchase(run.database, charging, "unknown");
  }
}

/** Follows the answer to a confirmation, which is the outcome of this attempt. */
async function followConfirmation(run: WorkerRun, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  const isRefusal = payment.status === "requires_payment_method" || payment.status === "requires_action";
  return isRefusal ? handleRefusal(run, purchase, payment) : followPayment(run, purchase, payment);
}

/** Cancels an unpaid payment, and declines the purchase once the provider has confirmed that. */
async function cancelPayment(run: WorkerRun, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  const canceled = await run.gateway.cancel(payment.id);
  if (canceled.status === "canceled") return decline(run, purchase, payment.failure ?? NEVER_PAID);
  const isOpen = canceled.status !== "succeeded" && canceled.status !== "processing";
  return isOpen ? "wait" : followPayment(run, purchase, canceled);
}

/**
 * Leaves a payment with an unknown outcome for later. After 24 hours an operator is asked to review the purchase, which is
 * still checked every day (src/backend/README.md, States).
 */
export async function waitOrReview(run: WorkerRun, purchase: PurchaseRow): Promise<Step> {
  const isOpen = purchase.state === "processing" || purchase.state === "unknown";
  if (!isOpen || run.clock.now() - lastAttemptAt(purchase) < REVIEW_AFTER_MS) return "wait";
  await movePurchase(run.database, purchase, "needs_review");
  run.log(`purchase ${purchase.id} needs review: no evidence of its payment for 24 hours`);
  return "wait";
}

/** The dependencies of a worker. */
export type WorkerDeps = Pick<
  BackendDeps,
  "database" | "gateway" | "clock" | "now" | "reach" | "log" | "changes" | "observe"
>;

/** One worker's run on a purchase, under one lease. */
export interface WorkerRun extends WorkerDeps {
  /** A run confirms at most once. If the outcome stays unknown, a later run checks it. */
  hasConfirmed: boolean;
  /** The purchase once it is fulfilled, if it need not be read again. */
  fulfilled?: PurchaseRecord | null;
}

/** The result of a step: the purchase in its new state, `settled`, or `wait` for a later check. */
export type Step = PurchaseRow | "settled" | "wait";

/** How a purchase ends that waited for a person and was not paid, and who ended it, for the audit log. */
export interface WaitingEnd {
  readonly state: "canceled" | "expired";
  readonly actor: string;
}

const END_FAILURES: Readonly<Record<WaitingEnd["state"], Failure>> = {
  canceled: { code: "payment_canceled", message: "The purchase was canceled; nothing was charged." },
  expired: {
    code: "payment_expired",
    message: "The purchase was not paid in time and expired; nothing was charged.",
  },
};

/** Reads both clocks. */
export function clocksOf({ clock, now }: Pick<WorkerDeps, "clock" | "now">): Clocks {
  return { billing: clock.now(), machine: now() };
}

/** Renews a lease while `work` runs. If the lease is lost, the work is dropped, because another worker continues it. */
export async function holdLease(deps: WorkerDeps, lease: PurchaseRow, work: () => Promise<void>): Promise<void> {
  const renewal = setInterval(() => {
    renewLease(deps.database, lease, deps.now()).catch((error) => deps.log(`lease of purchase ${lease.id}`, error));
  }, LEASE_MS / 3);
  try {
    await work();
  } catch (error) {
    if (!(error instanceof StaleLease)) throw error;
    deps.log(`purchase ${lease.id}: lease lost to another worker`);
  } finally {
    clearInterval(renewal);
    deps.changes.emit(lease.id);
  }
}

/** Fulfills a paid purchase, or refunds it if its term has ended meanwhile. */
export async function fulfill(run: WorkerRun, purchase: PurchaseRow): Promise<Step> {
  const now = run.clock.now();
  if (purchase.total > 0 && isTermOver(purchase, now)) {
    const message = "The payment arrived after the term had ended; it is refunded.";
    return startRefund(run, purchase, { code: "term_ended", message });
  }
  run.fulfilled = await fulfillPurchase(run.database, purchase, now);
  observeSettled(run, purchase, "fulfilled");
  run.reach("B8");
  return "settled";
}

/** Whether the term of a purchase has ended. A renewal is owed even then. */
function isTermOver(purchase: PurchaseRow, now: number): boolean {
  if (purchase.kind === "renewal") return false;
  return dateInZone(now, purchase.time_zone) >= priceOf(purchase).term.renewalDate;
}

/** Records that a payment has to be refunded. */
export async function startRefund(run: WorkerRun, purchase: PurchaseRow, failure: Failure): Promise<Step> {
  await markRefundDue(run.database, purchase, failure, run.clock.now());
  return { ...purchase, state: "refund_due" };
}

/** Ends a purchase declined. A renewal is retried on its schedule. */
async function decline(run: WorkerRun, purchase: PurchaseRow, failure: Failure): Promise<Step> {
  const now = run.clock.now();
  const nextCheckAt = purchase.kind === "renewal" ? nextRetryAt(purchase.accepted_at, now, purchase.time_zone) : null;
  await endUnpaid(run.database, purchase, { state: "declined", failure, actor: BACKEND, nextCheckAt }, now);
  observeSettled(run, purchase, "declined");
  return "settled";
}

/** Ends a waiting purchase whose payment the provider canceled. It stays watched for a payment that arrives anyway. */
export async function endWaiting(run: WorkerRun, purchase: PurchaseRow, { state, actor }: WaitingEnd): Promise<Step> {
  const now = run.clock.now();
  const end = { state, failure: END_FAILURES[state], actor, nextCheckAt: nextCheck(now, now) };
  await endUnpaid(run.database, purchase, end, now);
  observeSettled(run, purchase, state);
  return "settled";
}

/** Reports a purchase that has settled. */
export function observeSettled(run: WorkerRun, purchase: PurchaseRow, outcome: SettledPurchase["outcome"]): void {
  const seconds = Math.max(0, run.clock.now() - lastAttemptAt(purchase)) / 1_000;
  run.observe?.({ kind: purchase.kind, outcome, seconds });
}
