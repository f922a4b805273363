import type { Kysely } from "kysely";
import { termAt } from "../../billing/term.ts";
import type { Database, OrganizationSubscription } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { BackendError } from "../errors.ts";
import { recordEvent } from "../events/events.ts";
import { makeProviderDue, readSubscription, termRuleOf } from "./store.ts";
import { snapshotAt } from "./view.ts";

/** Who changes a reduction, for the audit log, and when, billing clock, milliseconds. */
interface Change {
  readonly actor: string;
  readonly now: number;
}

/**
 * Schedules fewer licenses for the next term (src/billing/README.md, Reductions): fewer than purchased, and at least those
 * in use. It never applies to a term that has started, even if its renewal is not made yet. Scheduling the same count again
 * changes nothing, so a request can be repeated.
 *
 * @param wanted the count, and the version that the decision was based on, `null` for any
 * @throws BackendError `subscription_not_purchasable`, `subscription_changed`, `invalid_request`
 */
export async function scheduleReduction(
  database: Kysely<Database>,
  organizationId: number,
  wanted: { licenses: number; version: number | null },
  change: Change,
): Promise<void> {
  await inTransaction(database, async (tx) => {
    const subscription = await lock(tx, organizationId);
    if (subscription.reduction === wanted.licenses) return;
    assertRenews(subscription, change.now);
    if (wanted.version !== null && wanted.version !== subscription.version) {
      throw new BackendError("subscription_changed", "The subscription changed after this was decided");
    }
    assertChangeable(subscription, change.now);
    assertFewer(subscription, wanted.licenses);
    const reduction_term = nextTerm(subscription, change.now);
    await setReduction(tx, subscription, { reduction: wanted.licenses, reduction_term });
    const data = { from: subscription.reduction ?? subscription.licenses, to: wanted.licenses };
    await recordEvent(tx, { organizationId, at: change.now, type: "reduction.scheduled", actor: change.actor, data });
  });
}

/**
 * Cancels a scheduled reduction, if there is one.
 *
 * @throws BackendError `subscription_not_purchasable` if it is already in effect
 */
export async function cancelReduction(
  database: Kysely<Database>,
  organizationId: number,
  { actor, now: at }: Change,
): Promise<void> {
  await inTransaction(database, async (tx) => {
    const subscription = await lock(tx, organizationId);
    if (subscription.reduction === null) return;
    assertChangeable(subscription, at);
    await setReduction(tx, subscription, { reduction: null, reduction_term: null });
    const data = { from: subscription.reduction, to: subscription.licenses };
    await recordEvent(tx, { organizationId, at, type: "reduction.canceled", actor, data });
  });
}

/** Locks a subscription without changing it, and reads it. */
async function lock(tx: Kysely<Database>, organizationId: number): Promise<OrganizationSubscription> {
  await tx
    .updateTable("subscriptions")
    .set((expression) => ({ version: expression.ref("version") }))
    .where("organization_id", "=", organizationId)
    .execute();
  return readSubscription(tx, organizationId);
}

function assertRenews(subscription: OrganizationSubscription, now: number): void {
  if (subscription.auto_renew === 1) return;
  const { state, term } = snapshotAt(subscription, now);
  throw new BackendError(
    "subscription_not_purchasable",
    `The subscription ${state === "ended" ? "ended" : "ends"} on ${term.renewalDate}; there is no renewal to reduce`,
  );
}

/** The first term that has neither started nor been renewed. */
function nextTerm(subscription: OrganizationSubscription, now: number): number {
  return Math.max(snapshotAt(subscription, now).termIndex, subscription.term_index) + 1;
}

/** Refuses to change a reduction whose term has started, although its renewal waits for an unpaid one. */
function assertChangeable(subscription: OrganizationSubscription, now: number): void {
  const { reduction, reduction_term, unpaid_renewal: purchaseId } = subscription;
  if (reduction_term === null || reduction_term >= nextTerm(subscription, now)) return;
  const { start } = termAt(termRuleOf(subscription), reduction_term);
  throw new BackendError(
    "subscription_not_purchasable",
    `The reduction to ${reduction} took effect on ${start}; it cannot be changed before the renewals until today are paid`,
    purchaseId === null ? {} : { purchaseId },
  );
}

function assertFewer({ licenses: purchased, used }: OrganizationSubscription, licenses: number): void {
  if (licenses >= used && licenses < purchased) return;
  const message =
    licenses < used
      ? `${licenses} is fewer than the ${used} licenses in use, of ${purchased} purchased`
      : `${licenses} is not fewer than the ${purchased} licenses purchased, of which ${used} are in use`;
  throw new BackendError("invalid_request", `The request is not valid: licenses: ${message}`, {
    errors: [{ path: "licenses", message }],
  });
}

async function setReduction(
  tx: Kysely<Database>,
  { organization_id: organizationId, version }: OrganizationSubscription,
  change: Pick<OrganizationSubscription, "reduction" | "reduction_term">,
): Promise<void> {
  await tx
    .updateTable("subscriptions")
    .set({ ...change, version: version + 1 })
    .where("organization_id", "=", organizationId)
    .execute();
  await makeProviderDue(tx, organizationId);
}
