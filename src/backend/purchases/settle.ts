import type { Kysely } from "kysely";
import { isPostgres } from "../database/engine.ts";
import type { Database, PurchaseRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { Notification } from "../deps.ts";
import { BACKEND, insertEvent, recordEvent } from "../events/events.ts";
import { queueNotification } from "../events/outbox.ts";
import { creditNoteNumber } from "../receipts/content.ts";
import { type Issuer, saveCreditNote, saveReceipt } from "../receipts/store.ts";
import { makeProviderDue } from "../subscriptions/store.ts";
import { type Fulfillment, fulfillAtOnce } from "./atOnce.ts";
import { followPath, movePurchase, takenOver } from "./leases.ts";
import { waitingCheck } from "./schedule.ts";
import type { PurchaseRecord } from "./store.ts";

/** Why a purchase failed: a stable code and a sentence. */
export interface Failure {
  readonly code: string;
  readonly message: string;
}

/** How a purchase ends unpaid. */
export interface UnpaidEnd {
  readonly state: "declined" | "canceled" | "expired";
  readonly failure: Failure;
  readonly actor: string;
  readonly nextCheckAt: number | null;
  /** The type of its event, unless its state says it. */
  readonly event?: string;
  /** Whether its payment can never be paid again, so that another attempt needs a new payment. */
  readonly isPaymentOver?: boolean;
}

const UNPAID_EVENTS = { declined: "purchase.failed", canceled: "purchase.canceled", expired: "purchase.expired" };

/**
 * Fulfills a paid purchase in one transaction: the license count, the receipt, the ledger entry, the audit event and the
 * notification (src/backend/README.md, States).
 *
 * @param now the billing clock, milliseconds
 * @returns the purchase as it is now, if that cost no statement
 * @throws StaleLease
 */
export async function fulfillPurchase(
  issuer: Issuer,
  lease: PurchaseRow,
  now: number,
  actor = BACKEND,
): Promise<PurchaseRecord | null> {
  // It was never confirmed by us: it was free, or the bank approved it while it waited.
  const isChargedNow = lease.total === 0 || lease.state === "requires_approval";
  const fulfillment: Fulfillment = {
    licenses: lease.kind === "renewal" ? 0 : lease.licenses,
    paymentMethod: lease.total === 0 ? null : lease.payment_method,
    paymentMethodLabel: lease.payment_method_label,
    spentAt: isChargedNow ? now : lease.spent_at,
    event: { ...eventOf(lease, "purchase.succeeded", now), actor },
    notification: notificationOf(lease, "purchase.succeeded"),
  };
  followPath(lease.state, FULFILLED);
  if (!isPostgres(issuer.database)) {
    await fulfillInSteps(issuer, lease, fulfillment, now);
    return null;
  }
  const fulfilled = await fulfillAtOnce(issuer, lease, fulfillment, now);
  if (!fulfilled) throw takenOver(lease);
  return fulfilled;
}

const FULFILLED = ["paid", "fulfilled"] as const;

/** Fulfills a purchase with portable statements. `fulfillAtOnce` does the same. */
export async function fulfillInSteps(
  { database, seller }: Issuer,
  lease: PurchaseRow,
  { licenses, paymentMethod, paymentMethodLabel, spentAt, event, notification }: Fulfillment,
  now: number,
): Promise<void> {
  await inTransaction(database, async (tx) => {
    await movePurchase(tx, lease, FULFILLED, { ...settled(now), spent_at: spentAt });
    const counts = await issueReceipt(tx, lease, { licenses, paymentMethod, paymentMethodLabel, seller, now });
    const { licenses: licensesAfter, receipt_count: receipt, reduction } = counts;
    const data = { licensesAfter, receipt, ...(licenses > 0 && reduction !== null && { reduction }) };
    await insertEvent(tx, { ...event, data }, counts.event_count);
    await queueNotification(tx, notification, now);
    if (licenses > 0) await makeProviderDue(tx, lease.organization_id);
  });
}

/**
 * Ends a purchase unpaid, once the provider has confirmed that nothing was charged. The version changes, because decisions
 * may have counted on its licenses.
 *
 * @param end `nextCheckAt` is when to check for a payment that arrives anyway (billing clock; `null` for never)
 * @throws StaleLease
 */
export async function endUnpaid(
  database: Kysely<Database>,
  lease: PurchaseRow,
  end: UnpaidEnd,
  now: number,
): Promise<void> {
  await inTransaction(database, async (tx) => {
    await movePurchase(tx, lease, end.state, {
      ...settled(now),
      ...failed(end.failure),
      next_check_at: end.nextCheckAt,
      ...(end.isPaymentOver && { payment_id: null }),
    });
    await bumpVersion(tx, lease.organization_id);
    await recordAndNotify(tx, lease, end.event ?? UNPAID_EVENTS[end.state], now, { ...end.failure }, end.actor);
  });
}

/**
 * Lets a person try again until the deadline, after the provider declined their payment.
 *
 * @param deadline when the purchase expires, billing clock, milliseconds
 * @throws StaleLease
 */
export async function requireApprovalAgain(
  database: Kysely<Database>,
  lease: PurchaseRow,
  failure: Failure,
  { now, deadline }: { now: number; deadline: number },
): Promise<void> {
  const event = { ...eventOf(lease, "payment.declined", now), data: { ...failure } };
  await waitForPerson(database, lease, { now, checkAt: deadline }, { event, changes: failed(failure) });
}

/**
 * Makes a purchase wait for a person to approve the payment or to choose a payment method.
 *
 * @param times when to look at it again, at its deadline at the latest; `now` and this by the billing clock, milliseconds
 * @throws StaleLease
 */
export async function requireApproval(
  database: Kysely<Database>,
  lease: PurchaseRow,
  times: { now: number; checkAt: number },
): Promise<void> {
  await waitForPerson(database, lease, times, { event: eventOf(lease, "purchase.requires_approval", times.now) });
}

async function waitForPerson(
  database: Kysely<Database>,
  lease: PurchaseRow,
  times: { now: number; checkAt: number },
  { event, changes = {} }: { event: Parameters<typeof recordEvent>[1]; changes?: Partial<ReturnType<typeof failed>> },
): Promise<void> {
  await inTransaction(database, async (tx) => {
    // Its row, once it is locked, shows whether the check was moved.
    const moved = await movePurchase(tx, lease, "requires_approval", { ...changes, lease_until: 0 });
    await movePurchase(tx, moved, moved.state, { next_check_at: waitingCheck(lease, moved, times) });
    await recordEvent(tx, event);
  });
}

/**
 * Records a payment that arrived too late for its licenses: the charge and its receipt, and that a refund is due.
 *
 * @throws StaleLease
 */
export async function markRefundDue(
  { database, seller }: Issuer,
  lease: PurchaseRow,
  failure: Failure,
  now: number,
): Promise<void> {
  await inTransaction(database, async (tx) => {
    const hasEnded = lease.state === "canceled" || lease.state === "expired";
    const path = hasEnded ? (["refund_due"] as const) : (["paid", "refund_due"] as const);
    await movePurchase(tx, lease, path, { ...failed(failure), next_check_at: now });
    const nothing = { licenses: 0, paymentMethod: null, paymentMethodLabel: null };
    const { event_count } = await issueReceipt(tx, lease, { ...nothing, seller, now });
    await insertEvent(tx, { ...eventOf(lease, "purchase.refund_due", now), data: { ...failure } }, event_count);
  });
}

/**
 * Records the refund of a purchase, with a credit note.
 *
 * @throws StaleLease
 */
export async function recordRefund({ database, seller }: Issuer, lease: PurchaseRow, now: number): Promise<void> {
  await inTransaction(database, async (tx) => {
    await movePurchase(tx, lease, "refunded", settled(now));
    const { credit_note_count } = await tx
      .updateTable("subscriptions")
      .set((expression) => ({ credit_note_count: expression("credit_note_count", "+", 1) }))
      .where("organization_id", "=", lease.organization_id)
      .returning("credit_note_count")
      .executeTakeFirstOrThrow();
    const { organization_id, id, total, currency } = lease;
    const note = { organization_id, number: credit_note_count, purchase_id: id, issued_at: now };
    await saveCreditNote(tx, note, seller);
    await tx
      .insertInto("ledger")
      .values({ organization_id, purchase_id: id, kind: "refund", amount: total, currency, at: now })
      .execute();
    await recordAndNotify(tx, lease, "purchase.refunded", now, {
      creditNote: creditNoteNumber(organization_id, credit_note_count),
    });
  });
}

/** The columns of a purchase that needs no further work. */
function settled(now: number) {
  return { completed_at: now, next_check_at: null, lease_until: 0 };
}

function failed({ code, message }: Failure) {
  return { failure_code: code, failure_message: message };
}

/**
 * Issues the next receipt, books the charge, and adds `licenses` to the count and to a scheduled reduction
 * (src/billing/README.md, Reductions). Counts an event, marks a renewal as paid, so that the next one can be made, and saves
 * what a person paid with as the payment method of an organization that has none.
 *
 * @param change `licenses` is 0 for a renewal, and for a purchase to refund
 */
async function issueReceipt(
  tx: Kysely<Database>,
  { organization_id, id, total, currency }: PurchaseRow,
  change: Pick<Fulfillment, "licenses" | "paymentMethod" | "paymentMethodLabel"> &
    Pick<Issuer, "seller"> & { now: number },
) {
  const { licenses, paymentMethod, paymentMethodLabel, seller, now } = change;
  const counts = await tx
    .updateTable("subscriptions")
    .set((expression) => ({
      licenses: expression("licenses", "+", licenses),
      reduction: expression("reduction", "+", licenses),
      version: expression("version", "+", 1),
      receipt_count: expression("receipt_count", "+", 1),
      event_count: expression("event_count", "+", 1),
      unpaid_renewal: expression.fn<string | null>("nullif", ["unpaid_renewal", expression.val(id)]),
      payment_method: expression.fn.coalesce("payment_method", expression.val(paymentMethod)),
      payment_method_label: expression
        .case()
        .when("payment_method", "is", null)
        .then(paymentMethodLabel)
        .else(expression.ref("payment_method_label"))
        .end(),
    }))
    .where("organization_id", "=", organization_id)
    .returning(["licenses", "reduction", "receipt_count", "event_count"])
    .executeTakeFirstOrThrow();
  const { receipt_count: number, licenses: licenses_after } = counts;
  await saveReceipt(tx, { organization_id, number, purchase_id: id, issued_at: now, licenses_after }, seller);
  await tx
    .insertInto("ledger")
    .values({ organization_id, purchase_id: id, kind: "charge", amount: total, currency, at: now })
    .execute();
  return counts;
}

async function bumpVersion(tx: Kysely<Database>, organizationId: number): Promise<void> {
  await tx
    .updateTable("subscriptions")
    .set((expression) => ({ version: expression("version", "+", 1) }))
    .where("organization_id", "=", organizationId)
    .execute();
}

async function recordAndNotify(
  tx: Kysely<Database>,
  lease: PurchaseRow,
  type: string,
  now: number,
  data: Record<string, unknown>,
  actor = BACKEND,
): Promise<void> {
  await recordEvent(tx, { ...eventOf(lease, type, now), data, actor });
  await queueNotification(tx, notificationOf(lease, type), now);
}

function notificationOf({ id, organization_id, buyer_email, confirm_count }: PurchaseRow, type: string): Notification {
  return {
    id: `${id}:${type}:${confirm_count}`,
    type,
    organizationId: organization_id,
    purchaseId: id,
    to: buyer_email,
  };
}

function eventOf(lease: PurchaseRow, type: string, at: number) {
  return { organizationId: lease.organization_id, at, type, actor: BACKEND, purchaseId: lease.id };
}
