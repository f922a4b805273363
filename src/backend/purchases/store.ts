import type { Kysely } from "kysely";
import { PENDING_STATES, type PurchaseState, statusOf } from "../../billing/purchase.ts";
import { preparedStatement } from "../database/prepared.ts";
import type { Database, PurchaseRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { BackendError } from "../errors.ts";
import { recordEvent } from "../events/events.ts";
import { purchaseOfReceipt } from "../receipts/store.ts";
import { withId } from "./leases.ts";
import { keyIsVoid } from "./order.ts";
import { deadlineOf } from "./schedule.ts";

/** A purchase with the values of other tables that its view needs. */
export interface PurchaseRecord extends PurchaseRow {
  readonly receipt_number: number | null;
  /** The organization's license count after the purchase. */
  readonly licenses_after: number | null;
  readonly credit_note_number: number | null;
  readonly refunded_at: number | null;
  /** The organization's licenses now, and how many are in use. */
  readonly organization_licenses: number;
  readonly organization_used: number;
  /** The sequence of the organization's newest purchase, renewals excluded. */
  readonly newest_sequence: number | null;
}

/** Filters a list of purchases; `null` does not filter. `before` is a sequence. */
export interface PurchaseFilter {
  readonly before: number | null;
  readonly limit: number;
  readonly states: readonly PurchaseState[] | null;
  readonly kind: PurchaseRow["kind"] | null;
  /** Accepted from this instant on, and before `until`; billing clock, milliseconds. */
  readonly from: number | null;
  readonly until: number | null;
}

/** Selects purchases with the values of other tables that their views need. */
export function records(database: Kysely<Database>) {
  return database
    .selectFrom("purchases")
    .innerJoin("subscriptions", "subscriptions.organization_id", "purchases.organization_id")
    .leftJoin("receipts", (join) =>
      join
        .onRef("receipts.organization_id", "=", "purchases.organization_id")
        .onRef("receipts.purchase_id", "=", "purchases.id"),
    )
    .leftJoin("credit_notes", (join) =>
      join
        .onRef("credit_notes.organization_id", "=", "purchases.organization_id")
        .onRef("credit_notes.purchase_id", "=", "purchases.id"),
    )
    .selectAll("purchases")
    .select([
      "subscriptions.licenses as organization_licenses",
      "subscriptions.used as organization_used",
      "receipts.number as receipt_number",
      "receipts.licenses_after",
      "credit_notes.number as credit_note_number",
      "credit_notes.issued_at as refunded_at",
    ])
    .select((expression) =>
      expression
        .selectFrom("purchases as newest")
        .select("newest.sequence")
        .whereRef("newest.organization_id", "=", "purchases.organization_id")
        .where("newest.kind", "=", "purchase")
        .orderBy("newest.sequence", "desc")
        .limit(1)
        .as("newest_sequence"),
    );
}

const selectPurchase = preparedStatement<{ organizationId: number; purchaseId: string }, PurchaseRecord>(
  (parameter, database) =>
    records(database)
      .where("purchases.organization_id", "=", parameter("organizationId"))
      .where("purchases.id", "=", parameter("purchaseId")),
);

/**
 * Reads a purchase of an organization.
 *
 * @throws BackendError `not_found`, also for a purchase of another organization
 */
export async function readPurchase(
  database: Kysely<Database>,
  organizationId: number,
  purchaseId: string,
): Promise<PurchaseRecord> {
  const [row] = await selectPurchase(database, { organizationId, purchaseId });
  if (!row) throw new BackendError("not_found", `There is no purchase ${purchaseId} in organization ${organizationId}`);
  return row;
}

/** `pur_` and 24 digits. */
const OLD_LENGTH = 28;

/**
 * Finds a purchase by its ID, by a prefix of it with at least 8 digits, or by its receipt number.
 *
 * @throws BackendError `not_found`; `invalid_request` if the prefix is ambiguous
 */
export async function findNamedPurchase(
  database: Kysely<Database>,
  organizationId: number,
  name: string,
): Promise<PurchaseRecord> {
  const ofReceipt = await purchaseOfReceipt(database, organizationId, name);
  if (ofReceipt !== null) return readPurchase(database, organizationId, ofReceipt);
  const [, digits] = new RegExp(`^pur_(?:${organizationId}_)?([0-9a-f]{8,24})$`).exec(name) ?? [];
  if (digits === undefined) return readPurchase(database, organizationId, name);
  const found = await database
    .selectFrom("purchases")
    .select("id")
    .where("organization_id", "=", organizationId)
    .where((where) =>
      where.or([
        where("id", "like", `pur_${organizationId}_${digits}%`),
        // Older sandboxes have IDs without the organization, which are shorter than any other.
        where.and([where("id", "like", `pur_${digits}%`), where(where.fn<number>("length", ["id"]), "=", OLD_LENGTH)]),
      ]),
    )
    .limit(2)
    .execute();
  if (found.length > 1) {
    throw new BackendError("invalid_request", `Several purchases begin with ${name}; give the whole id`);
  }
  return readPurchase(database, organizationId, found[0]?.id ?? name);
}

/** Reads a purchase by its ID alone, for its payment page; `null` if it does not exist. */
export async function findPurchase(database: Kysely<Database>, purchaseId: string): Promise<PurchaseRecord | null> {
  return (await withId(records(database), purchaseId).executeTakeFirst()) ?? null;
}

/** Lists purchases of an organization, newest first. */
export async function listPurchases(
  database: Kysely<Database>,
  organizationId: number,
  filter: PurchaseFilter,
): Promise<PurchaseRecord[]> {
  let query = records(database).where("purchases.organization_id", "=", organizationId);
  if (filter.before !== null) query = query.where("purchases.sequence", "<", filter.before);
  if (filter.states) query = query.where("purchases.state", "in", filter.states);
  if (filter.kind) query = query.where("purchases.kind", "=", filter.kind);
  if (filter.from !== null) query = query.where("purchases.accepted_at", ">=", filter.from);
  if (filter.until !== null) query = query.where("purchases.accepted_at", "<", filter.until);
  return query.orderBy("purchases.sequence", "desc").limit(filter.limit).execute();
}

/**
 * Reads the purchase that a key belongs to.
 *
 * @throws BackendError `idempotency_key_unknown` for a key that never arrived, `idempotency_key_void`
 */
export async function readPurchaseByKey(
  database: Kysely<Database>,
  organizationId: number,
  key: string,
): Promise<PurchaseRecord> {
  const owner = await database
    .selectFrom("idempotency_keys")
    .select("purchase_id")
    .where("organization_id", "=", organizationId)
    .where("key", "=", key)
    .executeTakeFirst();
  if (!owner) throw new BackendError("idempotency_key_unknown", "No purchase has arrived under this Idempotency-Key");
  if (owner.purchase_id === null) throw keyIsVoid();
  return readPurchase(database, organizationId, owner.purchase_id);
}

/**
 * Voids a key forever, unless a purchase has it.
 *
 * @param now the billing clock, milliseconds
 * @returns the purchase that has the key, or `null` if the key is void now
 */
export async function voidKey(
  database: Kysely<Database>,
  key: { organizationId: number; key: string; actor: string },
  now: number,
): Promise<PurchaseRecord | null> {
  return inTransaction(database, async (tx) => {
    const voided = await tx
      .insertInto("idempotency_keys")
      .values({
        organization_id: key.organizationId,
        key: key.key,
        request_hash: null,
        purchase_id: null,
        created_at: now,
      })
      .onConflict((conflict) => conflict.columns(["organization_id", "key"]).doNothing())
      .returning("key")
      .executeTakeFirst();
    if (voided) {
      const { organizationId, actor } = key;
      await recordEvent(tx, { organizationId, at: now, type: "key.voided", actor, data: { idempotencyKey: key.key } });
      return null;
    }
    const owner = await tx
      .selectFrom("idempotency_keys")
      .select("purchase_id")
      .where("organization_id", "=", key.organizationId)
      .where("key", "=", key.key)
      .executeTakeFirstOrThrow();
    return owner.purchase_id === null ? null : readPurchase(tx, key.organizationId, owner.purchase_id);
  });
}

/** Whether a purchase has reached a state that only an operator or a new attempt to pay can change. */
export function isSettled({ state }: Pick<PurchaseRow, "state">): boolean {
  return !PENDING_STATES.includes(state) || statusOf(state) === "needs_review";
}

/**
 * Whether a declined purchase can be paid again: before its deadline, if nothing was bought after it and its payment was
 * not canceled at the provider. A declined renewal stays payable.
 *
 * @param now the billing clock, milliseconds
 */
export function isPayableAgain(purchase: PurchaseRecord, now: number): boolean {
  if (purchase.state !== "declined" || now >= deadlineOf(purchase)) return false;
  // A renewal is owed: after its payment was canceled at the provider, another one is made.
  if (purchase.kind === "renewal") return true;
  return purchase.failure_code !== "payment_canceled" && purchase.sequence === purchase.newest_sequence;
}
