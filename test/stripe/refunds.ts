import type Stripe from "stripe";
import type { RefundOutcome } from "./cards.ts";
import { emit } from "./events.ts";
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
    status: FIRST_STATUS[outcome],
    transfer_reversal: null,
    ...(outcome === "failed" && { failure_reason: "expired_or_canceled_card" }),
    ...(FIRST_STATUS[outcome] === "pending" && { pending_reason: "processing" }),
  });
  emit(world, "refund.created", refund);
  if (outcome === "failed") return emit(world, "refund.failed", refund);
  if (outcome.endsWith("later")) world.store.setNote(refund.id, "later", outcome);
  emit(world, "charge.refunded", addRefunded(world, charge, amount));
  return refund;
}

const FIRST_STATUS: Readonly<Record<RefundOutcome, string>> = {
  succeeded: "succeeded",
  pending: "pending",
  failed: "failed",
  succeeds_later: "pending",
  fails_later: "succeeded",
};

/** Ends a refund: the bank has paid it, or has not. Then the charge is not refunded either. */
export function settleRefund(world: World, id: string, status: "succeeded" | "failed" | "canceled"): Stripe.Refund {
  const { pending_reason: _, ...refund } = need(world, "refund", id);
  const settled = world.store.put<Stripe.Refund>({
    ...refund,
    status,
    ...(status === "failed" && { failure_reason: "expired_or_canceled_card" }),
  });
  emit(world, "refund.updated", settled, { status: refund.status });
  if (status === "succeeded") return settled;
  const charge = need(world, "charge", idOf(refund.charge) ?? "");
  addRefunded(world, charge, -refund.amount);
  return status === "failed" ? emit(world, "refund.failed", settled) : settled;
}

/** Ends the refunds that test payment methods end later. */
export function settleLaterRefunds(world: World): void {
  for (const { id } of world.store.list("refund", {}, { limit: 1_000_000 }).data) {
    const outcome = world.store.note<RefundOutcome>(id, "later");
    if (outcome === null) continue;
    world.store.setNote(id, "later", null);
    settleRefund(world, id, outcome === "fails_later" ? "failed" : "succeeded");
  }
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
