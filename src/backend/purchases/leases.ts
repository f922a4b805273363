import type { ExpressionBuilder, Kysely, SelectQueryBuilder, Updateable } from "kysely";
import { ADVANCED_STATES, assertTransition, CHECKED_STATES, type PurchaseState } from "../../billing/purchase.ts";
import { isPostgres } from "../database/engine.ts";
import type { Database, PurchaseKey, PurchaseRow } from "../database/schema.ts";

/** How long a lease lasts unless it is renewed, machine clock (src/backend/README.md, Leases and the sweep). */
export const LEASE_MS = 10_000;

/** The two clocks, milliseconds: checks follow the billing clock, leases the machine's. */
export interface Clocks {
  readonly billing: number;
  readonly machine: number;
}

/** Another worker leased the purchase, or it changed. Nothing was written. */
export class StaleLease extends Error {
  override readonly name = "StaleLease";
}

/**
 * Leases a purchase to one worker: the next epoch, for `LEASE_MS`. A watched purchase is leased only when its check is due,
 * because a lease blocks the person who pays it.
 *
 * @returns the purchase, or `null` if another worker has it or nothing is left to do
 */
export async function leasePurchase(
  database: Kysely<Database>,
  purchase: PurchaseKey,
  clocks: Clocks,
): Promise<PurchaseRow | null> {
  const row = await nextEpoch(database, purchase, clocks)
    .where((expression) =>
      expression.or([expression("state", "in", ADVANCED_STATES), isWatchedAndDue(expression, clocks.billing)]),
    )
    .returningAll()
    .executeTakeFirst();
  return row ?? null;
}

/** The states in which a purchase waits for a person. */
export const WAITING_STATES = ["awaiting_approval", "requires_approval"] as const satisfies readonly PurchaseState[];

/**
 * Leases a purchase that waits for a person, to end it. Its next check becomes due, so that the sweep finds out what
 * became of the payment if this worker crashes.
 *
 * @returns the purchase, or `null` if it does not wait or another worker has it
 */
export async function leaseWaiting(
  database: Kysely<Database>,
  purchase: PurchaseKey,
  clocks: Clocks,
  states: readonly PurchaseState[] = WAITING_STATES,
): Promise<PurchaseRow | null> {
  const row = await nextEpoch(database, purchase, clocks)
    .set({ next_check_at: clocks.billing })
    .where("state", "in", states)
    .returningAll()
    .executeTakeFirst();
  return row ?? null;
}

/** Starts the next epoch of a purchase without a lease. */
function nextEpoch(database: Kysely<Database>, purchase: PurchaseKey, { machine }: Clocks) {
  return database
    .updateTable("purchases")
    .set((expression) => ({ epoch: expression("epoch", "+", 1), lease_until: machine + LEASE_MS }))
    .where("organization_id", "=", purchase.organization_id)
    .where("id", "=", purchase.id)
    .where("lease_until", "<=", machine);
}

function isWatchedAndDue(expression: ExpressionBuilder<Database, "purchases">, billingNow: number) {
  return expression.and([expression("state", "in", CHECKED_STATES), expression("next_check_at", "<=", billingNow)]);
}

/** Renews a lease. Does nothing if another worker has taken over. */
export async function renewLease(database: Kysely<Database>, lease: PurchaseRow, now: number): Promise<void> {
  await database
    .updateTable("purchases")
    .set({ lease_until: now + LEASE_MS })
    .where("organization_id", "=", lease.organization_id)
    .where("id", "=", lease.id)
    .where("epoch", "=", lease.epoch)
    .where("lease_until", ">", 0)
    .execute();
}

/**
 * Releases a lease, and sets when to check the purchase again (billing clock; `null` for never), unless the check was moved
 * meanwhile: the provider may have told about something that this worker has not seen.
 */
export async function releaseLease(
  database: Kysely<Database>,
  lease: PurchaseRow,
  nextCheckAt: number | null,
): Promise<void> {
  await database
    .updateTable("purchases")
    .set(({ eb, ref, val }) => ({
      lease_until: 0,
      next_check_at: eb
        .case()
        .when("next_check_at", "=", lease.next_check_at)
        .then(val(nextCheckAt))
        .else(ref("next_check_at"))
        .end(),
    }))
    .where("organization_id", "=", lease.organization_id)
    .where("id", "=", lease.id)
    .where("epoch", "=", lease.epoch)
    .execute();
}

/**
 * Moves a leased purchase to another state, or through several at once: compare-and-set on its epoch and state.
 *
 * @throws StaleLease if another worker has taken over; BillingError `invalid_state` for a transition that does not exist
 */
export async function movePurchase(
  tx: Kysely<Database>,
  lease: PurchaseRow,
  to: PurchaseState | readonly PurchaseState[],
  changes: Omit<Updateable<Database["purchases"]>, "state" | "epoch"> = {},
): Promise<PurchaseRow> {
  const path = typeof to === "string" ? [to] : to;
  const row = await tx
    .updateTable("purchases")
    .set({ ...changes, state: followPath(lease.state, path) })
    .where("organization_id", "=", lease.organization_id)
    .where("id", "=", lease.id)
    .where("epoch", "=", lease.epoch)
    .where("state", "=", lease.state)
    .returningAll()
    .executeTakeFirst();
  if (!row) throw takenOver(lease);
  return row;
}

