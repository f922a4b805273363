import type Stripe from "stripe";
import type { ProviderStatus } from "../../database/schema.ts";
import { GatewayRefusal, type ProviderSubscription, type ProviderSubscriptions } from "../gateway.ts";
import { ask } from "./errors.ts";

/** The subscriptions of a Stripe account, which Stripe renews by invoices. */
export function stripeSubscriptions(stripe: Stripe): ProviderSubscriptions {
  return {
    async read(id) {
      const found = await ask(() => stripe.subscriptions.retrieve(id, { expand: ["latest_invoice"] }));
      return found && subscriptionOf(found);
    },
    async setQuantity(itemId, quantity, idempotencyKey) {
      const change = { quantity, proration_behavior: "none" } as const;
      const changed = await ask(() => stripe.subscriptionItems.update(itemId, change, { idempotencyKey }));
      if (changed === null) throw new GatewayRefusal(`Stripe has no item ${itemId}`, { isConflict: false });
    },
  };
}

function subscriptionOf(found: Stripe.Subscription): ProviderSubscription {
  const { id, customer, livemode, status, cancel_at_period_end, cancel_at, items, latest_invoice } = found;
  const invoice = typeof latest_invoice === "string" || latest_invoice === null ? null : latest_invoice;
  const [end = 0] = items.data.map((item) => item.current_period_end).toSorted((one, other) => other - one);
  const willEnd = cancel_at_period_end || (cancel_at !== null && cancel_at <= end);
  return {
    id,
    customer: typeof customer === "string" ? customer : customer.id,
    mode: livemode ? "live" : "test",
    status: statusOf(status, invoice),
    autoRenew: RENEWING.has(status) && !willEnd,
    items: items.data.map((item) => ({
      id: item.id,
      quantity: item.quantity ?? 0,
      start: item.current_period_start * 1_000,
      end: item.current_period_end * 1_000,
    })),
    invoice: invoice?.id ?? null,
  };
}

/** The statuses in which Stripe begins another period (Stripe's documentation, How subscriptions work). */
const RENEWING: ReadonlySet<Stripe.Subscription.Status> = new Set(["active", "trialing", "past_due", "unpaid"]);

/** A subscription that ended because its last invoice was not paid stays unpaid. */
function statusOf(status: Stripe.Subscription.Status, invoice: Stripe.Invoice | null): ProviderStatus {
  switch (status) {
    case "past_due":
    case "incomplete":
      return "past_due";
    case "unpaid":
      return "unpaid";
    case "canceled":
    case "incomplete_expired":
      return invoice?.status === "open" || invoice?.status === "uncollectible" ? "unpaid" : "canceled";
    default:
      return "active";
  }
}
