import type Stripe from "stripe";
import { attempt } from "./attempts.ts";
import { checkAmount } from "./currencies.ts";
import { assertReusable, needCustomer, needMethod } from "./customers.ts";
import { emit } from "./events.ts";
import type { Parameters } from "./parameters.ts";
import { refused } from "./problems.ts";
import { idOf, need, newId, type World } from "./world.ts";

/** Creates a payment, which moves nothing before it is confirmed. */
export function createPayment(world: World, parameters: Parameters<"paymentIntents.create">): Stripe.PaymentIntent {
  const { amount, currency, customer = null, description = null, metadata = {} } = parameters;
  checkAmount(amount, currency);
  if (customer !== null) needCustomer(world, customer);
  const method = parameters.payment_method === undefined ? null : methodFor(world, customer, parameters.payment_method);
  const id = newId("pi");
  const payment = world.store.put<Stripe.PaymentIntent>({
    id,
    object: "payment_intent",
    allowed_payment_method_types: parameters.allowed_payment_method_types ?? null,
    amount,
    amount_capturable: 0,
    amount_received: 0,
    application: null,
    application_fee_amount: null,
    automatic_payment_methods: null,
    canceled_at: null,
    cancellation_reason: null,
    capture_method: "automatic_async",
    client_secret: `${id}_secret_${newId("").slice(1)}`,
    confirmation_method: "automatic",
    created: world.now(),
    currency,
    customer,
    customer_account: null,
    description,
    excluded_payment_method_types: null,
    last_payment_error: null,
    latest_charge: null,
    livemode: world.isLive,
    managed_payments: null,
    metadata,
    next_action: null,
    on_behalf_of: null,
    payment_method: method?.id ?? null,
    payment_method_configuration_details: null,
    payment_method_options: null,
    payment_method_types: ["card"],
    payment_record: null,
    processing: null,
    receipt_email: null,
    review: null,
    setup_future_usage: null,
    shipping: null,
    source: null,
    statement_descriptor: null,
    statement_descriptor_suffix: parameters.statement_descriptor_suffix ?? null,
    status: method === null ? "requires_payment_method" : "requires_confirmation",
    transfer_group: null,
  });
  return emit(world, "payment_intent.created", payment);
}

/** The method that is to be charged, which has to be the customer's, or nobody's. The payment has the current one already. */
function methodFor(
  world: World,
  customer: string | null,
  id: string,
  current: string | null = null,
): Stripe.PaymentMethod {
  const method = needMethod(world, id);
  assertReusable(world, method, id === current);
  const owner = idOf(method.customer);
  if (owner === null || owner === customer) return method;
  throw refused(
    `The payment method supplied (${method.id}) belongs to a customer. Please include the Customer in the \`customer\` ` +
      "parameter on the PaymentIntent.",
    { param: "payment_method" },
  );
}

const CONFIRMABLE: ReadonlySet<string> = new Set([
  "requires_payment_method",
  "requires_confirmation",
  "requires_action",
]);

/** Confirms a payment: an attempt to take the money. A decline is a 402, with the payment in its body. */
export function confirmPayment(
  world: World,
  id: string,
  parameters: Parameters<"paymentIntents.confirm">,
): Stripe.PaymentIntent {
  const payment = need(world, "payment_intent", id);
  const { off_session = false, return_url = null, payment_method: given } = parameters;
  if (!CONFIRMABLE.has(payment.status)) {
    const reason =
      payment.status === "succeeded"
        ? "it has already succeeded after being previously confirmed"
        : `it has a status of ${payment.status}`;
    throw unexpectedState(payment, `You cannot confirm this PaymentIntent because ${reason}.`);
  }
  const current = idOf(payment.payment_method);
  const method = given ?? current;
  if (method === null) {
    throw unexpectedState(payment, "You cannot confirm this PaymentIntent because it's missing a payment method.");
  }
  return attempt(world, payment, methodFor(world, idOf(payment.customer), method, current), {
    isOffSession: off_session,
    returnUrl: return_url,
  });
}

/** Cancels a payment that has neither taken money nor is taking it. */
export function cancelPayment(
  world: World,
  id: string,
  { cancellation_reason: reason }: Parameters<"paymentIntents.cancel">,
): Stripe.PaymentIntent {
  const payment = need(world, "payment_intent", id);
  if (!CONFIRMABLE.has(payment.status)) {
    const message = `You cannot cancel this PaymentIntent because it has a status of ${payment.status}.`;
    throw unexpectedState(payment, message);
  }
  const canceled = world.store.put<Stripe.PaymentIntent>({
    ...payment,
    status: "canceled",
    canceled_at: world.now(),
    cancellation_reason: reason ?? null,
    next_action: null,
  });
  return emit(world, "payment_intent.canceled", canceled);
}

function unexpectedState(payment: Stripe.PaymentIntent, message: string) {
  return refused(message, { code: "payment_intent_unexpected_state", payment_intent: payment });
}
