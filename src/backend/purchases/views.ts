import { money } from "../../billing/money.ts";
import { statusOf } from "../../billing/purchase.ts";
import {
  ADMINISTRATOR_APPROVAL,
  type CreditNote,
  type Purchase,
  type PurchaseAnswer,
  type Receipt,
} from "../../contract/billing.ts";
import { modeFields } from "../../contract/mode.ts";
import type { DocumentRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { creditNoteNumber, receiptNumber } from "../receipts/content.ts";
import { partiesOf, readCreditNote, readReceipt } from "../receipts/store.ts";
import { licenseCounts, readSubscription } from "../subscriptions/store.ts";
import { paymentPageUrl } from "./pageAddress.ts";
import { deadlineOf, payUntil, priceOf } from "./schedule.ts";
import { isPayableAgain, type PurchaseRecord } from "./store.ts";
import { approvalDigest } from "./threshold.ts";

/** The dependencies of views. */
type ViewDeps = Pick<BackendDeps, "clock" | "gateway" | "pageKey" | "pageOrigin">;

/**
 * The contract's view of a purchase.
 *
 * @param host the `Host` of the request, see `pageOrigin`
 */
export function purchaseView(deps: ViewDeps, row: PurchaseRecord, host: string): Purchase {
  const status = statusOf(row.state);
  const isFailure = status === "failed" && row.failure_code !== null;
  return {
    ...orderView(row),
    status,
    idempotencyKey: row.idempotency_key,
    quoteId: row.quote_id,
    createdAt: instant(row.accepted_at),
    completedAt: row.completed_at === null ? null : instant(row.completed_at),
    receiptNumber: row.receipt_number === null ? null : receiptNumber(row.organization_id, row.receipt_number),
    failure: isFailure ? { code: row.failure_code ?? "", message: row.failure_message ?? "" } : null,
    nextAction: nextAction(deps, row, host),
    approval: approvalView(row),
    refund: refundView(row),
    ...modeFields(deps.gateway.account.mode),
  };
}

/** The fields that a purchase and its receipt share. */
function orderView(row: PurchaseRecord) {
  const price = priceOf(row);
  const email = row.buyer_email;
  return {
    id: row.id,
    kind: row.kind,
    licenses: row.licenses,
    dueNow: price.dueNow,
    tax: price.tax,
    total: money(row.total, row.currency),
    purchaseOrder: row.purchase_order,
    note: row.note,
    purchasedBy: email === null ? null : { email, token: row.buyer_token_name },
  };
}

/** The approval by another administrator; `null` if it never waited for one. */
function approvalView(row: PurchaseRecord): Purchase["approval"] {
  const { state, approved_by: approvedBy, approved_at: approvedAt } = row;
  if (state !== "awaiting_approval" && approvedAt === null) return null;
  return {
    digest: approvalDigest(row),
    approvedBy,
    approvedAt: approvedAt === null ? null : instant(approvedAt),
  };
}

/** The approval that it waits for, or the payment page, while a person can pay on it. */
function nextAction(deps: ViewDeps, row: PurchaseRecord, host: string): Purchase["nextAction"] {
  if (row.state === "awaiting_approval") {
    return { type: ADMINISTRATOR_APPROVAL, url: null, expiresAt: instant(deadlineOf(row)) };
  }
  const asks = row.state === "requires_approval";
  if (!asks && !isPayableAgain(row, deps.clock.now())) return null;
  return {
    type: !asks ? "pay" : row.payment_method === null ? "add_payment_method" : "approve_payment",
    url: paymentPageUrl(deps, row.id, host),
    expiresAt: instant(payUntil(row)),
  };
}

function refundView(row: PurchaseRecord): Purchase["refund"] {
  if (row.credit_note_number === null || row.refunded_at === null) return null;
  return {
    amount: money(row.total, row.currency),
    creditNoteNumber: creditNoteNumber(row.organization_id, row.credit_note_number),
    refundedAt: instant(row.refunded_at),
  };
}

function instant(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

/** The contract's view of a single purchase, with the current license counts; `host` as in `purchaseView`. */
export function purchaseAnswer(deps: ViewDeps, row: PurchaseRecord, host: string): PurchaseAnswer {
  const { organization_licenses: licenses, organization_used: used } = row;
  return { ...purchaseView(deps, row, host), organizationLicenses: licenseCounts({ licenses, used }) };
}

/** The problem of a failed payment, with the whole purchase. */
export function paymentDeclined(purchase: PurchaseAnswer, headers: Record<string, string> = {}): BackendError {
  const reason = purchase.failure?.message ?? "The payment failed.";
  const outcome = purchase.kind === "renewal" ? "The renewal is not paid." : "No license was added.";
  return new BackendError("payment_declined", `${reason} ${outcome}`, { purchase }, headers);
}

/**
 * The contract's view of a purchase's receipt.
 *
 * @throws BackendError `not_found` if it was never paid
 */
export async function receiptView(
  deps: Pick<BackendDeps, "database" | "gateway">,
  row: PurchaseRecord,
): Promise<Receipt> {
  const receipt = await readReceipt(deps.database, row);
  if (!receipt) {
    throw new BackendError("not_found", `Purchase ${row.id} has no receipt: it is ${statusOf(row.state)}`);
  }
  return {
    receiptNumber: receiptNumber(row.organization_id, receipt.number),
    ...(await documentView(deps, row, receipt)),
    licensesAfter: receipt.licenses_after,
    status: statusOf(row.state),
    refund: refundView(row),
  };
}

/**
 * The contract's view of the credit note of a refunded purchase.
 *
 * @throws BackendError `not_found` if it was not refunded
 */
export async function creditNoteView(
  deps: Pick<BackendDeps, "database" | "gateway">,
  row: PurchaseRecord,
): Promise<CreditNote> {
  const [receipt, note] = [await readReceipt(deps.database, row), await readCreditNote(deps.database, row)];
  if (!receipt || !note) throw new BackendError("not_found", `Purchase ${row.id} was not refunded: no credit note`);
  return {
    creditNoteNumber: creditNoteNumber(row.organization_id, note.number),
    receiptNumber: receiptNumber(row.organization_id, receipt.number),
    receiptIssuedAt: instant(receipt.issued_at),
    ...(await documentView(deps, row, note)),
  };
}

/** What a receipt and a credit note say of the purchase. */
async function documentView(
  { database, gateway }: Pick<BackendDeps, "database" | "gateway">,
  row: PurchaseRecord,
  document: DocumentRow,
) {
  const { name, plan } = await readSubscription(database, row.organization_id);
  const { unitPrice, purchaseDate, term, taxRate } = priceOf(row);
  const { id, ...order } = orderView(row);
  return {
    ...order,
    issuedAt: instant(document.issued_at),
    purchaseId: id,
    ...partiesOf(document, name),
    plan,
    unitPrice,
    purchaseDate,
    term,
    taxRate,
    paymentMethod: row.payment_method === null ? null : gateway.describe(row.payment_method, row.payment_method_label),
    ...modeFields(gateway.account.mode),
  };
}
