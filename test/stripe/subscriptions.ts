import type Stripe from "stripe";
import { needCustomer } from "./customers.ts";
import { emit } from "./events.ts";
import type { Parameters } from "./parameters.ts";
import { refused, resourceMissing } from "./problems.ts";
import { idOf, need, newId, type World } from "./world.ts";

/** A subscription that exists at Stripe already, with one item. */
export interface NewSubscription {
  readonly customer: string;
  readonly quantity: number;
  /** In Stripe's units, for one and a period. */
  readonly unitAmount: number;
  readonly currency: string;
  /** When the current period began, seconds. */
  readonly start: number;
  /** How many months a period has; twelve by default. */
  readonly months?: number;
}

/** Creates a subscription whose current period is paid. */
export function createSubscription(world: World, settings: NewSubscription): Stripe.Subscription {
  const { customer, currency, start, months = 12 } = settings;
  needCustomer(world, customer);
  const subscription: Stripe.Subscription = {
    id: newId("sub"),
    object: "subscription",
    application: null,
    application_fee_percent: null,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null },
    billing_cycle_anchor: start,
    billing_cycle_anchor_config: null,
    billing_mode: { flexible: null, type: "classic" },
    billing_schedules: [],
    billing_thresholds: null,
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    cancellation_details: null,
    collection_method: "charge_automatically",
    created: start,
    currency,
    customer,
    customer_account: null,
    days_until_due: null,
    default_payment_method: null,
    default_source: null,
    default_tax_rates: [],
    description: null,
    discounts: [],
    ended_at: null,
    invoice_settings: {
      account_tax_ids: null,
      custom_fields: null,
      description: null,
      footer: null,
      issuer: { type: "self" },
    },
    items: { object: "list", data: [], has_more: false, url: "/v1/subscription_items" },
    latest_invoice: null,
    livemode: world.isLive,
    managed_payments: null,
    metadata: {},
    next_pending_invoice_item_invoice: null,
    on_behalf_of: null,
    pause_collection: null,
    payment_settings: null,
    pending_invoice_item_interval: null,
    pending_setup_intent: null,
    pending_update: null,
    schedule: null,
    start_date: start,
    status: "active",
    test_clock: null,
    transfer_data: null,
    trial_end: null,
    trial_settings: null,
    trial_start: null,
  };
  const items = { ...subscription.items, data: [newItem(world, subscription.id, { ...settings, months })] };
  const { id: latest_invoice } = addInvoice(world, { ...subscription, items }, "paid");
  return emit(world, "customer.subscription.created", world.store.put({ ...subscription, items, latest_invoice }));
}

function newItem(
  world: World,
  subscription: string,
  { quantity, unitAmount, currency, start, months }: Required<NewSubscription>,
): Stripe.SubscriptionItem {
  const shared = { active: true, created: start, currency, livemode: world.isLive, metadata: {}, nickname: null };
  const [interval, product] = ["month" as const, newId("prod")];
  const scheme = { billing_scheme: "per_unit" as const, tiers_mode: null };
  return {
    id: newId("si"),
    object: "subscription_item",
    billing_thresholds: null,
    created: start,
    current_period_start: start,
    current_period_end: monthsAfter(start, months),
    current_trial: null,
    discounts: [],
    metadata: {},
    plan: {
      ...shared,
      ...scheme,
      id: newId("price"),
      object: "plan",
      amount: unitAmount,
      amount_decimal: null,
      interval,
      interval_count: months,
      meter: null,
      product,
      transform_usage: null,
      trial_period_days: null,
      usage_type: "licensed",
    },
    price: {
      ...shared,
      ...scheme,
      id: newId("price"),
      object: "price",
      custom_unit_amount: null,
      lookup_key: null,
      product,
      recurring: { interval, interval_count: months, meter: null, trial_period_days: null, usage_type: "licensed" },
      tax_behavior: "unspecified",
      transform_quantity: null,
      type: "recurring",
      unit_amount: unitAmount,
      unit_amount_decimal: null,
    },
    quantity,
    subscription,
    tax_rates: [],
  };
}

/** The same time of the day so many months later, on the last day of the month if it has no such day, seconds. */
function monthsAfter(seconds: number, months: number): number {
  const date = new Date(seconds * 1_000);
  const day = date.getUTCDate();
  date.setUTCMonth(date.getUTCMonth() + months, 1);
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(day, lastDay));
  return date.getTime() / 1_000;
}

