import type { Kysely } from "kysely";
import { money } from "../../billing/money.ts";
import { statusOf } from "../../billing/purchase.ts";
import type { Purchase, PurchaseAnswer, Quote, Receipt } from "../../contract/billing.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../problem.ts";
import type { PurchaseWithReceipt } from "../store/purchases.ts";
import { readReceipt } from "../store/receipts.ts";
import type { Database } from "../store/schema.ts";
import { readLicenseCounts, readSubscription } from "../store/subscriptions.ts";

/** A receipt number as people see it: gapless per organization, `4201-000001`. */
function receiptNumber(organizationId: number, number: number): string {
  return `${organizationId}-${String(number).padStart(6, "0")}`;
}

/** A purchase as the contract shows it (cli.md, JSON; details.md, 22). */
export function purchaseView(row: PurchaseWithReceipt): Purchase {
  const price = JSON.parse(row.price_json) as Quote;
  const email = row.buyer_email;
  return {
    id: row.id,
    kind: row.kind,
    status: statusOf(row.state),
    licenses: row.licenses,
    dueNow: price.dueNow,
    tax: price.tax,
    total: money(row.total, row.currency),
    quoteId: row.quote_id,
    idempotencyKey: row.idempotency_key,
    createdAt: new Date(row.accepted_at).toISOString(),
    completedAt: row.completed_at === null ? null : new Date(row.completed_at).toISOString(),
    purchaseOrder: row.purchase_order,
    note: row.note,
    receiptNumber: row.receipt_number === null ? null : receiptNumber(row.organization_id, row.receipt_number),
    failure: row.failure_code === null ? null : { code: row.failure_code, message: row.failure_message ?? "" },
    nextAction: null,
    purchasedBy: email === null ? null : { email, token: row.buyer_token_name },
  };
}

/** A purchase on its own, with the license counts of now (details.md, 15). */
export async function purchaseAnswer(database: Kysely<Database>, row: PurchaseWithReceipt): Promise<PurchaseAnswer> {
  return { ...purchaseView(row), organizationLicenses: await readLicenseCounts(database, row.organization_id) };
}

/**
 * The receipt of a purchase.
 *
 * @throws ProblemError `not_found` for a purchase that was never paid
 */
export async function receiptView(
  deps: Pick<BackendDeps, "database" | "gateway">,
  row: PurchaseWithReceipt,
): Promise<Receipt> {
  const receipt = await readReceipt(deps.database, row.id);
  if (!receipt) {
    throw new ProblemError("not_found", `Purchase ${row.id} has no receipt: it is ${statusOf(row.state)}`);
  }
  const { name, plan } = await readSubscription(deps.database, row.organization_id);
  const { unitPrice, purchaseDate, term, taxRate } = JSON.parse(row.price_json) as Quote;
  const { id, kind, licenses, dueNow, tax, total, purchaseOrder, note, purchasedBy } = purchaseView(row);
  return {
    receiptNumber: receiptNumber(row.organization_id, receipt.number),
    issuedAt: new Date(receipt.issued_at).toISOString(),
    purchaseId: id,
    kind,
    organization: { id: row.organization_id, name },
    plan,
    licenses,
    licensesAfter: receipt.licenses_after,
    unitPrice,
    purchaseDate,
    term,
    dueNow,
    taxRate,
    tax,
    total,
    paymentMethod: row.payment_method === null ? null : deps.gateway.describe(row.payment_method),
    purchaseOrder,
    note,
    purchasedBy,
  };
}
