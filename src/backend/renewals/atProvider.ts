import { type Kysely, type Selectable, sql } from "kysely";
import { dateInZone } from "../../billing/calendar.ts";
import { licensesAtRenewal } from "../../billing/quote.ts";
import { termAt, termIndexOn } from "../../billing/term.ts";
import { claimDue } from "../database/claims.ts";
import type { Database, OrganizationSubscription } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { BackendDeps } from "../deps.ts";
import { BACKEND, recordEvents } from "../events/events.ts";
import { queueNotification } from "../events/outbox.ts";
import { storeEnteredMethod } from "../paymentMethod/entry.ts";
import { methodNotification } from "../paymentMethod/store.ts";
import type { PaymentChoice, ProviderSubscription } from "../payments/gateway.ts";
import { cancelRenewalPayment } from "../purchases/customer.ts";
import { CARD_ENTRY_MS } from "../purchases/schedule.ts";
import { readSubscription, termRuleOf } from "../subscriptions/store.ts";
import { snapshotAt } from "../subscriptions/view.ts";

type FollowDeps = Pick<BackendDeps, "database" | "gateway" | "clock" | "random" | "reach" | "log">;

type ObjectRow = Selectable<Database["provider_objects"]>;

/** How long a worker has a customer or subscription for itself, and after how long it is tried again, milliseconds. */
const CLAIM_MS = 60_000;

/** How often a subscription is looked at although nothing was heard of it, milliseconds. */
const DAY_MS = 24 * 3_600_000;

/**
 * Looks at the customers and subscriptions of the provider that are due: those that a webhook named, subscriptions whose
 * license count has changed, and every subscription once a day.
 *
 * @param limit how many at most
 * @returns whether there were any
 */
export async function followDue(deps: FollowDeps, limit: number): Promise<boolean> {
  const now = deps.clock.now();
  const claimed = now + CLAIM_MS;
  const due = await claimDue(deps.database, "provider_objects", { now, until: claimed, limit });
  await Promise.all(due.map((object) => followOrLog(deps, object, claimed)));
  return due.length > 0;
}

async function followOrLog(deps: FollowDeps, { id, kind, organization_id }: ObjectRow, claimed: number): Promise<void> {
  try {
    const isSubscription = kind === "subscription";
    const isDone = await (isSubscription ? followSubscription : followCustomer)(deps, organization_id);
    if (!isDone) return;
    const wait = isSubscription ? DAY_MS : CARD_ENTRY_MS;
    const isWaiting = isSubscription || (await storeEnteredMethod(deps, organization_id))?.status === "open";
    await deps.database
      .updateTable("provider_objects")
      .set({ check_at: isWaiting ? deps.clock.now() + wait : null })
      .where("id", "=", id)
      // It may have become due again.
      .where("check_at", "=", claimed)
      .execute();
  } catch (error) {
    deps.log(`${kind} of organization ${organization_id} at the provider`, error);
  }
}

/** How often in a row a quantity is set that another worker sets as well, before it is left for later. */
const MAX_SETS = 3;

/**
 * Follows a subscription that the provider renews: takes over its term and state, and sets its quantity to the licenses that
 * the next renewal is for. Safe to repeat, at any time (src/backend/README.md, Renewals by the provider).
 *
 * @returns whether both agree now; otherwise it is due again within a minute
 * @throws GatewayUnavailable, GatewayRefusal
 */
export async function followSubscription(deps: FollowDeps, organizationId: number): Promise<boolean> {
  let isDone = false;
  try {
    isDone = await setUntilEqual(deps, organizationId);
    return isDone;
  } finally {
    if (!isDone) await lookAgainSoon(deps, organizationId);
  }
}

/** Sets the quantity until it is read back as our count is then: one that was set slowly arrives after a later one. */
async function setUntilEqual(deps: FollowDeps, organizationId: number): Promise<boolean> {
  let row = await readSubscription(deps.database, organizationId);
  for (let sets = 0; ; sets += 1) {
    const seen = await readAtProvider(deps, row);
    if (seen === null) return false;
    row = await takeOver(deps.database, organizationId, seen, deps.clock.now());
    const wanted = licensesAtRenewal({ purchased: row.licenses, used: row.used, reduction: row.reduction });
    // Without a next invoice no quantity matters, and one that has ended cannot be changed.
    if (seen.quantity === wanted || !seen.autoRenew) return true;
    if (sets === MAX_SETS) return false;
    const key = `organization_${organizationId}:quantity:${deps.random(12).toString("hex")}`;
    await deps.gateway.subscriptions?.setQuantity(row.provider_item ?? "", wanted, key);
    deps.reach("B13");
  }
}

/** Makes a subscription due in a minute: another worker may have found it right, before this one changed it. */
async function lookAgainSoon({ database, clock }: FollowDeps, organizationId: number): Promise<void> {
  const soon = clock.now() + CLAIM_MS;
  await database
    .updateTable("provider_objects")
    .set({ check_at: soon })
    .where("organization_id", "=", organizationId)
    .where("kind", "=", "subscription")
    .where("check_at", ">", soon)
    .execute();
}

/** A subscription at the provider, with what its item is. */
type Seen = ProviderSubscription & Pick<ProviderSubscription["items"][number], "quantity" | "start" | "end">;

/** Reads the subscription of an organization. Returns `null` for one that is not, or no longer, what was imported. */
async function readAtProvider(deps: FollowDeps, row: OrganizationSubscription): Promise<Seen | null> {
  const { provider_subscription: id, provider_item, customer_id, organization_id } = row;
  const { subscriptions, account } = deps.gateway;
  if (id === null || subscriptions === null) return null;
  const seen = await subscriptions.read(id);
  const item = seen?.items.find((each) => each.id === provider_item);
  if (seen && item && seen.customer === customer_id && seen.mode === account.mode) {
    return { ...seen, quantity: item.quantity, start: item.start, end: item.end };
  }
  deps.log(`subscription ${id} of organization ${organization_id} at the provider is not the one that was imported`);
  return null;
}