/** The signal that another worker has taken over. */
export function takenOver({ id }: PurchaseKey): StaleLease {
  return new StaleLease(`Purchase ${id} has been taken over`);
}

/**
 * Follows transitions from a state, which may stay as it is.
 *
 * @returns the last state
 * @throws BillingError `invalid_state` for a transition that does not exist
 */
export function followPath(from: PurchaseState, path: readonly PurchaseState[]): PurchaseState {
  let state = from;
  for (const next of path) {
    if (next !== state) assertTransition(state, next);
    state = next;
  }
  return state;
}

/**
 * Makes the next check of a purchase due (billing clock), also while a worker has it. A declined one is checked if its person
 * may still be at their bank, which only a renewal is declined before, or on a page of the provider.
 *
 * @returns whether anything is left to check
 */
export async function makeDue(database: Kysely<Database>, purchase: PurchaseKey, billingNow: number): Promise<boolean> {
  const due = await database
    .updateTable("purchases")
    .set({ next_check_at: billingNow })
    .where("organization_id", "=", purchase.organization_id)
    .where("id", "=", purchase.id)
    .where(({ eb, or, and }) =>
      or([
        eb("state", "in", [...ADVANCED_STATES, ...CHECKED_STATES]),
        and([eb("state", "=", "declined"), or([eb("kind", "=", "renewal"), eb("card_entry", "is not", null)])]),
      ]),
    )
    .executeTakeFirst();
  return due.numUpdatedRows > 0n;
}

/**
 * Leases purchases whose check is due, the longest overdue first. Workers that do so at the same time get different ones,
 * and none waits for another.
 */
export async function leaseDue(database: Kysely<Database>, clocks: Clocks, limit: number): Promise<PurchaseRow[]> {
  const due = database
    .selectFrom("purchases")
    .select(["organization_id", "id"])
    .where("next_check_at", "<=", clocks.billing)
    .where("lease_until", "<=", clocks.machine)
    .where("state", "in", [...ADVANCED_STATES, ...CHECKED_STATES])
    .orderBy("next_check_at")
    .limit(limit);
  const free = isPostgres(database) ? due.forUpdate().skipLocked() : due;
  const leased = await database
    .updateTable("purchases")
    .set((expression) => ({ epoch: expression("epoch", "+", 1), lease_until: clocks.machine + LEASE_MS }))
    .where((expression) =>
      expression(expression.refTuple("organization_id", "id"), "in", free.$asTuple("organization_id", "id")),
    )
    .returningAll()
    .execute();
  return leased.sort((one, other) => (one.next_check_at ?? 0) - (other.next_check_at ?? 0));
}

/**
 * Lists the leased purchases.
 *
 * @param machineNow the machine's clock, milliseconds
 */
export async function leasedPurchases(database: Kysely<Database>, machineNow: number): Promise<PurchaseKey[]> {
  return (
    database
      .selectFrom("purchases")
      .select(["organization_id", "id"])
      // Every leased purchase has a next check, and that column has an index.
      .where("next_check_at", "is not", null)
      .where("lease_until", ">", machineNow)
      .execute()
  );
}

/** Lists the purchases that are being paid, leased or not, without those that an operator has to review. */
export async function purchasesInProgress(database: Kysely<Database>): Promise<PurchaseKey[]> {
  return (
    database
      .selectFrom("purchases")
      .select(["organization_id", "id"])
      // Every purchase in progress has a next check, and that column has an index.
      .where("next_check_at", "is not", null)
      .where(
        "state",
        "in",
        ADVANCED_STATES.filter((state) => state !== "needs_review"),
      )
      .execute()
  );
}

/**
 * Ends the leases of an earlier process and makes its purchases due at once. Only for a backend that owns its data alone
 * and has just started, so that no other process can still be working.
 */
export async function reclaimLeases(database: Kysely<Database>, billingNow: number): Promise<void> {
  await database
    .updateTable("purchases")
    .set((expression) => ({ epoch: expression("epoch", "+", 1), lease_until: 0, next_check_at: billingNow }))
    .where("state", "in", ADVANCED_STATES)
    .execute();
  await database
    .updateTable("purchases")
    .set((expression) => ({ epoch: expression("epoch", "+", 1), lease_until: 0 }))
    .where("state", "in", CHECKED_STATES)
    .where("lease_until", ">", 0)
    .execute();
}

/** Creates the ID of a purchase, which names its organization. */
export function newPurchaseId(organizationId: number, random: (bytes: number) => Buffer): string {
  return `pur_${organizationId}_${random(12).toString("hex")}`;
}

/** Selects a purchase by its ID alone. Older sandboxes have IDs without the organization. */
export function withId<Row>(
  query: SelectQueryBuilder<Database, "purchases", Row>,
  id: string,
): SelectQueryBuilder<Database, "purchases", Row> {
  const [, organizationId] = /^pur_(\d{1,15})_/.exec(id) ?? [];
  const named = query.where("purchases.id", "=", id);
  return organizationId === undefined ? named : named.where("purchases.organization_id", "=", Number(organizationId));
}

/** Whether a payment belongs to no purchase: the purchase does not exist, or has another payment. */
export async function isOrphan(
  database: Kysely<Database>,
  payment: { id: string; purchaseId: string },
): Promise<boolean> {
  const owner = await withId(
    database.selectFrom("purchases").select("payment_id"),
    payment.purchaseId,
  ).executeTakeFirst();
  return !owner || (owner.payment_id !== null && owner.payment_id !== payment.id);
}
