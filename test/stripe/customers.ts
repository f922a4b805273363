import type Stripe from "stripe";
import { CARDS, cardOf, declineError } from "./cards.ts";
import { emit } from "./events.ts";
import type { Parameters } from "./parameters.ts";
import { Problem, refused, resourceMissing } from "./problems.ts";
import { idOf, need, newId, type World } from "./world.ts";

/** Creates a customer, with a payment method if one is named. */
export function createCustomer(world: World, parameters: Parameters<"customers.create">): Stripe.Customer {
  const { name = null, email = null, description = null, metadata = {}, payment_method: method } = parameters;
  const customer = world.store.put<Stripe.Customer>({
    id: newId("cus"),
    object: "customer",
    balance: 0,
    created: world.now(),
    currency: null,
    default_source: null,
    delinquent: false,
    description,
    discount: null,
    email,
    invoice_settings: { custom_fields: null, default_payment_method: null, footer: null, rendering_options: null },
    livemode: world.isLive,
    metadata,
    name,
    shipping: null,
    tax_exempt: "none",
  });
  emit(world, "customer.created", customer);
  if (method !== undefined) attach(world, method, { customer: customer.id });
  return customer;
}

/** Reads a customer that was not deleted, whom a parameter names. */
export function needCustomer(world: World, id: string): Stripe.Customer {
  const customer = need(world, "customer", id, "customer");
  if (customer.deleted) throw resourceMissing("customer", id, "customer");
  return customer;
}

/** Deletes a customer, whose payment methods are detached. */
export function deleteCustomer(world: World, id: string): Stripe.DeletedCustomer {
  const customer = need(world, "customer", id);
  if (customer.deleted) throw resourceMissing("customer", id, "id");
  for (const { id: method } of world.store.list("payment_method", { customer: id }, { limit: 100 }).data) {
    detach(world, method);
  }
  emit(world, "customer.deleted", customer);
  return world.store.put<Stripe.DeletedCustomer>({ id, object: "customer", deleted: true });
}

/**
 * Reads a payment method that a request names. The name of a test method, `pm_card_visa`, makes a new one each time.
 *
 * @param param the parameter that names it
 */
export function needMethod(world: World, id: string, param = "payment_method"): Stripe.PaymentMethod {
  return Object.hasOwn(CARDS, id) ? mint(world, id) : need(world, "payment_method", id, param);
}

function mint(world: World, name: string): Stripe.PaymentMethod {
  const { brand, last4 } = cardOf(name);
  const method = world.store.put<Stripe.PaymentMethod>({
    id: newId("pm"),
    object: "payment_method",
    allow_redisplay: "unspecified",
    billing_details: { address: null, email: null, name: null, phone: null, tax_id: null },
    card: {
      brand,
      checks: { address_line1_check: null, address_postal_code_check: null, cvc_check: "pass" },
      country: "US",
      display_brand: brand,
      exp_month: 8,
      exp_year: new Date(world.now() * 1_000).getUTCFullYear() + 1,
      fingerprint: `fingerprint${last4}`,
      funding: name.includes("debit") ? "debit" : "credit",
      generated_from: null,
      last4,
      networks: { available: [brand], preferred: null },
      regulated_status: "unregulated",
      three_d_secure_usage: { supported: true },
      wallet: null,
    },
    created: world.now(),
    customer: null,
    customer_account: null,
    livemode: world.isLive,
    metadata: {},
    type: "card",
  });
  world.store.setNote(method.id, "card", name);
  return method;
}

/** Attaches a payment method to a customer, which a card that is declined refuses: 402. */
export function attach(
  world: World,
  id: string,
  { customer }: Pick<Parameters<"paymentMethods.attach">, "customer">,
): Stripe.PaymentMethod {
  needCustomer(world, customer);
  const method = needMethod(world, id, "id");
  if (idOf(method.customer) === customer) return method;
  if (method.customer !== null)
    throw refused("The payment method you provided has already been attached to a customer.");
  assertReusable(world, method);
  const { decline, canAttach } = cardOf(world.store.note<string>(method.id, "card"));
  if (decline !== null && !canAttach) throw new Problem(402, declineError(decline, { payment_method: method }));
  return emit(world, "payment_method.attached", world.store.put({ ...method, customer }));
}

/** Detaches a payment method, which is good for nothing afterwards. */
export function detach(world: World, id: string): Stripe.PaymentMethod {
  const method = need(world, "payment_method", id);
  if (method.customer === null) {
    throw refused("The payment method you provided is not attached to a customer so detachment is impossible.");
  }
  world.store.setNote(id, "used", "detached");
  const detached = world.store.put({ ...method, customer: null });
  return emit(world, "payment_method.detached", detached, { customer: method.customer });
}

/**
 * One that was detached, or charged without a customer, cannot be used again.
 *
 * @param isCurrent whether the payment that is to charge it has it already
 */
export function assertReusable({ store }: World, { id, customer }: Stripe.PaymentMethod, isCurrent = false): void {
  const used = customer === null ? store.note<"charged" | "detached">(id, "used") : null;
  if (used === null || (used === "charged" && isCurrent)) return;
  throw refused(
    `The provided PaymentMethod ${id} was previously used with a PaymentIntent without Customer attachment, or was ` +
      "detached from a Customer. It may not be used again.",
    { code: "payment_method_unexpected_state" },
  );
}
