import { GatewayUnavailable } from "../payments/gateway.ts";
import { leasePurchase, movePurchase, releaseLease } from "../store/leases.ts";
import type { PurchaseRow } from "../store/schema.ts";
import { recordRefund } from "../store/settlement.ts";
import { charge, waitOrReview } from "./charging.ts";
import { attemptBegan, nextCheck } from "./schedule.ts";
import { clocksOf, fulfil, holdLease, type Step, type Turn, type WorkerDeps } from "./turn.ts";
import { nextWaitingLook, watchEnded, watchWaiting } from "./waiting.ts";

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
