import type { Kysely } from "kysely";
import type { Seller } from "../../contract/billingDetails.ts";
import type { Database, DocumentRow, PurchaseKey } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { detailsOf } from "./billingDetails.ts";
import { receiptNumber } from "./content.ts";

/** What issues receipts and credit notes: the store, and the seller to name on them. */
export type Issuer = Pick<BackendDeps, "database" | "seller">;

type NewDocument = Pick<DocumentRow, "organization_id" | "number" | "purchase_id" | "issued_at">;

/** Issues a receipt inside the transaction that counted it, with seller and buyer as they are now. */
export async function saveReceipt(
  tx: Kysely<Database>,
  receipt: NewDocument & { readonly licenses_after: number },
  seller: Seller | null,
): Promise<void> {
  const parties = await partiesNow(tx, receipt, seller);
  await tx
    .insertInto("receipts")
    .values({ ...receipt, ...parties })
    .execute();
}

/** Issues a credit note inside the transaction that counted it, with seller and buyer as they are now. */
export async function saveCreditNote(tx: Kysely<Database>, note: NewDocument, seller: Seller | null): Promise<void> {
  const parties = await partiesNow(tx, note, seller);
  await tx
    .insertInto("credit_notes")
    .values({ ...note, ...parties })
    .execute();
}

async function partiesNow(tx: Kysely<Database>, { organization_id }: NewDocument, seller: Seller | null) {
  const { name, billing_json } = await tx
    .selectFrom("organizations")
    .select(["name", "billing_json"])
    .where("id", "=", organization_id)
    .executeTakeFirstOrThrow();
  return { seller_json: sellerJson(seller), buyer_json: billing_json, organization_name: name };
}

/** Serializes the seller for a receipt or a credit note to keep. */
export function sellerJson(seller: Seller | null): string | null {
  return seller && JSON.stringify(seller);
}

/**
 * Returns seller and buyer as they were when a receipt or a credit note was issued; `null` for those that kept neither.
 *
 * @param name the organization's name now, for those
 */
export function partiesOf(
  {
    organization_id,
    seller_json,
    buyer_json,
    organization_name,
  }: Omit<DocumentRow, "number" | "purchase_id" | "issued_at">,
  name: string,
) {
  return {
    organization: { id: organization_id, name: organization_name ?? name },
    seller: seller_json === null ? null : (JSON.parse(seller_json) as Seller),
    buyer: organization_name === null ? null : detailsOf(buyer_json, organization_name),
  };
}

/** Reads the receipt of a purchase; `undefined` if it was never paid. */
export async function readReceipt(database: Kysely<Database>, purchase: PurchaseKey) {
  return database
    .selectFrom("receipts")
    .selectAll()
    .where("organization_id", "=", purchase.organization_id)
    .where("purchase_id", "=", purchase.id)
    .executeTakeFirst();
}

/** Reads the credit note of a purchase; `undefined` if it was never refunded. */
export async function readCreditNote(database: Kysely<Database>, purchase: PurchaseKey) {
  return database
    .selectFrom("credit_notes")
    .selectAll()
    .where("organization_id", "=", purchase.organization_id)
    .where("purchase_id", "=", purchase.id)
    .executeTakeFirst();
}

/**
 * Finds a purchase by its receipt number, `4201-000001`.
 *
 * @returns its id, or `null` if the text is not a receipt number of the organization
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
