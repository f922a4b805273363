import { setTimeout as delay } from "node:timers/promises";
import type { PurchaseRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../errors.ts";
import { BACKEND } from "../events/events.ts";
import { GatewayUnavailable, type Payment } from "../payments/gateway.ts";
import {
  charge,
  clocksOf,
  endWaiting,
  fulfil,
  holdLease,
  owe,
  readDeadline,
  type Step,
  type Turn,
  type WaitingEnd,
  type WorkerDeps,
  waitOrReview,
} from "./charge.ts";
import { leasePurchase, leaseWaiting, movePurchase, releaseLease } from "./leases.ts";
import { attemptBegan, nextCheck } from "./schedule.ts";
import { type Failure, recordRefund } from "./settle.ts";
import { isSettled, type PurchaseRecord, readPurchase } from "./store.ts";

const REFUND_PAUSE_MS = 60_000;

/**
 * Carries one purchase as far as it goes now (purchase.md, Paying). Safe to call for any purchase, at any time, from any
 * number of workers: a lease decides who works, every write names its epoch, and no call to the provider happens inside a
 * transaction. Returns when the purchase is settled, has to wait, or belongs to another worker.
 */
export async function advancePurchase(deps: WorkerDeps, purchaseId: string): Promise<void> {
  const lease = await leasePurchase(deps.database, purchaseId, clocksOf(deps));
  if (!lease) return;
  deps.reach("B2");
  await holdLease(deps, lease, () => work({ ...deps, hasConfirmed: false }, lease));
}

/** Carries a purchase on where nobody can be told that it fails: that is logged, and left for later. */
export async function carryOn(deps: WorkerDeps, purchaseId: string): Promise<void> {
  try {
    await advancePurchase(deps, purchaseId);
  } catch (error) {
    deps.log(`purchase ${purchaseId}: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
  }
}

async function work(turn: Turn, lease: PurchaseRow): Promise<void> {
  let purchase = lease;
  for (;;) {
    const step = await stepOrUnknown(turn, purchase);
    if (step === "settled") return;
    if (step === "wait") {
      await releaseLease(turn.database, lease, await nextLook(turn, purchase));
      return;
    }
    purchase = step;
  }
}

/** Money that is owed back is tried every minute; everything else by the age of its last attempt. */
async function nextLook(turn: Turn, purchase: PurchaseRow): Promise<number> {
  const now = turn.clock.now();
  switch (purchase.state) {
    case "refund_due":
      return now + REFUND_PAUSE_MS;
    case "requires_approval":
      return nextWaitingLook(turn, purchase);
    case "canceled":
    case "expired":
      return nextCheck(purchase.completed_at ?? now, now);
    default:
      return nextCheck(attemptBegan(purchase), now);
  }
}

/** One step; a provider that gave no answer leaves the purchase `unknown`, never failed. */
async function stepOrUnknown(turn: Turn, purchase: PurchaseRow): Promise<Step> {
  try {
    return await step(turn, purchase);
  } catch (error) {
    if (!(error instanceof GatewayUnavailable)) throw error;
    turn.log(`purchase ${purchase.id}: ${error.message}`);
    if (purchase.state === "charging" && purchase.payment_id) return movePurchase(turn.database, purchase, "unknown");
    return waitOrReview(turn, purchase);
  }
}

async function step(turn: Turn, purchase: PurchaseRow): Promise<Step> {
  const { state, payment_id: paymentId } = purchase;
  if (state === "refund_due") return refund(turn, purchase);
  if (purchase.total === 0) return fulfil(turn, purchase);
  if (paymentId && state === "requires_approval") return watchWaiting(turn, purchase, paymentId);
  if (paymentId && (state === "canceled" || state === "expired")) return watchEnded(turn, purchase, paymentId);
  return charge(turn, purchase);
}

async function refund(turn: Turn, purchase: PurchaseRow): Promise<Step> {
  if (purchase.payment_id) await turn.gateway.refund(purchase.payment_id, `${purchase.id}:refund`);
  await recordRefund(turn.database, purchase, turn.clock.now());
  return "settled";
}

const AGAIN_MS = 60_000;

const LATE_MS = 24 * 3_600_000;

const LATE_FAILURES: Readonly<Record<"canceled" | "expired", Failure>> = {
  canceled: { code: "payment_late", message: "The payment arrived after the purchase was canceled; it is refunded." },
  expired: { code: "payment_late", message: "The payment arrived after the purchase expired; it is refunded." },
};

/**
 * Looks at a purchase that waits for a person: it goes where its payment went by itself, and expires at its deadline once
 * the provider has canceled the payment (purchase.md, Ends of time).
 */
async function watchWaiting(turn: Turn, purchase: PurchaseRow, paymentId: string): Promise<Step> {
  const payment = await turn.gateway.read(paymentId);
  const isOver = turn.clock.now() >= (await readDeadline(turn, purchase));
  const end: WaitingEnd = { state: isOver ? "expired" : "canceled", actor: BACKEND };
  return followWaiting(turn, purchase, isOver ? await turn.gateway.cancel(payment.id) : payment, end);
}

/**
 * Looks for a payment that arrived although its purchase ended unpaid: it goes back (purchase.md, Ends of time). Looks end
 * with the first answer a day after the end.
 */
async function watchEnded(turn: Turn, purchase: PurchaseRow, paymentId: string): Promise<Step> {
  const { status } = await turn.gateway.read(paymentId);
  if (status === "succeeded") return owe(turn, purchase, lateFailure(purchase));
  if (turn.clock.now() - (purchase.completed_at ?? 0) < LATE_MS) return "wait";
  await releaseLease(turn.database, purchase, null);
  return "settled";
}

function lateFailure({ state }: PurchaseRow): Failure {
  return state === "expired" ? LATE_FAILURES.expired : LATE_FAILURES.canceled;
}

/**
 * Cancels a purchase that waits for a person: at the provider first, then on its evidence. Does nothing to any other
 * purchase, and to one that somebody is at work on. Of paying and canceling at once, one happens.
 *
 * @param actor who cancels, for the audit log
 * @throws ProblemError `unavailable` when the provider does not answer: the sweep finds out what became of it
 */
export async function cancelWaiting(deps: WorkerDeps, purchaseId: string, actor: string): Promise<void> {
  const lease = await leaseWaiting(deps.database, purchaseId, clocksOf(deps));
  if (!lease) return;
  deps.reach("B2");
  await holdLease(deps, lease, async () => {
    const turn: Turn = { ...deps, hasConfirmed: false };
    const step = await cancelAtProvider(turn, lease, actor);
    if (step === "wait") await releaseLease(deps.database, lease, await nextWaitingLook(turn, lease));
  });
}

async function cancelAtProvider(turn: Turn, lease: PurchaseRow, actor: string): Promise<Step> {
  try {
    const payment = await turn.gateway.cancel(lease.payment_id ?? "");
    turn.reach("B7");
    return await followWaiting(turn, lease, payment, { state: "canceled", actor });
  } catch (error) {
    if (!(error instanceof GatewayUnavailable)) throw error;
    turn.log(`purchase ${lease.id}: ${error.message}`);
    await releaseLease(turn.database, lease, turn.clock.now());
    throw new ProblemError(
      "unavailable",
      "The payment provider does not answer, so the purchase may not be canceled yet; try again",
      {},
      { "Retry-After": "5" },
    );
  }
}

async function followWaiting(turn: Turn, purchase: PurchaseRow, payment: Payment, end: WaitingEnd): Promise<Step> {
  switch (payment.status) {
    case "succeeded":
      return fulfil(turn, purchase);
    case "canceled":
      return endWaiting(turn, purchase, end);
    case "processing":
      return movePurchase(turn.database, purchase, "processing", { spent_at: turn.clock.now() });
    default:
      return "wait";
  }
}

/** When to look at a purchase that waits again: at its deadline at the latest, and after it every minute (billing clock). */
async function nextWaitingLook(turn: Turn, purchase: PurchaseRow): Promise<number> {
  const now = turn.clock.now();
  const deadline = await readDeadline(turn, purchase);
  return now < deadline ? Math.min(deadline, nextCheck(purchase.accepted_at, now)) : now + AGAIN_MS;
}

/** How often a request that waits looks again. */
const LOOK_MS = 250;

/** How long an answer may take although nobody asked to wait. */
const PATIENCE_MS = 5_000;

/**
 * Carries a purchase on and answers with where it is: at once when it is settled or has come to wait for a person, else
 * after `waitMs`; one that waited for a person before is held until that changes. Never fails because the work does: the
 * sweep goes on with it.
 *
 * @param waitMs how long to wait for a purchase that needs time, in milliseconds
 */
export async function settleWithin(
  deps: BackendDeps,
  purchase: Pick<PurchaseRecord, "organization_id" | "id" | "state">,
  waitMs: number,
  isClosing: () => boolean,
): Promise<PurchaseRecord> {
  const { organization_id: organizationId, id, state: before } = purchase;
  const deadline = deps.now() + waitMs;
  for (;;) {
    const work = carryOn(deps, id);
    const patience = new AbortController();
    await Promise.race([work, delay(PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => {})]);
    patience.abort();
    const row = await readPurchase(deps.database, organizationId, id);
    const asksNow = row.state === "requires_approval" && before !== "requires_approval";
    if (isSettled(row) || asksNow || isClosing() || deps.now() >= deadline) return row;
    await delay(Math.min(LOOK_MS, Math.max(0, deadline - deps.now())));
  }
}
