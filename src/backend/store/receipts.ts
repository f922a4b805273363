import type { Kysely } from "kysely";
import type { Database } from "./schema.ts";

/** A receipt number as people see it: gapless per organization, `4201-000001`. */
export function receiptNumber(organizationId: number, number: number): string {
  return `${organizationId}-${String(number).padStart(6, "0")}`;
}

/** A credit note's number as people see it, a series of its own: `CN-4201-000001`. */
export function creditNoteNumber(organizationId: number, number: number): string {
  return `CN-${receiptNumber(organizationId, number)}`;
}

/** The receipt of a purchase, or `undefined` for one that was never paid. */
export async function readReceipt(database: Kysely<Database>, purchaseId: string) {
  return database.selectFrom("receipts").selectAll().where("purchase_id", "=", purchaseId).executeTakeFirst();
}
