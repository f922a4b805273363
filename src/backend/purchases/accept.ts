import type { Kysely } from "kysely";
import { dateInZone } from "../../billing/calendar.ts";
import type { Money } from "../../billing/money.ts";
import type { Quote } from "../../contract/billing.ts";
import type { Database, PurchaseRow, QuoteRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { BackendError } from "../errors.ts";
import { actorOf, type Buyer, recordEvent } from "../events/events.ts";
import { assertWithinSpendLimit } from "../identity/spending.ts";
import { isRenewalDue, type OrganizationSubscription, readQuote, readSubscription } from "../subscriptions/store.ts";
import { nextCheck } from "./schedule.ts";

/** An order. `requestHash` identifies its contents, so that the same key with another order is refused. */
export interface Order {
  readonly purchaseId: string;
  readonly organizationId: number;
  readonly idempotencyKey: string;
  readonly requestHash: string;
  readonly quoteId: string;
  readonly purchaseOrder: string | null;
  readonly note: string | null;
  readonly buyer: Buyer;
}

/** The initial columns of every purchase and renewal. */
export const UNCHARGED = {
  state: "accepted",
  epoch: 0,
  lease_until: 0,
  payment_id: null,
  confirm_count: 0,
  failure_code: null,
  failure_message: null,
  completed_at: null,
  by_person: 0,
  on_decline: "declined",
} as const;

/**
 * Accepts an order, or returns the purchase that its key already belongs to. One transaction claims the key, the quote and
 * the subscription's version together, so a refusal claims none of them (src/contract/README.md, Idempotency).
 *
 * @param now the billing clock, milliseconds
 * @throws BackendError `idempotency_key_reused`, `idempotency_key_void`, `not_found`, `quote_used`, `quote_expired`,
 *   `subscription_changed`, `spend_limit_exceeded`
 */
export async function acceptPurchase(
  database: Kysely<Database>,
  order: Order,
  now: number,
  reach: (point: string) => void,
): Promise<{ purchase: PurchaseRow; replayed: boolean }> {
  return inTransaction(database, async (tx) => {
    const known = await claimKey(tx, order, now);
    if (known) return { purchase: known, replayed: true };
    const quote = await readQuote(tx, order.organizationId, order.quoteId);
    const subscription = await readSubscription(tx, order.organizationId);
    await assertBuyable(tx, quote, subscription, now);
    await claimVersion(tx, quote);
    const { total } = JSON.parse(quote.quote_json) as Quote;
    const wanted = { purchaseId: order.purchaseId, licenses: quote.licenses, total };
    await assertWithinSpendLimit(tx, order.buyer.token, wanted, { timeZone: subscription.time_zone, at: now });
    const purchase = await insertPurchase(tx, order, { quote, total, subscription }, now);
    await recordEvent(tx, {
      organizationId: order.organizationId,
      at: now,
      type: "purchase.accepted",
      actor: actorOf(order.buyer),
      purchaseId: purchase.id,
      data: { licenses: purchase.licenses, total: purchase.total, currency: purchase.currency, quoteId: quote.id },
    });
    reach("B0");
    return { purchase, replayed: false };
  });
}

/** Claims the key, or returns the purchase that has it. Waits for a concurrent transaction that is claiming it. */
async function claimKey(tx: Kysely<Database>, order: Order, now: number): Promise<PurchaseRow | null> {
  const claimed = await tx
    .insertInto("idempotency_keys")
    .values({
      organization_id: order.organizationId,
      key: order.idempotencyKey,
      request_hash: order.requestHash,
      purchase_id: order.purchaseId,
      created_at: now,
    })
    .onConflict((conflict) => conflict.columns(["organization_id", "key"]).doNothing())
    .returning("key")
    .executeTakeFirst();
  if (claimed) return null;
  const owner = await tx
    .selectFrom("idempotency_keys")
    .selectAll()
    .where("organization_id", "=", order.organizationId)
    .where("key", "=", order.idempotencyKey)
    .executeTakeFirstOrThrow();
  if (owner.purchase_id === null) throw keyIsVoid();
  if (owner.request_hash !== order.requestHash) {
    throw new BackendError("idempotency_key_reused", "This Idempotency-Key belongs to another purchase", {
      purchaseId: owner.purchase_id,
    });
  }
  return tx.selectFrom("purchases").selectAll().where("id", "=", owner.purchase_id).executeTakeFirstOrThrow();
}

/** The problem of a voided key. */
export function keyIsVoid(): BackendError {
  return new BackendError(
    "idempotency_key_void",
    "This Idempotency-Key was voided: nothing is or will be bought under it",
  );
}

async function assertBuyable(
  tx: Kysely<Database>,
  quote: QuoteRow,
  subscription: OrganizationSubscription,
  now: number,
): Promise<void> {
  await assertUnsold(tx, quote);
  if (now >= quote.expires_at || dateInZone(now, subscription.time_zone) !== quote.purchase_date) {
    throw new BackendError("quote_expired", `Quote ${quote.id} has expired`);
  }
  // Sold before the renewal is made, the licenses would be charged twice for the new term.
  if (isRenewalDue(subscription, now)) {
    throw new BackendError("subscription_changed", "The subscription is being renewed; request a new quote");
  }
}

async function assertUnsold(tx: Kysely<Database>, quote: QuoteRow): Promise<void> {
  const sold = await tx.selectFrom("purchases").select("id").where("quote_id", "=", quote.id).executeTakeFirst();
  if (sold) throw new BackendError("quote_used", `Quote ${quote.id} was already bought`, { purchaseId: sold.id });
}

/** Compare-and-set on the version, so that of two orders for the same version the second is refused. Locks the row. */
async function claimVersion(tx: Kysely<Database>, quote: QuoteRow): Promise<void> {
  const taken = await tx
    .updateTable("subscriptions")
    .set((expression) => ({ version: expression("version", "+", 1) }))
    .where("organization_id", "=", quote.organization_id)
    .where("version", "=", quote.subscription_version)
    .executeTakeFirst();
  if (Number(taken.numUpdatedRows) === 0) {
    await assertUnsold(tx, quote);
    throw new BackendError("subscription_changed", "The subscription changed after the quote was made");
  }
}

async function insertPurchase(
  tx: Kysely<Database>,
  order: Order,
  { quote, total, subscription }: { quote: QuoteRow; total: Money; subscription: OrganizationSubscription },
  now: number,
): Promise<PurchaseRow> {
  return tx
    .insertInto("purchases")
    .values({
      ...UNCHARGED,
      id: order.purchaseId,
      organization_id: order.organizationId,
      kind: "purchase",
      quote_id: quote.id,
      idempotency_key: order.idempotencyKey,
      licenses: quote.licenses,
      total: total.amount,
      currency: total.currency,
      price_json: quote.quote_json,
      purchase_order: order.purchaseOrder,
      note: order.note,
      buyer_email: order.buyer.email,
      buyer_token_id: order.buyer.token?.id ?? null,
      buyer_token_name: order.buyer.token?.name ?? null,
      payment_method: subscription.payment_method,
      accepted_at: now,
      spent_at: now,
      next_check_at: nextCheck(now, now),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}
