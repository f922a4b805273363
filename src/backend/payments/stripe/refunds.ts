import Stripe from "stripe";
import type { RefundStatus } from "../gateway.ts";
import { refundedOf, refundsOf } from "./captures.ts";
import { call, gatewayErrorOf } from "./errors.ts";
import { refundStatusOf } from "./payments.ts";

/**
 * Refunds what a payment took. A refund is read after it is created, because a repeated key returns the first answer; after
 * one that failed, another may have been made by hand.
 *
 * @returns what became of it, also if it was made before, or by hand in the Dashboard
 */
export async function refund(stripe: Stripe, paymentId: string, idempotencyKey: string): Promise<RefundStatus> {
  const made = await makeRefund(stripe, paymentId, idempotencyKey);
  const status = made && refundStatusOf(await call(() => stripe.refunds.retrieve(made.id)));
  if (status !== null && status !== "failed") return status;
  const intent = await call(() => stripe.paymentIntents.retrieve(paymentId));
  const refunds = await refundsOf(stripe, paymentId);
  if (refunds.some((found) => refundStatusOf(found) === "pending")) return "pending";
  return refundedOf(refunds) >= intent.amount_received ? "succeeded" : "failed";
}

/** Creates a refund; returns `null` if nothing is left to refund. */
async function makeRefund(stripe: Stripe, paymentId: string, idempotencyKey: string): Promise<Stripe.Refund | null> {
  try {
    return await stripe.refunds.create({ payment_intent: paymentId }, { idempotencyKey });
  } catch (error) {
    if (error instanceof Stripe.errors.StripeError && error.code === "charge_already_refunded") return null;
    throw gatewayErrorOf(error);
  }
}
