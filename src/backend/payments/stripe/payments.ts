import type Stripe from "stripe";
import type { Payment, PaymentStatus, RefundStatus } from "../gateway.ts";
import { idOf } from "./lookups.ts";
import { fromStripeAmount } from "./units.ts";

/** Translates a PaymentIntent. Once it has succeeded, its amount is what Stripe received. */
export function paymentOf(intent: Stripe.PaymentIntent): Payment {
  const { id, status, amount, amount_received, currency, livemode, metadata, customer, next_action } = intent;
  const error = intent.last_payment_error;
  return {
    id,
    purchaseId: metadata.purchaseId ?? "",
    status: statusOf(status),
    amount: fromStripeAmount(status === "succeeded" ? amount_received : amount, currency),
    mode: livemode ? "live" : "test",
    customer: idOf(customer),
    paymentMethod: idOf(intent.payment_method) ?? idOf(error?.payment_method),
    lastAttempt: idOf(intent.latest_charge),
    failure: error && status === "requires_payment_method" ? failureOf(error) : null,
    approvalUrl: next_action?.redirect_to_url?.url ?? null,
  };
}

/** We never create a payment that is only authorized, so one stays open until an operator looks at it. */
function statusOf(status: Stripe.PaymentIntent.Status): PaymentStatus {
  return status === "requires_capture" ? "processing" : (status as PaymentStatus);
}

/** Why the last attempt failed. A bank that requires authentication always gets the same code. */
function failureOf({ code, decline_code, message }: Stripe.PaymentIntent.LastPaymentError): Payment["failure"] {
  const codes = [decline_code, code];
  const needsPerson = codes.includes("authentication_required");
  const reason = needsPerson ? "authentication_required" : (decline_code ?? code ?? "payment_refused");
  return { code: reason, message: WORDS[reason] ?? message ?? "The payment was refused." };
}

/** What people read instead of the sentences that Stripe writes for engineers. */
const WORDS: Readonly<Record<string, string>> = {
  payment_intent_authentication_failure: "The bank did not approve the payment.",
};

/** The statuses of a refund that may still be made. */
const OPEN_REFUND: ReadonlySet<string | null> = new Set(["pending", "requires_action"]);

/** What became of a refund. */
export function refundStatusOf({ status }: Pick<Stripe.Refund, "status">): RefundStatus {
  if (OPEN_REFUND.has(status)) return "pending";
  return status === "succeeded" ? "succeeded" : "failed";
}
