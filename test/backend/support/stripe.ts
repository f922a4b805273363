import type { PaymentGateway } from "../../../src/backend/payments/gateway.ts";
import { openStripe } from "../../../src/backend/payments/stripe/client.ts";
import { stripeGateway } from "../../../src/backend/payments/stripe/stripeGateway.ts";
import type { RunningStandIn } from "../../stripe/start.ts";
import { organization, type TestBackend } from "./backend.ts";
import { expectInvariants } from "./invariants.ts";

/** Opens a stand-in for Stripe as the payment provider. */
export function gatewayOf({ ready: { key, url } }: RunningStandIn, now: () => number = Date.now): PaymentGateway {
  const stripe = openStripe({ key, apiUrl: new URL(url), rate: 10_000, monotonic: () => performance.now() });
  return stripeGateway(stripe, { account: { mode: "test", seller: "SecureFlag" }, now });
}

/** Lets a backend be paid through a stand-in for Stripe instead of by test cards. */
export function payThrough(standIn: RunningStandIn, { deps, clocks }: TestBackend): void {
  // Stripe compares with its own clock when a page is to close.
  clocks.machine = Date.now();
  Object.assign(
    deps.gateway,
    gatewayOf(standIn, () => clocks.machine),
  );
}

/** Adds an organization with a customer who has a test payment method, or none. Returns its ID. */
export async function addCustomer(standIn: RunningStandIn, backend: TestBackend, card: string | null): Promise<number> {
  const made = organization({ paymentMethod: null });
  await backend.addOrganization(made);
  const stripe = standIn.client();
  const { id: customer } = await stripe.customers.create({ name: made.name });
  const method = card === null ? null : await stripe.paymentMethods.attach(card, { customer });
  await backend.deps.database
    .updateTable("subscriptions")
    .set({
      customer_id: customer,
      payment_method: method?.id ?? null,
      payment_method_label: method && `Visa ending in ${method.card?.last4}`,
    })
    .where("organization_id", "=", made.id)
    .execute();
  return made.id;
}

/**
 * Expects the invariants of an organization whose money a stand-in took.
 *
 * @param seeded the organization's initial licenses
 */
export async function expectPaidInvariants(
  standIn: RunningStandIn,
  backend: TestBackend,
  organizationId: number,
  seeded: number,
): Promise<void> {
  const captures = (await standIn.control.captures()).map(({ payment, metadata, currency, ...amounts }) => ({
    ...amounts,
    paymentId: payment,
    purchaseId: metadata.purchaseId ?? "",
    currency: currency.toUpperCase(),
  }));
  await expectInvariants({ ...backend, captures: () => captures }, organizationId, seeded);
}
