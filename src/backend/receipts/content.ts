import type { Kysely } from "kysely";
import { formatMoney } from "../../billing/money.ts";
import type { Receipt } from "../../contract/billing.ts";
import type { Database } from "../database/schema.ts";

/** One line of the table: what is charged, how it comes about, and the amount. */
export interface ChargeLine {
  readonly text: string;
  readonly detail: string | null;
  readonly amount: string;
}

/** Everything that a receipt on paper says, in the order in which it is read. */
export interface ReceiptContent {
  readonly title: string;
  readonly fields: readonly (readonly [label: string, value: string])[];
  readonly currency: string;
  readonly charges: readonly ChargeLine[];
  readonly total: string;
  readonly remarks: readonly string[];
  /** Who and what the receipt is about: what must be readable, unlike what the buyer wrote on it. */
  readonly names: readonly string[];
}

/** A receipt in words. Amounts are the receipt's own: nothing is computed here. */
export function receiptContent(receipt: Receipt): ReceiptContent {
  const { total, refund, note, organization, plan, purchasedBy, paymentMethod } = receipt;
  return {
    title: `Receipt ${receipt.receiptNumber}`,
    fields: fieldsOf(receipt),
    currency: total.currency,
    charges: chargesOf(receipt),
    total: formatMoney(total),
    remarks: [licensesOf(receipt), ...(refund ? [refundOf(refund)] : []), ...(note === null ? [] : [`Note: ${note}`])],
    names: [organization.name, plan, purchasedBy?.email, purchasedBy?.token, paymentMethod?.label].filter(
      (name) => typeof name === "string",
    ),
  };
}

function refundOf({ refundedAt, amount, creditNoteNumber }: NonNullable<Receipt["refund"]>): string {
  return `Refunded on ${refundedAt.slice(0, 10)}: ${formatMoney(amount)}, credit note ${creditNoteNumber}.`;
}

function fieldsOf(receipt: Receipt): (readonly [string, string])[] {
  const { organization, purchasedBy, term, purchaseOrder, kind } = receipt;
  const buyer = purchasedBy && purchasedBy.email + (purchasedBy.token === null ? "" : `, token ${purchasedBy.token}`);
  const fields: (readonly [string, string | null])[] = [
    ["Organization", `${organization.name} (${organization.id})`],
    ["Issued", `${receipt.issuedAt.slice(0, 10)} ${receipt.issuedAt.slice(11, 16)} UTC`],
    ["Administrator", buyer],
    [kind === "purchase" ? "Bought on" : "Renewed on", receipt.purchaseDate],
    ["Plan", receipt.plan],
    ["Term", `${term.start} to ${term.renewalDate}, ${term.days} days`],
    ["PO number", purchaseOrder],
    ["Paid with", receipt.paymentMethod?.label ?? null],
    [kind === "purchase" ? "Purchase" : "Renewal", receipt.purchaseId],
  ];
  return fields.flatMap(([label, value]) => (value === null ? [] : [[label, value] as const]));
}

/** The arithmetic (billing-rules.md, Proration). */
function chargesOf({ licenses, unitPrice, term, purchaseDate, dueNow, taxRate, tax }: Receipt): ChargeLine[] {
  return [
    {
      text: `Subtotal: ${countOf(licenses)} × ${formatMoney(unitPrice)} × ${term.daysRemaining} / ${term.days} days`,
      detail: `${purchaseDate} (counted) to ${term.renewalDate} (not counted), rounded once`,
      amount: formatMoney(dueNow),
    },
    { text: `Tax: ${taxRate} % of ${formatMoney(dueNow)}`, detail: null, amount: formatMoney(tax) },
  ];
}

function licensesOf({ kind, status, licenses, licensesAfter }: Receipt): string {
  if (status !== undefined && status !== "succeeded")
    return `No license was added: the organization has ${countOf(licensesAfter)}.`;
  if (kind === "renewal") return `Renewal of ${countOf(licenses)}.`;
  return `Licenses: ${licensesAfter - licenses} → ${licensesAfter}.`;
}

function countOf(licenses: number): string {
  return `${licenses} ${licenses === 1 ? "license" : "licenses"}`;
}

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
