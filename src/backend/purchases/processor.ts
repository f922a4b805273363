import { once } from "node:events";
import type { PurchaseState } from "../../billing/purchase.ts";
import type { PurchaseKey, PurchaseRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { BACKEND } from "../events/events.ts";
import { CHARGEABLE_STATUSES, GatewayRefusal, GatewayUnavailable, type Payment } from "../payments/gateway.ts";
import { endAwaiting, watchAwaiting } from "./awaiting.ts";
import { payWithEnteredCard } from "./cardEntry.ts";
import { charge } from "./charge.ts";
import { leasePurchase, leaseWaiting, releaseLease, WAITING_STATES } from "./leases.ts";
import { moveOn } from "./moves.ts";
import {
  endWaiting,
  fulfill,
  fulfillPaid,
  isRefundOwed,
  startRefund,
  type WaitingEnd,
  waitOrReview,
  withPaidMethod,
} from "./outcomes.ts";
import { refund } from "./refund.ts";
import { deadlineOf, lastAttemptAt, nextCheck } from "./schedule.ts";
import { type Failure, requireApprovalAgain } from "./settle.ts";
import { isSettled, type PurchaseRecord, readPurchase } from "./store.ts";
import { clocksOf, holdLease, type Step, type WorkerDeps, type WorkerRun } from "./worker.ts";

const REFUND_RETRY_MS = 60_000;

/**
 * Advances a purchase as far as possible (src/backend/README.md, Life of a purchase). Safe to call for any purchase, at any
 * time, from any number of workers: a lease decides who works, every write checks its epoch, and the provider is never
 * called inside a transaction. Returns once the purchase is settled, has to wait, or belongs to another worker.
 */
export async function advancePurchase(deps: WorkerDeps, purchase: PurchaseKey): Promise<void> {
  const lease = await leasePurchase(deps.database, purchase, clocksOf(deps));
  if (lease) await advanceLeased(deps, lease);
}

/** Advances a purchase that this worker has leased already. Returns it if it is fulfilled and need not be read again. */
async function advanceLeased(deps: WorkerDeps, lease: PurchaseRow): Promise<PurchaseRecord | null> {
  deps.reach("B2");
  const run: WorkerRun = { ...deps, hasConfirmed: false };
  await holdLease(deps, lease, () => work(run, lease));
  return run.fulfilled ?? null;
}

/** Advances a purchase in the background: an error is logged, and the sweep tries again. */
export async function advanceOrLog(deps: WorkerDeps, purchase: PurchaseKey): Promise<void> {
  await orLog(deps, purchase, advancePurchase(deps, purchase));
}

/** Advances a purchase that this worker has leased already, like `advanceOrLog`. Returns what `advanceLeased` does. */
export async function advanceLeasedOrLog(deps: WorkerDeps, lease: PurchaseRow): Promise<PurchaseRecord | null> {
  return orLog(deps, lease, advanceLeased(deps, lease));
}

async function orLog<Result>(deps: WorkerDeps, { id }: PurchaseKey, work: Promise<Result>): Promise<Result | null> {
  try {
    return await work;
  } catch (error) {
    deps.log(`purchase ${id}`, error);
    return null;
  }
}

async function work(run: WorkerRun, lease: PurchaseRow): Promise<void> {
  let purchase = lease;
  for (;;) {
    const step = await stepOrUnknown(run, purchase);
    if (step === "settled") return;
    if (step === "wait") {
      await releaseLease(run.database, lease, nextCheckOf(run, purchase));
      return;
    }
    purchase = step;
  }
}

/** When to check a purchase again: a refund every minute, anything else by the age of its last attempt. */
function nextCheckOf(run: WorkerRun, purchase: PurchaseRow): number {
  const now = run.clock.now();
  switch (purchase.state) {
    case "refund_due":
      return now + REFUND_RETRY_MS;
    case "awaiting_approval":
    case "requires_approval":
      return nextWaitingCheck(run, purchase);
    case "canceled":
    case "expired":
      return nextCheck(purchase.completed_at ?? now, now);
    default:
      return nextCheck(lastAttemptAt(purchase), now);
  }
}

/** Takes one step. Without an answer from the provider the purchase becomes `unknown`, never failed. */
async function stepOrUnknown(run: WorkerRun, purchase: PurchaseRow): Promise<Step> {
  try {
    return await step(run, purchase);
  } catch (error) {
    if (!isGatewayError(error)) throw error;
    run.log(`purchase ${purchase.id}: ${error.message}`);
    if (purchase.state === "charging" && purchase.payment_id) return moveOn(run, purchase, "unknown");
    return waitOrReview(run, purchase);
  }
}

function isGatewayError(error: unknown): error is GatewayUnavailable | GatewayRefusal {
  return error instanceof GatewayUnavailable || error instanceof GatewayRefusal;
}

async function step(run: WorkerRun, purchase: PurchaseRow): Promise<Step> {
  const { state, payment_id: paymentId } = purchase;
  if (isRefundOwed(purchase)) return refund(run, purchase);
  if (purchase.total === 0) return fulfill(run, purchase);
  if (state === "awaiting_approval") return watchAwaiting(run, purchase);
  if (paymentId && state === "requires_approval") return watchWaiting(run, purchase, paymentId);
  if (state === "canceled" || state === "expired") return watchEnded(run, purchase, paymentId);
  return charge(run, purchase);
}

const OVERDUE_RETRY_MS = 60_000;

const WATCH_MS = 24 * 3_600_000;

const LATE_FAILURES: Readonly<Record<"canceled" | "expired", Failure>> = {
  canceled: { code: "payment_late", message: "The payment arrived after the purchase was canceled; it is refunded." },
  expired: { code: "payment_late", message: "The payment arrived after the purchase expired; it is refunded." },
};

/**
 * Checks a purchase that waits for a person: follows its payment, pays with the card that the person has entered, and at the
 * deadline cancels the payment and then expires the purchase.
 */
async function watchWaiting(run: WorkerRun, purchase: PurchaseRow, paymentId: string): Promise<Step> {
  const payment = await run.gateway.read(paymentId);
  const isOver = run.clock.now() >= deadlineOf(purchase);
  const begun =
    !isOver && CHARGEABLE_STATUSES.includes(payment.status) ? await payWithEnteredCard(run, purchase) : null;
  if (begun !== null) return begun;
  const end: WaitingEnd = { state: isOver ? "expired" : "canceled", actor: BACKEND };
  return followWaiting(run, purchase, isOver ? await run.gateway.cancel(payment.id) : payment, end);
}

/**
 * Checks whether a payment arrived although its purchase was canceled or expired; it is refunded. The checks end with the
 * first answer a day after that.
 */
async function watchEnded(run: WorkerRun, purchase: PurchaseRow, paymentId: string | null): Promise<Step> {
  const payment = paymentId === null ? null : await run.gateway.read(paymentId);
  if (payment?.status === "succeeded") {
    return startRefund(run, await withPaidMethod(run, purchase, payment), lateFailure(purchase));
  }
  if (payment !== null && run.clock.now() - (purchase.completed_at ?? 0) < WATCH_MS) return "wait";
  await releaseLease(run.database, purchase, null);
  return "settled";
}

function lateFailure({ state }: PurchaseRow): Failure {
  return state === "expired" ? LATE_FAILURES.expired : LATE_FAILURES.canceled;
}

/**
 * Cancels a purchase that waits for a person: the payment at the provider first, then the purchase. Does nothing to other
 * or leased purchases. If someone pays or approves it at the same time, exactly one of the two takes effect.
 *
 * @param end who cancels or rejects it, for the audit log
 * @param states those in which it may be
 * @throws BackendError `unavailable` if the provider does not answer; the sweep finds out the outcome
 */
export async function cancelWaiting(
  deps: WorkerDeps,
  purchase: PurchaseKey,
  end: Omit<WaitingEnd, "state">,
  states: readonly PurchaseState[] = WAITING_STATES,
): Promise<void> {
  const lease = await leaseWaiting(deps.database, purchase, clocksOf(deps), states);
  if (!lease) return;
  deps.reach("B2");
  await holdLease(deps, lease, async () => {
    const run: WorkerRun = { ...deps, hasConfirmed: false };
    const step = await cancelAtProvider(run, lease, { ...end, state: "canceled" });
    if (step === "wait") await releaseLease(deps.database, lease, nextWaitingCheck(run, lease));
  });
}

async function cancelAtProvider(run: WorkerRun, lease: PurchaseRow, end: WaitingEnd): Promise<Step> {
  try {
    if (lease.state === "awaiting_approval") return await endAwaiting(run, lease, end);
    const payment = await run.gateway.cancel(lease.payment_id ?? "");
    run.reach("B7");
    return await followWaiting(run, lease, payment, end);
  } catch (error) {
    if (!isGatewayError(error)) throw error;
    run.log(`purchase ${lease.id}: ${error.message}`);
    await releaseLease(run.database, lease, run.clock.now());
    throw new BackendError(
      "unavailable",
      "The payment provider did not answer, so the purchase may not be canceled yet; try again",
      {},
      { "Retry-After": "5" },
    );
  }
}

async function followWaiting(run: WorkerRun, purchase: PurchaseRow, payment: Payment, end: WaitingEnd): Promise<Step> {
  switch (payment.status) {
    case "succeeded":
      return fulfillPaid(run, purchase, payment);
    case "canceled":
      return endWaiting(run, purchase, end);
    case "processing":
      return moveOn(run, purchase, "processing", { spent_at: run.clock.now() });
    default:
      return followRefusal(run, purchase, payment);
  }
}

/** Tells the person whose approval at the bank failed, once. */
async function followRefusal(run: WorkerRun, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  const { failure, status } = payment;
  const isTold = purchase.by_person === 0 || purchase.failure_code !== null;
  if (isTold || failure === null || status !== "requires_payment_method") return "wait";
  await requireApprovalAgain(run.database, purchase, failure, { now: run.clock.now(), deadline: deadlineOf(purchase) });
  return "settled";
}

/**
 * When to check a waiting purchase again: at its deadline at the latest, and every minute after it (billing clock). The
 * approval of an administrator needs no check.
 */
function nextWaitingCheck(run: WorkerRun, purchase: PurchaseRow): number {
  const now = run.clock.now();
  const deadline = deadlineOf(purchase);
  if (purchase.state === "awaiting_approval" && now < deadline) return deadline;
  return now < deadline ? Math.min(deadline, nextCheck(purchase.accepted_at, now)) : now + OVERDUE_RETRY_MS;
}

/** How long a request waits for the work of one round. */
const MAX_ADVANCE_MS = 5_000;

/** How long a waiting request waits before it reads the purchase again; after the last one, always as long as that. */
const READ_AFTER_MS = [250, 500, 1_000, 2_000] as const;

/**
 * Advances a purchase and returns it once it is settled, waits for an administrator or has started to wait for a person, or
 * after `waitMs`. If it was already waiting for a person to pay, only a change ends the wait early. Errors of the work are
 * left to the sweep. Whoever waits reads the purchase when this process has advanced it, and now and then because another
 * one may have; it never asks the provider.
 *
 * @param waitMs the longest wait, in milliseconds
 */
export async function settleWithin(
  deps: BackendDeps,
  purchase: Pick<PurchaseRecord, "organization_id" | "id" | "state">,
  waitMs: number,
  isClosing: () => boolean,
): Promise<PurchaseRecord> {
  const deadline = deps.now() + waitMs;
  await within(MAX_ADVANCE_MS, advanceOrLog(deps, purchase));
  for (let reads = 0; ; reads += 1) {
    const row = await readPurchase(deps.database, purchase.organization_id, purchase.id);
    const waitsNow = row.state === "requires_approval" && purchase.state !== "requires_approval";
    const isAwaiting = row.state === "awaiting_approval";
    if (isSettled(row) || isAwaiting || waitsNow || isClosing() || deps.now() >= deadline) return row;
    const pause = READ_AFTER_MS[Math.min(reads, READ_AFTER_MS.length - 1)] ?? 0;
    await changeOf(deps, purchase.id, Math.min(pause, Math.max(0, deadline - deps.now())));
  }
}

/** Advances a purchase that was accepted with a lease, and reads it after 5 seconds at the latest. */
export async function settleAccepted(deps: BackendDeps, lease: PurchaseRow): Promise<PurchaseRecord> {
  const fulfilled = await within(MAX_ADVANCE_MS, advanceLeasedOrLog(deps, lease));
  return fulfilled ?? readPurchase(deps.database, lease.organization_id, lease.id);
}

/** Waits for work, at most for a time in milliseconds, after which it returns nothing. */
async function within<Result>(ms: number, work: Promise<Result>): Promise<Result | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until this process has advanced a purchase, at most for a time in milliseconds. */
async function changeOf({ changes }: BackendDeps, purchaseId: string, ms: number): Promise<void> {
  const timeout = AbortSignal.timeout(ms);
  await once(changes, purchaseId, { signal: timeout }).catch(() => {});
}
