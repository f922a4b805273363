import type { Kysely } from "kysely";
import type { Database } from "./schema.ts";

/** The receipt of a purchase, or `undefined` for one that was never paid. */
export async function readReceipt(database: Kysely<Database>, purchaseId: string) {
  return database.selectFrom("receipts").selectAll().where("purchase_id", "=", purchaseId).executeTakeFirst();
}
