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

/**
 * The purchase that a person names by its receipt, `4201-000001`.
 *
 * @returns its id, or `null` where the text is no receipt number of the organization
 */
export async function purchaseOfReceipt(
  database: Kysely<Database>,
  organizationId: number,
  text: string,
): Promise<string | null> {
  const number = Number(/-(\d{6,15})$/.exec(text)?.[1]);
  if (text !== receiptNumber(organizationId, number)) return null;
  const row = await database
    .selectFrom("receipts")
    .select("purchase_id")
    .where("organization_id", "=", organizationId)
    .where("number", "=", number)
    .executeTakeFirst();
  return row?.purchase_id ?? null;
}