/** Reads the item of a subscription, with the subscription. */
export function needItem(
  { store }: World,
  id: string,
): { item: Stripe.SubscriptionItem; subscription: Stripe.Subscription } {
  const [subscription] = store.list("subscription", { "items.data[0].id": id }, { limit: 1 }).data;
  const item = subscription?.items.data[0];
  if (subscription === undefined || item === undefined) throw resourceMissing("subscription_item", id, "id");
  return { item, subscription };
}

/** Changes the quantity of an item, from its next invoice on. */
export function updateItem(
  world: World,
  id: string,
  { quantity }: Parameters<"subscriptionItems.update">,
): Stripe.SubscriptionItem {
  const { item, subscription } = needItem(world, id);
  if (subscription.status === "canceled" || subscription.status === "incomplete_expired") {
    throw refused("A canceled subscription can only update its cancellation_details and metadata.", {
      code: "resource_missing",
    });
  }
  const changed = { ...item, quantity: quantity ?? item.quantity ?? 0 };
  update(world, { ...subscription, items: { ...subscription.items, data: [changed] } }, { items: subscription.items });
  return changed;
}

function update(world: World, subscription: Stripe.Subscription, previous: object): Stripe.Subscription {
  return emit(world, "customer.subscription.updated", world.store.put(subscription), previous);
}

/** Begins the next period of a subscription, whose invoice is paid or not. */
export function renew(world: World, id: string, outcome: "paid" | "failed"): Stripe.Subscription {
  const subscription = need(world, "subscription", id);
  const [item] = subscription.items.data;
  if (item === undefined) throw refused(`Subscription ${id} has no item`);
  const { interval_count: months } = item.plan;
  const periods = Math.round((item.current_period_end - subscription.billing_cycle_anchor) / (months * 2_629_746)) + 1;
  const next = {
    ...item,
    current_period_start: item.current_period_end,
    current_period_end: monthsAfter(subscription.billing_cycle_anchor, months * periods),
  };
  const renewed = { ...subscription, items: { ...subscription.items, data: [next] } };
  const invoice = addInvoice(world, renewed, outcome === "paid" ? "paid" : "open");
  const status = outcome === "paid" ? "active" : "past_due";
  const changed = { ...renewed, status, latest_invoice: invoice.id } satisfies Stripe.Subscription;
  return update(world, changed, { latest_invoice: subscription.latest_invoice });
}

function addInvoice(world: World, subscription: Stripe.Subscription, status: "paid" | "open"): Stripe.Invoice {
  const [item] = subscription.items.data;
  const total = (item?.plan.amount ?? 0) * (item?.quantity ?? 0);
  const invoice = {
    id: newId("in"),
    object: "invoice" as const,
    amount_due: total,
    amount_paid: status === "paid" ? total : 0,
    amount_remaining: status === "paid" ? 0 : total,
    attempt_count: 1,
    attempted: true,
    billing_reason: "subscription_cycle" as const,
    collection_method: "charge_automatically" as const,
    created: world.now(),
    currency: subscription.currency,
    customer: subscription.customer,
    livemode: world.isLive,
    metadata: {},
    parent: {
      quote_details: null,
      subscription_details: { metadata: {}, subscription: subscription.id },
      type: "subscription_details" as const,
    },
    period_end: item?.current_period_end ?? 0,
    period_start: item?.current_period_start ?? 0,
    status,
    subtotal: total,
    total,
  } satisfies Partial<Stripe.Invoice>;
  // The many other fields of an invoice are left out.
  const stored = world.store.put(invoice) as unknown as Stripe.Invoice;
  return emit(world, status === "paid" ? "invoice.paid" : "invoice.payment_failed", stored);
}

/** Pays an invoice that is open, so that its subscription is active again. */
export function payInvoice(world: World, id: string): Stripe.Invoice {
  const invoice = need(world, "invoice", id);
  if (invoice.status !== "open") throw refused(`Invoice ${id} is ${invoice.status}, not open`);
  const { amount_due: amount_paid } = invoice;
  const paid = world.store.put<Stripe.Invoice>({ ...invoice, status: "paid", amount_paid, amount_remaining: 0 });
  const subscription = need(world, "subscription", idOf(invoice.parent?.subscription_details?.subscription) ?? "");
  update(world, { ...subscription, status: "active" }, { status: subscription.status });
  return emit(world, "invoice.paid", paid);
}

/** Ends a subscription now. */
export function cancelSubscription(world: World, id: string): Stripe.Subscription {
  const subscription = need(world, "subscription", id);
  const [canceled_at, ended_at] = [world.now(), world.now()];
  const canceled = world.store.put<Stripe.Subscription>({ ...subscription, status: "canceled", canceled_at, ended_at });
  return emit(world, "customer.subscription.deleted", canceled);
}
