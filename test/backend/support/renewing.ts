import { LEASE_MS } from "../../../src/backend/purchases/leases.ts";
import { advanceTo } from "../../../src/backend/sandbox/clock.ts";
import type { Purchase, Receipt, Subscription } from "../../../src/contract/billing.ts";
import type { SeedChanges } from "../../support/seed.ts";
import { call, organization, type TestBackend, tokenOf } from "./backend.ts";

export const HOUR_MS = 3_600_000;

/** Adds an organization, with changes to its subscription. */
export async function openSubscription(
  backend: TestBackend,
  subscription: SeedChanges["subscription"] = {},
  changes: SeedChanges = {},
): Promise<number> {
  const made = organization({ ...changes, subscription: { ...changes.subscription, ...subscription } });
  await backend.addOrganization(made);
  return made.id;
}

/** Sets the billing clock, and lets remaining leases expire. */
export function setClock(backend: TestBackend, instant: string | number): void {
  backend.clocks.machine += LEASE_MS;
  backend.clocks.billing = typeof instant === "number" ? instant : Date.parse(instant);
}

/** Moves the clock from event to event, as a sandbox does. */
export async function fastForward(backend: TestBackend, instant: string | number): Promise<void> {
  const { clocks, deps } = backend;
  const move = (to: number) => {
    clocks.billing = to;
  };
  const clock = {
    ...deps.clock,
    offset: () => clocks.billing - clocks.machine,
    moveTo: move,
    holdAt: move,
  };
  // The wait for other workers needs a clock that runs.
  const now = () => {
    clocks.machine += 100;
    return clocks.machine;
  };
  await advanceTo({ ...deps, now }, clock, typeof instant === "number" ? instant : Date.parse(instant));
}

/** `GET …/subscription`. */
export async function subscriptionOf(backend: TestBackend, id: number): Promise<Subscription> {
  return (await call(backend, "GET", `/organizations/${id}/subscription`, { token: tokenOf(id) })).body;
}

/** Lists the renewals of an organization, oldest first. */
export async function renewalsOf(backend: TestBackend, id: number): Promise<Purchase[]> {
  const renewals: Purchase[] = [];
  for (let after: string | null = ""; after !== null; ) {
    const path: string = `/organizations/${id}/purchases?kind=renewal&limit=100${after && `&after=${after}`}`;
    const { body } = await call(backend, "GET", path, { token: tokenOf(id) });
    renewals.push(...body.items);
    after = body.next;
  }
  return renewals.reverse();
}

/** Returns the only renewal of an organization. */
export async function onlyRenewal(backend: TestBackend, id: number): Promise<Purchase> {
  const [renewal, ...more] = await renewalsOf(backend, id);
  if (!renewal || more.length > 0) throw new TypeError(`There are ${more.length + (renewal ? 1 : 0)} renewals`);
  return renewal;
}

/** `GET …/purchases/{purchaseId}/receipt`. */
export async function receiptOf(backend: TestBackend, id: number, purchaseId: string): Promise<Receipt> {
  const path = `/organizations/${id}/purchases/${purchaseId}/receipt`;
  return (await call(backend, "GET", path, { token: tokenOf(id) })).body;
}

/** `POST …/quotes`; returns the whole answer. */
export function quote(backend: TestBackend, id: number, licenses = 1) {
  return call(backend, "POST", `/organizations/${id}/quotes`, { token: tokenOf(id), body: { licenses } });
}

/** `PUT …/subscription/reduction`, and `DELETE` with `null`. */
export function reduce(backend: TestBackend, id: number, licenses: number | null, subscriptionVersion?: number) {
  const path = `/organizations/${id}/subscription/reduction`;
  if (licenses === null) return call(backend, "DELETE", path, { token: tokenOf(id) });
  return call(backend, "PUT", path, { token: tokenOf(id), body: { licenses, subscriptionVersion } });
}

/** Sets the payment method of an organization. */
export async function storeCard(backend: TestBackend, id: number, card: string | null): Promise<void> {
  await backend.deps.database
    .updateTable("subscriptions")
    .set({ payment_method: card })
    .where("organization_id", "=", id)
    .execute();
}
