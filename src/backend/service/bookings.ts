import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Database, PurchaseKey, PurchaseRow } from "../database/schema.ts";

/** A purchase and what the ledger says about it, in minor units; `charged` is `null` if it is not booked. */
export interface Booking
  extends Pick<
    PurchaseRow,
    "organization_id" | "id" | "kind" | "state" | "payment_id" | "currency" | "lease_until" | "epoch"
  > {
  readonly charged: number | null;
  readonly refunded: number;
}

const COLUMNS = sql`p.organization_id, p.id, p.kind, p.state, p.payment_id, p.lease_until, p.epoch,
  coalesce(charge.currency, p.currency) as currency, charge.amount as charged, coalesce(refund.amount, 0) as refunded`;

/** Joins the ledger to purchases `p`. A purchase has one entry of a kind at most. */
const LEDGER = sql`
  left join ledger charge
    on charge.organization_id = p.organization_id and charge.purchase_id = p.id and charge.kind = 'charge'
  left join ledger refund
    on refund.organization_id = p.organization_id and refund.purchase_id = p.id and refund.kind = 'refund'`;

/** Reads purchases and what is booked for them, by ID. Those that do not exist are left out. */
export async function readBookings(
  database: Kysely<Database>,
  purchases: readonly PurchaseKey[],
): Promise<ReadonlyMap<string, Booking>> {
  const organizations = purchases.map((purchase) => purchase.organization_id);
  const ids = purchases.map(({ id }) => id);
  return byId(
    database,
    sql`from unnest(${organizations}::bigint[], ${ids}::text[]) as wanted (organization_id, id)
      join purchases p on p.organization_id = wanted.organization_id and p.id = wanted.id ${LEDGER}`,
  );
}

/** Reads one purchase and what is booked for it; `null` if it does not exist. */
export async function readBooking(database: Kysely<Database>, purchase: PurchaseKey): Promise<Booking | null> {
  return (await readBookings(database, [purchase])).get(purchase.id) ?? null;
}

/** How many organizations are read at once. */
const ORGANIZATIONS = 100;

/**
 * Reads the purchases that were booked or refunded at an instant or later, some organizations after the other. What cost
 * nothing is left out, because no payment belongs to it.
 *
 * @param from billing clock, milliseconds
 */
export async function* bookingsSince(
  database: Kysely<Database>,
  from: number,
): AsyncGenerator<ReadonlyMap<string, Booking>> {
  for (let after = -1; ; ) {
    const organizations = await database
      .selectFrom("organizations")
      .select("id")
      .where("id", ">", after)
      .orderBy("id")
      .limit(ORGANIZATIONS)
      .execute();
    const ids = organizations.map(({ id }) => id);
    const last = ids.at(-1);
    if (last === undefined) return;
    yield byId(
      database,
      sql`from (
          select distinct organization_id, purchase_id from ledger
          where organization_id = any(${ids}::bigint[]) and at >= ${from} and amount > 0
        ) booked
        join purchases p on p.organization_id = booked.organization_id and p.id = booked.purchase_id ${LEDGER}`,
    );
    after = last;
  }
}

async function byId(database: Kysely<Database>, from: RawBuilder<unknown>): Promise<ReadonlyMap<string, Booking>> {
  const { rows } = await sql<Booking>`select ${COLUMNS} ${from}`.execute(database);
  return new Map(rows.map((row) => [row.id, row]));
}
