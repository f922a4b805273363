import type { RunningStandIn } from "../stripe/start.ts";
import { organization, type SeedOrganization } from "../support/seed.ts";
import type { Cluster } from "./serviceCluster.ts";

/** The licenses of each organization at the start. */
export const SEEDED_LICENSES = 25;

/** An organization whose customer is at the stand-in. */
export interface CustomerSettings {
  readonly id: number;
  /** The test payment method of its customer; `null` without one. */
  readonly card: string | null;
  /** Whether it renews at the stand-in. */
  readonly renewsThere?: boolean;
}

/** An organization to import, with its stored card. */
interface Customer {
  readonly seed: SeedOrganization;
  readonly card: { readonly id: string; readonly label: string } | null;
}

/** Creates the customers of organizations, with their cards and subscriptions; one by one, because they share test cards. */
export async function createCustomers(
  standIn: RunningStandIn,
  settings: readonly CustomerSettings[],
): Promise<Customer[]> {
  const customers: Customer[] = [];
  for (const each of settings) customers.push(await createCustomer(standIn, each));
  return customers;
}

async function createCustomer(
  standIn: RunningStandIn,
  { id, card, renewsThere = false }: CustomerSettings,
): Promise<Customer> {
  const stripe = standIn.client();
  const { id: customer } = await stripe.customers.create({ name: `Organization ${id}` });
  const method = card === null ? null : await stripe.paymentMethods.attach(card, { customer });
  return {
    seed: organization(id, {
      paymentMethod: null,
      stripeCustomerId: customer,
      ...(renewsThere && (await subscribed(standIn, customer))),
    }),
    card: method && { id: method.id, label: `Visa ending in ${method.card?.last4}` },
  };
}

/** What an organization has that renews at the stand-in since the beginning of this year. */
async function subscribed(standIn: RunningStandIn, customer: string) {
  const anchorDate = `${new Date().getUTCFullYear()}-01-01`;
  const { id, items } = await standIn.control.createSubscription({
    ...{ customer, quantity: SEEDED_LICENSES, unitAmount: 15_000, currency: "gbp" },
    start: Date.parse(anchorDate) / 1_000,
  });
  return {
    timeZone: "UTC",
    stripeSubscriptionId: id,
    stripeSubscriptionItemId: items.data[0]?.id ?? null,
    subscription: { anchorDate },
  };
}

/** Stores the cards of organizations that were imported. */
export async function storeCards({ query }: Cluster, customers: readonly Customer[]): Promise<void> {
  for (const { seed, card } of customers) {
    await query("update subscriptions set payment_method = $2, payment_method_label = $3 where organization_id = $1", [
      seed.id,
      card?.id ?? null,
      card?.label ?? null,
    ]);
  }
}
