import type Stripe from "stripe";
import { type Card, type Decline, declineError, takeCard } from "./cards.ts";
import { Problem, type ProblemBody } from "./problems.ts";
import { idOf, newId, type World } from "./world.ts";

/** Who is there when a payment is confirmed. */
export interface Presence {
  readonly isOffSession: boolean;
  readonly returnUrl: string | null;
}

/** The bank asks for the cardholder, who is not there. */
const ABSENT: Decline = {
  code: "authentication_required",
  declineCode: "authentication_required",
  message: "Your card was declined. This transaction requires authentication.",
};

/**
 * Tries to charge a payment method.
 *
 * @throws Problem 402 for a decline, after which the payment requires another method
 */
export function attempt(
  world: World,
  payment: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  { isOffSession, returnUrl }: Presence,
): Stripe.PaymentIntent {
  const { store } = world;
  const card = takeCard(store, payment.id, method.id);
  if (method.customer === null) store.setNote(method.id, "used", true);
  const tried = { ...payment, payment_method: method.id, last_payment_error: null, next_action: null };
  if (mustAuthenticate(world, card, method.id, isOffSession)) {
    if (isOffSession) throw declined(declinePayment(world, tried, method, ABSENT));
    store.setNote(payment.id, "card", card);
    return store.put({
      ...tried,
      status: "requires_action",
      next_action: authentication(world, payment.id, returnUrl),
    });
  }
  const charged = charge(world, tried, method, card);
  if (charged.last_payment_error !== null) throw declined(charged);
  return charged;
}

function mustAuthenticate({ store }: World, { authentication }: Card, method: string, isOffSession: boolean): boolean {
  if (authentication === "never") return false;
  if (authentication === "always" || !isOffSession) return true;
  return authentication === "unless_set_up" && store.note(method, "isSetUp") === null;
}

function authentication(world: World, payment: string, returnUrl: string | null): Stripe.PaymentIntent.NextAction {
  if (returnUrl === null) return { type: "use_stripe_sdk", use_stripe_sdk: {} };
  return {
    type: "redirect_to_url",
    redirect_to_url: { return_url: returnUrl, url: `${world.origin()}/authenticate/${payment}` },
  };
}

/** Takes the money, or tells why not. Either way there is another charge. */
function charge(
  world: World,
  payment: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  card: Card,
): Stripe.PaymentIntent {
  if (card.decline !== null) return declinePayment(world, payment, method, card.decline);
  const { id } = addCharge(world, payment, method, { status: card.isSlow ? "pending" : "succeeded" });
  world.store.setNote(id, "refund", card.refund);
  return world.store.put({
    ...payment,
    latest_charge: id,
    status: card.isSlow ? "processing" : "succeeded",
    amount_received: card.isSlow ? 0 : payment.amount,
  });
}

/** The answer to an attempt that was declined. */
function declined(payment: Stripe.PaymentIntent): Problem {
  return new Problem(402, { ...payment.last_payment_error, payment_intent: payment } as ProblemBody);
}

/** Records a decline by the bank. */
function declinePayment(
  world: World,
  payment: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  decline: Decline,
): Stripe.PaymentIntent {
  const { id } = addCharge(world, payment, method, { status: "failed", decline });
  return fail(world, { ...payment, latest_charge: id }, declineError(decline, { charge: id, payment_method: method }));
}

function fail(
  world: World,
  payment: Stripe.PaymentIntent,
  error: ReturnType<typeof declineError>,
): Stripe.PaymentIntent {
  const failed: Stripe.PaymentIntent = {
    ...payment,
    status: "requires_payment_method",
    payment_method: null,
    next_action: null,
    last_payment_error: error as Stripe.PaymentIntent.LastPaymentError,
  };
  return world.store.put(failed);
}

function addCharge(
  world: World,
  payment: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  { status, decline = null }: { status: Stripe.Charge.Status; decline?: Decline | null },
): Stripe.Charge {
  const isPaid = status === "succeeded";
  return world.store.put<Stripe.Charge>({
    id: newId("ch"),
    object: "charge",
    amount: payment.amount,
    amount_captured: isPaid ? payment.amount : 0,
    amount_refunded: 0,
    application: null,
    application_fee: null,
    application_fee_amount: null,
    balance_transaction: null,
    billing_details: method.billing_details,
    calculated_statement_descriptor: null,
    captured: isPaid,
    created: world.now(),
    currency: payment.currency,
    customer: idOf(payment.customer),
    description: payment.description,
    disputed: false,
    failure_balance_transaction: null,
    failure_code: decline?.code ?? null,
    failure_message: decline?.message ?? null,
    fraud_details: {},
    livemode: world.isLive,
    metadata: payment.metadata,
    on_behalf_of: null,
    outcome: null,
    paid: isPaid,
    payment_intent: payment.id,
    payment_method: method.id,
    payment_method_details: null,
    receipt_email: null,
    receipt_number: null,
    receipt_url: null,
    refunded: false,
    review: null,
    shipping: null,
    source: null,
    source_transfer: null,
    statement_descriptor: null,
    statement_descriptor_suffix: payment.statement_descriptor_suffix,
    status,
    transfer_data: null,
    transfer_group: null,
  });
}
