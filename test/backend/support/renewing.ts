import { LEASE_MS } from "../../../src/backend/purchases/leases.ts";
import { advanceTo } from "../../../src/backend/sandbox/clock.ts";
import type { SeedOrganization } from "../../../src/backend/sandbox/seedFile.ts";
import type { Purchase, Receipt, Subscription } from "../../../src/contract/billing.ts";
import { call, organization, type TestBackend, tokenOf } from "./backend.ts";

export const HOUR_MS = 3_600_000;

/** Adds an organization; of its subscription only what differs. */
export async function openSubscription(
  backend: TestBackend,
  subscription: Partial<SeedOrganization["subscription"]> = {},
  changes: Partial<SeedOrganization> = {},
): Promise<number> {
  const made = organization(changes);
  await backend.addOrganization({ ...made, subscription: { ...made.subscription, ...subscription } });
  return made.id;
}

/** Sets the billing clock, and lets every lease that is left end. */
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
  // Somebody who is waited for has his time, by a clock that runs.
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

/** The renewals of an organization, oldest first. */
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

/** The one renewal that an organization has. */
export async function onlyRenewal(backend: TestBackend, id: number): Promise<Purchase> {
  const [renewal, ...more] = await renewalsOf(backend, id);
  if (!renewal || more.length > 0) throw new TypeError(`There are ${more.length + (renewal ? 1 : 0)} renewals`);
  return renewal;
}

/** The receipt of a purchase. */
export async function receiptOf(backend: TestBackend, id: number, purchaseId: string): Promise<Receipt> {
  const path = `/organizations/${id}/purchases/${purchaseId}/receipt`;
  return (await call(backend, "GET", path, { token: tokenOf(id) })).body;
}

/** Asks for a quote; gives the whole answer. */
export function quote(backend: TestBackend, id: number, licenses = 1) {
  return call(backend, "POST", `/organizations/${id}/quotes`, { token: tokenOf(id), body: { licenses } });
}

/** `PUT …/subscription/reduction`, and `DELETE` with `null`. */
export function reduce(backend: TestBackend, id: number, licenses: number | null, subscriptionVersion?: number) {
  const path = `/organizations/${id}/subscription/reduction`;
  if (licenses === null) return call(backend, "DELETE", path, { token: tokenOf(id) });
  return call(backend, "PUT", path, { token: tokenOf(id), body: { licenses, subscriptionVersion } });
}

/** Changes what an organization pays with. */
export async function storeCard(backend: TestBackend, id: number, card: string | null): Promise<void> {
  await backend.deps.database
    .updateTable("subscriptions")
    .set({ payment_method: card })
    .where("organization_id", "=", id)
    .execute();
}
