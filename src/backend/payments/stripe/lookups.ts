import type Stripe from "stripe";
import { type Dispute, GatewayRefusal, type PaymentChoice } from "../gateway.ts";
import { ask, call } from "./errors.ts";
import { choiceOf } from "./labels.ts";
import { fromStripeAmount } from "./units.ts";

/** Whether a customer exists and was not deleted. */
export async function customerExists(stripe: Stripe, id: string): Promise<boolean> {
  const found = await ask(() => stripe.customers.retrieve(id));
  return found !== null && !found.deleted;
}

/** Reads a payment method; `null` if it is not, or no longer, the customer's. */
export async function findPaymentMethod(stripe: Stripe, customer: string, id: string): Promise<PaymentChoice | null> {
  const found = await ask(() => stripe.paymentMethods.retrieve(id));
  return found && idOf(found.customer) === customer ? choiceOf(found) : null;
}

/**
 * Attaches a card to a customer, unless it is theirs already. Stripe makes a card of its own from a test method (`pm_card_visa`).
 *
 * @throws GatewayRefusal for what does not exist, is no card, is another customer's, or is declined; GatewayUnavailable
 */
export async function attachCard(stripe: Stripe, customer: string, id: string): Promise<PaymentChoice> {
  const found = await ask(() => stripe.paymentMethods.retrieve(id));
  const owner = idOf(found?.customer);
  if (found && found.type !== "card") throw refusal(`${id} is not a card`);
  if (owner !== null && owner !== customer) throw refusal(`${id} belongs to another customer`);
  const card = found && owner ? found : await call(() => stripe.paymentMethods.attach(id, { customer }));
  return choiceOf(card);
}

function refusal(message: string): GatewayRefusal {
  return new GatewayRefusal(message, { isConflict: false });
}

/** The statuses of a dispute that is over (Stripe's documentation, How disputes work). */
const CLOSED: ReadonlySet<string> = new Set(["won", "lost", "warning_closed", "prevented"]);

/** Reads a dispute; `null` if Stripe does not have it. */
export async function findDispute(stripe: Stripe, id: string): Promise<Dispute | null> {
  const found = await ask(() => stripe.disputes.retrieve(id));
  if (found === null) return null;
  const { payment_intent, amount, currency, status, reason, evidence_details } = found;
  return {
    id: found.id,
    paymentId: idOf(payment_intent),
    amount: fromStripeAmount(amount, currency),
    status,
    reason,
    isOpen: !CLOSED.has(status),
    answerBefore: evidence_details.due_by === null ? null : evidence_details.due_by * 1_000,
  };
}

/** The ID of an object that Stripe may have expanded. */
export function idOf(reference: string | { readonly id: string } | null | undefined): string | null {
  return typeof reference === "string" ? reference : (reference?.id ?? null);
}