/** Takes over what the provider says, in one transaction that locks the subscription. The term only goes on. */
async function takeOver(
  database: Kysely<Database>,
  organizationId: number,
  seen: Seen,
  now: number,
): Promise<OrganizationSubscription> {
  return inTransaction(database, async (tx) => {
    await tx
      .updateTable("subscriptions")
      .set((expression) => ({ version: expression.ref("version") }))
      .where("organization_id", "=", organizationId)
      .execute();
    const row = await readSubscription(tx, organizationId);
    const index = Math.max(row.term_index, termIndexOf(row, seen));
    const isApplied = row.reduction !== null && index > row.term_index && (row.reduction_term ?? 0) <= index;
    const licenses = isApplied ? Math.max(row.reduction ?? 0, row.used) : row.licenses;
    const autoRenew = seen.autoRenew ? 1 : 0;
    const changes = [
      ...(index > row.term_index ? [renewal(row, index, { licenses, invoice: seen.invoice })] : []),
      ...(isApplied
        ? [{ type: "reduction.applied", data: { from: row.licenses, asked: row.reduction, to: licenses } }]
        : []),
      ...(autoRenew === row.auto_renew && seen.status === (row.provider_status ?? "active")
        ? []
        : [{ type: "renewal.changed", data: { autoRenew: seen.autoRenew, status: seen.status } }]),
    ];
    await tx
      .updateTable("subscriptions")
      .set({
        term_index: index,
        licenses,
        ...(isApplied && { reduction: null, reduction_term: null }),
        auto_renew: autoRenew,
        provider_status: seen.status,
        provider_quantity: seen.quantity,
        version: row.version + (changes.length > 0 ? 1 : 0),
      })
      .where("organization_id", "=", organizationId)
      .execute();
    await recordEvents(tx, { organizationId, at: now, actor: BACKEND }, changes);
    return readSubscription(tx, organizationId);
  });
}

/** The term that the provider has charged last: the one in the middle of its period, whose hours may differ from ours. */
function termIndexOf(row: OrganizationSubscription, { start, end }: Seen): number {
  return termIndexOn(termRuleOf(row), dateInZone((start + end) / 2, row.time_zone));
}

function renewal(row: OrganizationSubscription, index: number, more: { licenses: number; invoice: string | null }) {
  const { start, renewalDate } = termAt(termRuleOf(row), index);
  return { type: "renewal.made", data: { start, renewalDate, ...more } };
}

/**
 * Whether the provider has renewed a subscription that is not due yet, or not one that is. Until both agree, nobody can say
 * which term licenses that are bought would be charged for.
 *
 * @param now the billing clock, milliseconds
 */
export function isBetweenTerms(row: OrganizationSubscription, now: number): boolean {
  return (
    row.provider_subscription !== null && row.auto_renew === 1 && snapshotAt(row, now).termIndex !== row.term_index
  );
}

/**
 * Reads the stored payment method of a customer again: its label may have changed. One that is not theirs any more cannot be
 * charged, and is forgotten, and so is a customer who was deleted, unless their subscription renews there.
 *
 * @returns whether nothing is left to do
 */
async function followCustomer(deps: FollowDeps, organizationId: number): Promise<boolean> {
  const { customers } = deps.gateway;
  const row = await readSubscription(deps.database, organizationId);
  const { customer_id: customer, payment_method: known } = row;
  if (customers === null || customer === null) return true;
  const method = known === null ? null : await customers.findMethod(customer, known);
  const isDeleted = method === null && row.provider_subscription === null && !(await customers.exists(customer));
  if (isDeleted && !(await cancelRenewalPayment(deps, row))) return false;
  const hasChanged = known !== null && method?.label !== row.payment_method_label;
  const expires = method?.expires ?? null;
  const hasNewExpiry = known !== null && expires !== row.payment_method_expires;
  if (isDeleted || hasChanged || hasNewExpiry) await saveCustomerAsSeen(deps, row, { method, isDeleted, hasChanged });
  return true;
}

async function saveCustomerAsSeen(
  { database, clock, log }: FollowDeps,
  row: OrganizationSubscription,
  { method, isDeleted, hasChanged }: { method: PaymentChoice | null; isDeleted: boolean; hasChanged: boolean },
): Promise<void> {
  const { organization_id: organizationId, customer_id: customer, payment_method: known } = row;
  await inTransaction(database, async (tx) => {
    const changed = await tx
      .updateTable("subscriptions")
      .set({
        payment_method: method?.id ?? null,
        payment_method_label: method?.label ?? null,
        payment_method_expires: method?.expires ?? null,
      })
      // Another customer is created under another key.
      .set(isDeleted ? { customer_id: null, card_entry: null, card_entries: sql`card_entries + 1` } : {})
      .set("version", sql`version + 1`)
      .where("organization_id", "=", organizationId)
      .where("customer_id", "=", customer)
      .where("payment_method", known === null ? "is" : "=", known)
      .returning("version")
      .executeTakeFirst();
    if (!changed || !hasChanged) return;
    const event = { type: "payment_method.changed", data: { paymentMethod: method?.id ?? null } };
    await recordEvents(tx, { organizationId, at: clock.now(), actor: BACKEND }, [event]);
    const now = method && { label: method.label, expires: method.expires ?? null };
    await queueNotification(tx, methodNotification({ ...row, version: changed.version }, now), clock.now());
  });
  if (isDeleted) log(`customer ${customer} of organization ${organizationId} was deleted at the provider`);
}
