import type { PurchaseRow } from "../database/schema.ts";
import { GatewayRefusal, type RefundStatus } from "../payments/gateway.ts";
import { isKeySpoiled, keyOf, unlessSpoiled } from "./keys.ts";
import { observeSettled, review } from "./outcomes.ts";
import { recordRefund } from "./settle.ts";
import type { Step, WorkerRun } from "./worker.ts";

/** Refunds a payment. The refund is recorded once the provider says that it was made; one that fails is an operator's. */
export async function refund(run: WorkerRun, purchase: PurchaseRow): Promise<Step> {
  const { payment_id: paymentId } = purchase;
  const status = paymentId === null ? "succeeded" : await refundStatus(run, purchase, paymentId);
  run.reach("B16");
  if (status === "pending") return "wait";
  if (status === "failed") return review(run, purchase, "its refund failed");
  await recordRefund(run, purchase, run.clock.now());
  observeSettled(run, purchase, "refunded");
  return "settled";
}

/** Makes a refund, or looks for one that an operator was asked to make: another of ours might be the second. */
async function refundStatus(run: WorkerRun, purchase: PurchaseRow, paymentId: string): Promise<RefundStatus> {
  if (purchase.state === "needs_review") {
    const capture = await run.gateway.findCapture(paymentId);
    return capture !== null && capture.refunded >= capture.amount ? "succeeded" : "pending";
  }
  if (isKeySpoiled(run, purchase)) return "pending";
  try {
    const key = keyOf(purchase, "refund");
    return (await unlessSpoiled(run, purchase, () => run.gateway.refund(paymentId, key))) ?? "pending";
  } catch (error) {
    if (!(error instanceof GatewayRefusal)) throw error;
    run.log(`purchase ${purchase.id}: ${error.message}`);
    return "failed";
  }
}
