import type Stripe from "stripe";
import { emit } from "./events.ts";
import { refused } from "./problems.ts";
import { idOf, need, newId, type World } from "./world.ts";

const DAY_S = 24 * 60 * 60;

/** Lets a cardholder dispute a payment. */
export function openDispute(
  world: World,
  payment: string,
  { amount, reason = "fraudulent" }: { amount?: number; reason?: string } = {},
): Stripe.Dispute {
  const { latest_charge } = need(world, "payment_intent", payment);
  const charge = need(world, "charge", idOf(latest_charge) ?? "");
  if (charge.status !== "succeeded") throw refused(`PaymentIntent ${payment} has taken nothing`);
  world.store.put({ ...charge, disputed: true });
  const dispute = {
    id: newId("du"),
    object: "dispute" as const,
    amount: amount ?? charge.amount_captured,
    balance_transactions: [],
    charge: charge.id,
    created: world.now(),
    currency: charge.currency,
    enhanced_eligibility_types: [],
    evidence_details: {
      due_by: world.now() + 7 * DAY_S,
      enhanced_eligibility: {},
      has_evidence: false,
      past_due: false,
      submission_count: 0,
      submission_method: null,
    },
    is_charge_refundable: false,
    livemode: world.isLive,
    metadata: {},
    payment_intent: payment,
    reason,
    status: "needs_response" as const,
  };
  // The evidence, which nobody reads, is left out.
  return emit(world, "charge.dispute.created", world.store.put(dispute) as unknown as Stripe.Dispute);
}

/** Ends a dispute. */
export function closeDispute(world: World, id: string, status: "won" | "lost"): Stripe.Dispute {
  const dispute = need(world, "dispute", id);
  return emit(world, "charge.dispute.closed", world.store.put<Stripe.Dispute>({ ...dispute, status }));
}
