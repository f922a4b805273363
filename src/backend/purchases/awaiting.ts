import type { PurchaseRow } from "../database/schema.ts";
import { BACKEND } from "../events/events.ts";
import type { Payment } from "../payments/gateway.ts";
import { endWaiting, startRefund, type WaitingEnd, withPaidMethod } from "./outcomes.ts";
import { deadlineOf } from "./schedule.ts";
import type { Failure } from "./settle.ts";
import type { Step, WorkerRun } from "./worker.ts";

const NOT_APPROVED: Failure = {
  code: "payment_late",
  message: "The payment arrived although no administrator had approved the purchase; it is refunded.",
};

/**
 * Checks a purchase that waits for another administrator: expires it at its deadline. One that was declined before it waited
 * has a payment, and the bank could still approve an earlier attempt; that is refunded.
 */
export async function watchAwaiting(run: WorkerRun, purchase: PurchaseRow): Promise<Step> {
  if (run.clock.now() >= deadlineOf(purchase)) {
    return endAwaiting(run, purchase, { state: "expired", actor: BACKEND });
  }
  const payment = purchase.payment_id === null ? null : await run.gateway.read(purchase.payment_id);
  return payment?.status === "succeeded" ? refundUnapproved(run, purchase, payment) : "wait";
}

/** Ends a purchase that waits for another administrator. If it has a payment, that is canceled first. */
export async function endAwaiting(run: WorkerRun, purchase: PurchaseRow, end: WaitingEnd): Promise<Step> {
  if (purchase.payment_id === null) return endWaiting(run, purchase, end);
  const payment = await run.gateway.cancel(purchase.payment_id);
  run.reach("B7");
  if (payment.status === "canceled") return endWaiting(run, purchase, end);
  return payment.status === "succeeded" ? refundUnapproved(run, purchase, payment) : "wait";
}

async function refundUnapproved(run: WorkerRun, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  return startRefund(run, await withPaidMethod(run, purchase, payment), NOT_APPROVED);
}
