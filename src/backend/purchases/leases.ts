import type { ExpressionBuilder, Kysely, Updateable } from "kysely";
import { assertTransition, type PurchaseState, WATCHED_STATES, WORKABLE_STATES } from "../../billing/purchase.ts";
import type { Database, PurchaseRow } from "../database/schema.ts";

/** How long a worker owns a purchase, by the machine's clock (details.md, 12). */
export const LEASE_MS = 10_000;

/** The two clocks that decide about leases and looks, milliseconds. */
export interface Clocks {
  readonly billing: number;
  readonly machine: number;
}

/** Another worker has taken the purchase, or it has moved on: what this worker knows is old and is not written. */
export class StaleLease extends Error {
  override readonly name = "StaleLease";
}

/**
 * Takes a purchase for one worker: the next epoch, for `LEASE_MS`. Of two workers one gets it. A purchase that is only
 * watched is taken when its look is due, so that nobody stands in the way of the person who pays it.
 *
 * @returns the purchase, or `null` when another worker owns it or nothing is left to do
 */
export async function leasePurchase(
  database: Kysely<Database>,
  purchaseId: string,
  clocks: Clocks,
): Promise<PurchaseRow | null> {
  const row = await taking(database, purchaseId, clocks)
    .where((expression) =>
      expression.or([expression("state", "in", WORKABLE_STATES), isWatchedAndDue(expression, clocks.billing)]),
    )
    .returningAll()
    .executeTakeFirst();
  return row ?? null;
}

/**
 * Takes a purchase that waits for a person, to cancel it. Its next look is due from now on, so that whoever comes after a
 * crash finds out what became of the payment.
 *
 * @returns the purchase, or `null` when it does not wait or another worker owns it
 */
export async function leaseWaiting(
  database: Kysely<Database>,
  purchaseId: string,
  clocks: Clocks,
): Promise<PurchaseRow | null> {
  const row = await taking(database, purchaseId, clocks)
    .set({ next_check_at: clocks.billing })
    .where("state", "=", "requires_approval")
    .returningAll()
    .executeTakeFirst();
  return row ?? null;
}

/** The next epoch of a purchase that nobody owns. */
function taking(database: Kysely<Database>, purchaseId: string, { machine }: Clocks) {
  return database
    .updateTable("purchases")
    .set((expression) => ({ epoch: expression("epoch", "+", 1), lease_until: machine + LEASE_MS }))
    .where("id", "=", purchaseId)
    .where("lease_until", "<=", machine);
}

function isWatchedAndDue(expression: ExpressionBuilder<Database, "purchases">, billingNow: number) {
  return expression.and([expression("state", "in", WATCHED_STATES), expression("next_check_at", "<=", billingNow)]);
}

/** Keeps a lease while work goes on. Does nothing when another worker has taken over. */
export async function renewLease(database: Kysely<Database>, lease: PurchaseRow, now: number): Promise<void> {
  await database
    .updateTable("purchases")
    .set({ lease_until: now + LEASE_MS })
    .where("id", "=", lease.id)
    .where("epoch", "=", lease.epoch)
    .where("lease_until", ">", 0)
    .execute();
}

/** Gives a lease back, and says when to look at the purchase again (billing clock; `null` for never). */
export async function releaseLease(
  database: Kysely<Database>,
  lease: PurchaseRow,
  nextCheckAt: number | null,
): Promise<void> {
  await database
    .updateTable("purchases")
    .set({ lease_until: 0, next_check_at: nextCheckAt })
    .where("id", "=", lease.id)
    .where("epoch", "=", lease.epoch)
    .execute();
}

/**
 * Moves a leased purchase to another state: compare-and-set on its epoch and state.
 *
 * @throws StaleLease when another worker has taken it; BillingError `invalid_state` for a move that the states do not have
 */
export async function movePurchase(
  tx: Kysely<Database>,
  lease: PurchaseRow,
  to: PurchaseState,
  changes: Omit<Updateable<Database["purchases"]>, "state" | "epoch"> = {},
): Promise<PurchaseRow> {
  if (to !== lease.state) assertTransition(lease.state, to);
  const row = await tx
    .updateTable("purchases")
    .set({ ...changes, state: to })
    .where("id", "=", lease.id)
    .where("epoch", "=", lease.epoch)
    .where("state", "=", lease.state)
    .returningAll()
    .executeTakeFirst();
  if (!row) throw new StaleLease(`Purchase ${lease.id} has been taken over`);
  return row;
}

/** The purchases that the sweep should look at: due by the billing clock, and owned by nobody. */
export async function purchasesDue(database: Kysely<Database>, clocks: Clocks, limit: number): Promise<string[]> {
  const rows = await database
    .selectFrom("purchases")
    .select("id")
    .where("next_check_at", "<=", clocks.billing)
    .where("lease_until", "<=", clocks.machine)
    .where("state", "in", [...WORKABLE_STATES, ...WATCHED_STATES])
    .orderBy("next_check_at")
    .limit(limit)
    .execute();
  return rows.map((row) => row.id);
}

/**
 * The purchases that somebody is at work on.
 *
 * @param machineNow the machine's clock, milliseconds
 */
export async function purchasesLeased(database: Kysely<Database>, machineNow: number): Promise<string[]> {
  const rows = await database
    .selectFrom("purchases")
    .select("id")
    // Only what is looked at again is worked on, and that there is an index for.
    .where("next_check_at", "is not", null)
    .where("lease_until", ">", machineNow)
    .execute();
  return rows.map((row) => row.id);
}

/** The purchases that are being paid now, whoever is at work on them; not those that an operator has to look at. */
export async function purchasesUnderWay(database: Kysely<Database>): Promise<string[]> {
  const rows = await database
    .selectFrom("purchases")
    .select("id")
    .where(
      "state",
      "in",
      WORKABLE_STATES.filter((state) => state !== "needs_review"),
    )
    .execute();
  return rows.map((row) => row.id);
}

/**
 * Takes every purchase that is worked on or watched away from whoever had it, for a backend that owns its data alone and has just started:
 * no other process can still be at work (details.md, 12).
 */
export async function takeOverAll(database: Kysely<Database>, billingNow: number): Promise<void> {
  await database
    .updateTable("purchases")
    .set((expression) => ({ epoch: expression("epoch", "+", 1), lease_until: 0, next_check_at: billingNow }))
    .where("state", "in", WORKABLE_STATES)
    .execute();
  await database
    .updateTable("purchases")
    .set((expression) => ({ epoch: expression("epoch", "+", 1), lease_until: 0 }))
    .where("state", "in", WATCHED_STATES)
    .where("lease_until", ">", 0)
    .execute();
}

/** Whether a payment belongs to no purchase: its purchase is not there, or has another payment. */
export async function isOrphan(
  database: Kysely<Database>,
  payment: { id: string; purchaseId: string },
): Promise<boolean> {
  const owner = await database
    .selectFrom("purchases")
    .select("payment_id")
    .where("id", "=", payment.purchaseId)
    .executeTakeFirst();
  return !owner || (owner.payment_id !== null && owner.payment_id !== payment.id);
}
