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
    await settle(tx, lease, "fulfilled", now);
    const counts = await tx
      .updateTable("subscriptions")
      .set((expression) => ({
        licenses: expression("licenses", "+", lease.licenses),
        version: expression("version", "+", 1),
        receipt_count: expression("receipt_count", "+", 1),
      }))
      .where("organization_id", "=", lease.organization_id)
      .returning(["licenses", "receipt_count"])
      .executeTakeFirstOrThrow();
    await recordCharge(tx, lease, { number: counts.receipt_count, licensesAfter: counts.licenses }, now);
    await announce(tx, lease, "purchase.succeeded", now, {
      licensesAfter: counts.licenses,
      receipt: counts.receipt_count,
    });
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
    await settle(tx, lease, "declined", now, failure);
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
    await movePaid(tx, lease, { failure_code: failure.code, failure_message: failure.message, next_check_at: now });
    const counts = await tx
      .updateTable("subscriptions")
      .set((expression) => ({
        version: expression("version", "+", 1),
        receipt_count: expression("receipt_count", "+", 1),
      }))
      .where("organization_id", "=", lease.organization_id)
      .returning(["licenses", "receipt_count"])
      .executeTakeFirstOrThrow();
    await recordCharge(tx, lease, { number: counts.receipt_count, licensesAfter: counts.licenses }, now);
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
    await movePurchase(tx, lease, "refunded", { completed_at: now, next_check_at: null, lease_until: 0 });
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

/** `paid` and what follows it are one step on disk; the move is checked in two. */
async function movePaid(
  tx: Kysely<Database>,
  lease: PurchaseRow,
  changes: Parameters<typeof movePurchase>[3],
): Promise<void> {
  const paid = await movePurchase(tx, lease, "paid");
  await movePurchase(tx, paid, "refund_due", changes);
}

async function settle(
  tx: Kysely<Database>,
  lease: PurchaseRow,
  to: "fulfilled" | "declined",
  now: number,
  failure?: Failure,
): Promise<void> {
  const from = to === "fulfilled" ? await movePurchase(tx, lease, "paid") : lease;
  await movePurchase(tx, from, to, {
    completed_at: now,
    next_check_at: null,
    lease_until: 0,
    failure_code: failure?.code ?? null,
    failure_message: failure?.message ?? null,
  });
}

async function recordCharge(
  tx: Kysely<Database>,
  { organization_id, id, total, currency }: PurchaseRow,
  receipt: { number: number; licensesAfter: number },
  now: number,
): Promise<void> {
  const { number, licensesAfter } = receipt;
  await tx
    .insertInto("receipts")
    .values({ organization_id, number, purchase_id: id, issued_at: now, licenses_after: licensesAfter })
    .execute();
  await tx
    .insertInto("ledger")
    .values({ organization_id, purchase_id: id, kind: "charge", amount: total, currency, at: now })
    .execute();
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
