import type Stripe from "stripe";
import type { RefundOutcome } from "./cards.ts";
import type { Parameters } from "./parameters.ts";
import { refused, wrongRequest } from "./problems.ts";
import { idOf, need, newId, type World } from "./world.ts";

/** Refunds a charge, wholly unless an amount is given. */
export function createRefund(world: World, parameters: Parameters<"refunds.create">): Stripe.Refund {
  const { reason = null, metadata = {} } = parameters;
  const charge = chargeOf(world, parameters);
  if (charge.refunded) {
    throw refused(`Charge ${charge.id} has already been refunded.`, { code: "charge_already_refunded" });
  }
  if (charge.disputed) throw refused(`Charge ${charge.id} has been charged back.`, { code: "charge_disputed" });
  const rest = charge.amount_captured - charge.amount_refunded;
  const { amount = rest } = parameters;
  if (amount < 1) throw wrongRequest("Invalid positive integer", "amount", "parameter_invalid_integer");
  if (amount > rest) {
    throw refused(`Refund amount (${amount}) is greater than unrefunded amount on charge (${rest})`, {
      param: "amount",
    });
  }
  const outcome = world.store.note<RefundOutcome>(charge.id, "refund") ?? "succeeded";
  const refund = world.store.put<Stripe.Refund>({
    id: newId("re"),
    object: "refund",
    amount,
    balance_transaction: null,
    charge: charge.id,
    created: world.now(),
    currency: charge.currency,
    customer: idOf(charge.customer),
    customer_account: null,
    metadata,
    payment_intent: idOf(charge.payment_intent),
    payment_method: charge.payment_method,
    reason,
    receipt_number: null,
    source_transfer_reversal: null,
    status: outcome === "fails_later" ? "succeeded" : outcome,
    transfer_reversal: null,
    ...(outcome === "failed" && { failure_reason: "expired_or_canceled_card" }),
    ...(outcome === "pending" && { pending_reason: "processing" }),
  });
  if (outcome !== "failed") addRefunded(world, charge, amount);
  return refund;
}

function chargeOf(
  world: World,
  { charge, payment_intent: payment }: Pick<Parameters<"refunds.create">, "charge" | "payment_intent">,
): Stripe.Charge {
  if ((charge === undefined) === (payment === undefined)) {
    throw wrongRequest(
      "One of the following params should be provided: payment_intent or charge.",
      "payment_intent",
      "parameter_missing",
    );
  }
  const id = charge ?? idOf(need(world, "payment_intent", payment ?? "", "payment_intent").latest_charge);
  const found = id === null ? null : need(world, "charge", id, "charge");
  if (found?.status === "succeeded") return found;
  throw refused(`This PaymentIntent (${payment}) does not have a successful charge to refund.`);
}

function addRefunded(world: World, charge: Stripe.Charge, amount: number): Stripe.Charge {
  const amount_refunded = charge.amount_refunded + amount;
  return world.store.put({ ...charge, amount_refunded, refunded: amount_refunded >= charge.amount_captured });
}
