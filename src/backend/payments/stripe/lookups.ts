import Stripe from "stripe";
import type { Money } from "../../../billing/money.ts";
import { type Dispute, GatewayRefusal, GatewayUnavailable } from "../gateway.ts";

/**
 * Asks Stripe.
 *
 * @returns `null` for what it does not have
 * @throws GatewayUnavailable, GatewayRefusal
 */
export async function ask<Result>(call: () => Promise<Result>): Promise<Result | null> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof Stripe.errors.StripeError)) throw error;
    if (error.code === "resource_missing") return null;
    const isRefusal = error instanceof Stripe.errors.StripeInvalidRequestError;
    const isConflict = error instanceof Stripe.errors.StripeIdempotencyError;
    if (isRefusal || isConflict) throw new GatewayRefusal(error.message, { isConflict, cause: error });
    throw new GatewayUnavailable(error.message, { cause: error });
  }
}

/** Whether a customer exists and was not deleted. */
export async function customerExists(stripe: Stripe, id: string): Promise<boolean> {
  const found = await ask(() => stripe.customers.retrieve(id));
  return found !== null && !found.deleted;
}

/** Reads a payment method; `null` if it is not, or no longer, the customer's. */
export async function findPaymentMethod(
  stripe: Stripe,
  customer: string,
  id: string,
): Promise<Stripe.PaymentMethod | null> {
  const found = await ask(() => stripe.paymentMethods.retrieve(id));
  const owner = typeof found?.customer === "string" ? found.customer : found?.customer?.id;
  return owner === customer ? found : null;
}

/** The statuses of a dispute that is over (Stripe's documentation, How disputes work). */
const CLOSED: ReadonlySet<string> = new Set(["won", "lost", "warning_closed", "prevented"]);

/**
 * Reads a dispute.
 *
 * @param amountOf converts Stripe's units
 */
export async function findDispute(
  stripe: Stripe,
  id: string,
  amountOf: (amount: number, currency: string) => Money,
): Promise<Dispute | null> {
  const found = await ask(() => stripe.disputes.retrieve(id));
  if (found === null) return null;
  const { payment_intent: payment, amount, currency, status, reason, evidence_details } = found;
  return {
    id: found.id,
    paymentId: typeof payment === "string" ? payment : (payment?.id ?? null),
    amount: amountOf(amount, currency),
    status,
    reason,
    isOpen: !CLOSED.has(status),
    answerBefore: evidence_details.due_by === null ? null : evidence_details.due_by * 1_000,
  };
}
