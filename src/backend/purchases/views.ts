import { money } from "../../billing/money.ts";
import { statusOf } from "../../billing/purchase.ts";
import type { Purchase, PurchaseAnswer, Receipt } from "../../contract/billing.ts";
import { modeFields } from "../../contract/mode.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { creditNoteNumber, readReceipt, receiptNumber } from "../receipts/content.ts";
import { licenseCounts, readSubscription } from "../subscriptions/store.ts";
import { paymentPageUrl } from "./pageAddress.ts";
import { payUntil, priceOf } from "./schedule.ts";
import { isPayableAgain, type PurchaseRecord } from "./store.ts";

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

/** The payment page, while a person can pay on it. */
function nextAction(deps: ViewDeps, row: PurchaseRecord, host: string): Purchase["nextAction"] {
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
  const { name, plan } = await readSubscription(deps.database, row.organization_id);
  const { unitPrice, purchaseDate, term, taxRate } = priceOf(row);
  const { id, kind, licenses, dueNow, tax, total, purchaseOrder, note, purchasedBy } = orderView(row);
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
    paymentMethod:
      row.payment_method === null ? null : deps.gateway.describe(row.payment_method, row.payment_method_label),
    purchaseOrder,
    note,
    purchasedBy,
    status: statusOf(row.state),
    refund: refundView(row),
    ...modeFields(deps.gateway.account.mode),
  };
}
