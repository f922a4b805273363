import type Stripe from "stripe";
import { type Card, type Decline, declineError, takeCard } from "./cards.ts";
import { emit } from "./events.ts";
import { Problem, type ProblemBody, refused } from "./problems.ts";
import { idOf, need, newId, type World } from "./world.ts";

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
  if (method.customer === null) store.setNote(method.id, "used", "charged");
  const tried = { ...payment, payment_method: method.id, last_payment_error: null, next_action: null };
  if (mustAuthenticate(world, card, method.id, isOffSession)) {
    if (isOffSession) throw declined(declinePayment(world, tried, method, ABSENT));
    const step = newId("step");
    store.setNote(payment.id, "waiting", { card, step } satisfies Waiting);
    const next_action = authentication(world, `${payment.id}/${step}`, returnUrl);
    const waiting = store.put<Stripe.PaymentIntent>({ ...tried, status: "requires_action", next_action });
    return emit(world, "payment_intent.requires_action", waiting);
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

/** What is noted about a payment that waits for its cardholder. */
interface Waiting {
  readonly card: Card;
  /** Another one with each attempt, so that pages of earlier ones change nothing. */
  readonly step: string;
}

/** The cardholder was asked, and did not approve. */
const NOT_APPROVED: Decline = {
  type: "invalid_request_error",
  code: "payment_intent_authentication_failure",
  message:
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod to attempt to fulfill this PaymentIntent again.",
};

/** Reads a payment that waits for its cardholder at a step; `null` if it does not, or not any more. */
export function waitingPayment(world: World, id: string, step: string): Stripe.PaymentIntent | null {
  const payment = world.store.get("payment_intent", id);
  const waiting = world.store.note<Waiting>(id, "waiting");
  return payment?.status === "requires_action" && waiting?.step === step ? payment : null;
}

/** Goes on with a payment whose cardholder was asked. */
export function authenticated(world: World, payment: Stripe.PaymentIntent, isApproved: boolean): Stripe.PaymentIntent {
  const method = need(world, "payment_method", idOf(payment.payment_method) ?? "");
  const waiting = world.store.note<Waiting>(payment.id, "waiting");
  world.store.setNote(payment.id, "waiting", null);
  if (!isApproved || waiting === null)
    return fail(world, payment, declineError(NOT_APPROVED, { payment_method: method }));
  return charge(world, { ...payment, next_action: null }, method, waiting.card);
}

/** Ends a payment that was processing: the bank has paid it, or has not. */
export function settlePayment(world: World, id: string, outcome: "succeeded" | "failed"): Stripe.PaymentIntent {
  const payment = need(world, "payment_intent", id);
  if (payment.status !== "processing") throw refused(`PaymentIntent ${id} is ${payment.status}, not processing`);
  const last = need(world, "charge", idOf(payment.latest_charge) ?? "");
  const method = need(world, "payment_method", idOf(payment.payment_method) ?? "");
  if (outcome === "failed") {
    const { code, message } = NOT_PAID;
    world.store.put({ ...last, status: "failed", failure_code: code, failure_message: message });
    return fail(world, payment, declineError(NOT_PAID, { charge: last.id, payment_method: method }));
  }
  const { amount } = payment;
  emit(
    world,
    "charge.succeeded",
    world.store.put<Stripe.Charge>({
      ...last,
      status: "succeeded",
      paid: true,
      captured: true,
      amount_captured: amount,
    }),
  );
  return emit(
    world,
    "payment_intent.succeeded",
    world.store.put<Stripe.PaymentIntent>({ ...payment, status: "succeeded", amount_received: amount }),
  );
}

/** A bank debit that came back. */
const NOT_PAID: Decline = {
  code: "payment_intent_payment_attempt_failed",
  message: "The payment failed.",
};

function authentication(world: World, place: string, returnUrl: string | null): Stripe.PaymentIntent.NextAction {
  if (returnUrl === null) return { type: "use_stripe_sdk", use_stripe_sdk: {} };
  return {
    type: "redirect_to_url",
    redirect_to_url: { return_url: returnUrl, url: `${world.origin()}/authenticate/${place}` },
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
  const status = card.isSlow ? "processing" : "succeeded";
  const amount_received = card.isSlow ? 0 : payment.amount;
  const charged = world.store.put<Stripe.PaymentIntent>({ ...payment, latest_charge: id, status, amount_received });
  return emit(world, `payment_intent.${status}`, charged);
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
  return emit(world, "payment_intent.payment_failed", world.store.put(failed));
}

function addCharge(
  world: World,
  payment: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  { status, decline = null }: { status: Stripe.Charge.Status; decline?: Decline | null },
): Stripe.Charge {
  const isPaid = status === "succeeded";
  const charge = world.store.put<Stripe.Charge>({
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
  return emit(world, `charge.${status}`, charge);
}
