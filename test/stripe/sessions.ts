import type Stripe from "stripe";
import { type Card, cardOf, type Decline, declineError } from "./cards.ts";
import { attach, needCustomer, needMethod } from "./customers.ts";
import { emit } from "./events.ts";
import type { Parameters } from "./parameters.ts";
import { Problem, refused, wrongRequest } from "./problems.ts";
import { idOf, need, newId, type World } from "./world.ts";

/** A session is open for half an hour at least, and a day at most and by default, seconds. */
const [SHORTEST_S, LONGEST_S] = [30 * 60, 24 * 60 * 60];

/** Creates a session in which a person enters a card, to be charged later. */
export function createSession(
  world: World,
  parameters: Parameters<"checkout.sessions.create">,
): Stripe.Checkout.Session {
  const { customer = null, metadata = {}, currency = null, expires_at = world.now() + LONGEST_S } = parameters;
  if (customer !== null) needCustomer(world, customer);
  const seconds = expires_at - world.now();
  // A few seconds pass between the moment that a caller counts from and this one.
  if (seconds < SHORTEST_S - 30 || seconds > LONGEST_S) {
    const message = "The `expires_at` timestamp must be at least 30 minutes and less than 24 hours from now.";
    throw wrongRequest(message, "expires_at", "parameter_invalid_integer");
  }
  if (currency === null && parameters.allowed_payment_method_types === undefined) {
    throw wrongRequest("You must provide `currency` in setup mode.", "currency", "parameter_missing");
  }
  const id = newId(world.isLive ? "cs_live" : "cs_test");
  return world.store.put<Stripe.Checkout.Session>({
    id,
    object: "checkout.session",
    adaptive_pricing: null,
    after_expiration: null,
    allow_promotion_codes: null,
    allowed_payment_method_types: parameters.allowed_payment_method_types ?? null,
    amount_subtotal: null,
    amount_total: null,
    automatic_tax: { enabled: false, liability: null, provider: null, status: null },
    billing_address_collection: null,
    cancel_url: parameters.cancel_url ?? null,
    client_reference_id: parameters.client_reference_id ?? null,
    client_secret: null,
    collected_information: null,
    consent: null,
    consent_collection: null,
    created: world.now(),
    currency,
    currency_conversion: null,
    custom_fields: [],
    custom_text: { after_submit: null, shipping_address: null, submit: null, terms_of_service_acceptance: null },
    customer,
    customer_account: null,
    customer_creation: null,
    customer_details: null,
    customer_email: null,
    discounts: null,
    expires_at,
    integration_identifier: null,
    invoice: null,
    invoice_creation: null,
    livemode: world.isLive,
    locale: (parameters.locale ?? null) as Stripe.Checkout.Session.Locale | null,
    managed_payments: null,
    metadata,
    mode: "setup",
    origin_context: null,
    payment_intent: null,
    payment_link: null,
    payment_method_collection: "always",
    payment_method_configuration_details: null,
    payment_method_options: null,
    payment_method_types: ["card"],
    payment_status: "no_payment_required",
    permissions: null,
    recovered_from: null,
    saved_payment_method_options: null,
    setup_intent: createSetup(world, parameters).id,
    shipping_address_collection: null,
    shipping_cost: null,
    shipping_options: [],
    status: "open",
    submit_type: null,
    subscription: null,
    success_url: parameters.success_url,
    total_details: null,
    ui_mode: "hosted_page",
    url: `${world.origin()}/c/pay/${id}`,
    wallet_options: null,
  });
}

function createSetup(world: World, parameters: Parameters<"checkout.sessions.create">): Stripe.SetupIntent {
  const { metadata = {}, description = null } = parameters.setup_intent_data ?? {};
  const id = newId("seti");
  return world.store.put<Stripe.SetupIntent>({
    id,
    object: "setup_intent",
    allowed_payment_method_types: parameters.allowed_payment_method_types ?? null,
    application: null,
    automatic_payment_methods: null,
    cancellation_reason: null,
    client_secret: `${id}_secret_${newId("").slice(1)}`,
    created: world.now(),
    customer: parameters.customer ?? null,
    description,
    excluded_payment_method_types: null,
    last_setup_error: null,
    latest_attempt: null,
    livemode: world.isLive,
    mandate: null,
    metadata,
    next_action: null,
    on_behalf_of: null,
    payment_method: null,
    payment_method_configuration_details: null,
    payment_method_options: null,
    payment_method_types: ["card"],
    single_use_mandate: null,
    status: "requires_payment_method",
    usage: "off_session",
  });
}

/** Reads a session as it is now. */
export function needSession(world: World, id: string): Stripe.Checkout.Session {
  const session = need(world, "checkout.session", id);
  return session.status === "open" && session.expires_at <= world.now() ? expired(world, session) : session;
}

/** Expires a session that is open. */
export function expireSession(world: World, id: string): Stripe.Checkout.Session {
  const session = needSession(world, id);
  if (session.status === "open") return expired(world, session);
  throw refused(`Only Checkout Sessions with a status in ["open"] can be expired. This one is ${session.status}.`);
}

/** Expires the sessions whose time is over. */
export function expireSessions(world: World): void {
  for (const { id } of world.store.list("checkout.session", { status: "open" }, { limit: 1_000_000 }).data) {
    needSession(world, id);
  }
}

function expired(world: World, session: Stripe.Checkout.Session): Stripe.Checkout.Session {
  const changed = world.store.put<Stripe.Checkout.Session>({ ...session, status: "expired", url: null });
  return emit(world, "checkout.session.expired", changed);
}

/**
 * Saves a card that a person entered.
 *
 * @param approval whether the cardholder approved it, if the bank asked already
 * @returns `null` if the bank asks for the cardholder first
 * @throws Problem 402 for a card that is declined
 */
export function saveCard(
  world: World,
  session: Stripe.Checkout.Session,
  { card: name, isApproved }: { card: string; isApproved: boolean | null },
): Stripe.Checkout.Session | null {
  const [card, setup] = [cardOf(name), need(world, "setup_intent", idOf(session.setup_intent) ?? "")];
  if (isApproved === null && mustAuthenticate(card)) return null;
  const method = needMethod(world, name);
  const decline = isApproved === false ? NOT_APPROVED : card.canAttach ? null : card.decline;
  if (decline !== null) {
    const error = declineError(decline, { payment_method: method });
    world.store.put({ ...setup, last_setup_error: error as Stripe.SetupIntent.LastSetupError });
    throw new Problem(402, error);
  }
  const customer = idOf(session.customer);
  if (customer !== null) attach(world, method.id, { customer });
  world.store.setNote(method.id, "isSetUp", true);
  const done = world.store.put<Stripe.SetupIntent>({ ...setup, status: "succeeded", payment_method: method.id });
  emit(world, "setup_intent.succeeded", done);
  const complete = world.store.put<Stripe.Checkout.Session>({ ...session, status: "complete", url: null });
  return emit(world, "checkout.session.completed", complete);
}

const NOT_APPROVED: Decline = {
  type: "invalid_request_error",
  code: "setup_intent_authentication_failure",
  message: "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
};

/** Whether the bank asks when a card is saved, as it does for those that are to be charged without asking. */
function mustAuthenticate({ authentication }: Card): boolean {
  return authentication === "always" || authentication === "unless_set_up";
}
