import type { Kysely } from "kysely";
import { movePurchase } from "./leases.ts";
import { queueNotification, recordEvent } from "./records.ts";
import type { Database, PurchaseRow } from "./schema.ts";

/** Why a purchase failed, in a stable code and in words. */
export interface Failure {
  readonly code: string;
  readonly message: string;
}

/**
 * The payment arrived: `paid`, the new license count, the receipt number, the ledger and the audit event in one
 * transaction (purchase.md, States).
 *
 * @param now the billing clock, milliseconds
 * @throws StaleLease
 */
export async function fulfilPurchase(database: Kysely<Database>, lease: PurchaseRow, now: number): Promise<void> {
  await database.transaction().execute(async (tx) => {
    const paid = await movePurchase(tx, lease, "paid");
    await movePurchase(tx, paid, "fulfilled", settled(now));
    const receipt = await issueReceipt(tx, lease, lease.licenses, now);
    await announce(tx, lease, "purchase.succeeded", now, receipt);
  });
}

/**
 * The provider said no: nothing was charged. The version changes, so that whoever saw the purchase under way decides anew.
 *
 * @throws StaleLease
 */
export async function declinePurchase(
  database: Kysely<Database>,
  lease: PurchaseRow,
  failure: Failure,
  now: number,
): Promise<void> {
  await database.transaction().execute(async (tx) => {
    await movePurchase(tx, lease, "declined", { ...settled(now), ...failed(failure) });
    await changeVersion(tx, lease.organization_id);
    await announce(tx, lease, "purchase.failed", now, { ...failure });
  });
}

/**
 * The payment arrived and the licenses cannot be given any more: the charge and its receipt are recorded, and the money
 * is due back (purchase.md, Ends of time).
 *
 * @throws StaleLease
 */
export async function owePurchaseBack(
  database: Kysely<Database>,
  lease: PurchaseRow,
  failure: Failure,
  now: number,
): Promise<void> {
  await database.transaction().execute(async (tx) => {
    const paid = await movePurchase(tx, lease, "paid");
    await movePurchase(tx, paid, "refund_due", { ...failed(failure), next_check_at: now });
    await issueReceipt(tx, lease, 0, now);
    await recordEvent(tx, eventOf(lease, "purchase.refund_due", now, { ...failure }));
  });
}

/**
 * The money went back: a credit note beside the receipt.
 *
 * @throws StaleLease
 */
export async function recordRefund(database: Kysely<Database>, lease: PurchaseRow, now: number): Promise<void> {
  await database.transaction().execute(async (tx) => {
    await movePurchase(tx, lease, "refunded", settled(now));
    const { credit_note_count } = await tx
      .updateTable("subscriptions")
      .set((expression) => ({ credit_note_count: expression("credit_note_count", "+", 1) }))
      .where("organization_id", "=", lease.organization_id)
      .returning("credit_note_count")
      .executeTakeFirstOrThrow();
    const { organization_id, id, total, currency } = lease;
    await tx
      .insertInto("credit_notes")
      .values({ organization_id, number: credit_note_count, purchase_id: id, issued_at: now })
      .execute();
    await tx
      .insertInto("ledger")
      .values({ organization_id, purchase_id: id, kind: "refund", amount: total, currency, at: now })
      .execute();
    await announce(tx, lease, "purchase.refunded", now, { creditNote: credit_note_count });
  });
}

/** What is the same of every purchase that needs no further work. */
function settled(now: number) {
  return { completed_at: now, next_check_at: null, lease_until: 0 };
}

function failed({ code, message }: Failure) {
  return { failure_code: code, failure_message: message };
}

/** Adds licenses, takes the next receipt number and books the charge. `licenses` is 0 where the money goes back. */
async function issueReceipt(
  tx: Kysely<Database>,
  { organization_id, id, total, currency }: PurchaseRow,
  licenses: number,
  now: number,
): Promise<{ licensesAfter: number; receipt: number }> {
  const counts = await tx
    .updateTable("subscriptions")
    .set((expression) => ({
      licenses: expression("licenses", "+", licenses),
      version: expression("version", "+", 1),
      receipt_count: expression("receipt_count", "+", 1),
    }))
    .where("organization_id", "=", organization_id)
    .returning(["licenses", "receipt_count"])
    .executeTakeFirstOrThrow();
  const { licenses: licensesAfter, receipt_count: receipt } = counts;
  await tx
    .insertInto("receipts")
    .values({ organization_id, number: receipt, purchase_id: id, issued_at: now, licenses_after: licensesAfter })
    .execute();
  await tx
    .insertInto("ledger")
    .values({ organization_id, purchase_id: id, kind: "charge", amount: total, currency, at: now })
    .execute();
  return { licensesAfter, receipt };
}

async function changeVersion(tx: Kysely<Database>, organizationId: number): Promise<void> {
  await tx
    .updateTable("subscriptions")
    .set((expression) => ({ version: expression("version", "+", 1) }))
    .where("organization_id", "=", organizationId)
    .execute();
}

async function announce(
  tx: Kysely<Database>,
  lease: PurchaseRow,
  type: string,
  now: number,
  data: Record<string, unknown>,
): Promise<void> {
  await recordEvent(tx, eventOf(lease, type, now, data));
  const { id, organization_id, buyer_email } = lease;
  const notification = { id: `${id}:${type}`, type, organizationId: organization_id, purchaseId: id, to: buyer_email };
  await queueNotification(tx, notification, now);
}

function eventOf(lease: PurchaseRow, type: string, at: number, data: Record<string, unknown>) {
  return { organizationId: lease.organization_id, at, type, actor: "backend", purchaseId: lease.id, data };
}
