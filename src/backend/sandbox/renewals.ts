import { type Kysely, sql } from "kysely";
import type { Database } from "../database/schema.ts";
import { type PurchaseRecord, records } from "../purchases/store.ts";

/** SQLite numbers rows in the order of their insertion. */
const INSERTED = sql.ref<number>("purchases.rowid");

/** The number of the newest purchase of all organizations; 0 without one. */
export async function newestPurchase(database: Kysely<Database>): Promise<number> {
  const { newest } = await database
    .selectFrom("purchases")
    .select((expression) => expression.fn.max<number | null>(INSERTED).as("newest"))
    .executeTakeFirstOrThrow();
  return newest ?? 0;
}

/** A range of purchases: after `after`, up to and including `until`. */
export interface RenewalRange {
  readonly after: number;
  readonly until: number;
}

/** A renewal with its number. */
export type NumberedRenewal = PurchaseRecord & { readonly inserted: number };

/** Lists the newest renewals of a range, newest first. */
export async function renewalsBefore(
  database: Kysely<Database>,
  { after, until }: RenewalRange,
  limit: number,
): Promise<NumberedRenewal[]> {
  return records(database)
    .select(INSERTED.as("inserted"))
    .where("purchases.kind", "=", "renewal")
    .where(INSERTED, ">", after)
    .where(INSERTED, "<=", until)
    .orderBy(INSERTED, "desc")
    .limit(limit)
    .execute();
}

/** Counts the renewals of a range. */
export async function countRenewals(database: Kysely<Database>, { after, until }: RenewalRange): Promise<number> {
  const { count } = await database
    .selectFrom("purchases")
    .select((expression) => expression.fn.countAll<string | number>().as("count"))
    .where("kind", "=", "renewal")
    .where(INSERTED, ">", after)
    .where(INSERTED, "<=", until)
    .executeTakeFirstOrThrow();
  return Number(count);
}
