import type { Kysely } from "kysely";
import { dateInZone } from "../../billing/calendar.ts";
import { approvalDeadline } from "../../billing/purchase.ts";
import type { Quote } from "../../contract/billing.ts";
import { assertWithinBudget, tellBudget } from "../control/budget.ts";
import { isPostgres } from "../database/engine.ts";
import type { Database, PurchaseRow, QuoteRow, SubscriptionRow } from "../database/schema.ts";
import { isConnectionFailure } from "../database/storageFailure.ts";
import { inTransaction } from "../database/transaction.ts";
import { BackendError } from "../errors.ts";
import { actorOf, insertEvent } from "../events/events.ts";
import { assertWithinSpendLimit } from "../identity/spending.ts";
import { readQuote, readSubscription } from "../subscriptions/store.ts";
import { acceptAtOnce } from "./atOnce.ts";
import { type Clocks, LEASE_MS } from "./leases.ts";
import { keyIsVoid, type Order } from "./order.ts";
import { nextCheck } from "./schedule.ts";
import { askForApproval, mustBeApproved } from "./threshold.ts";

/** The initial columns of every purchase and renewal. */
export const UNCHARGED = {
  payment_id: null,
  confirm_count: 0,
  failure_code: null,
  failure_message: null,
  completed_at: null,
  by_person: 0,
  on_decline: "declined",
} as const;

/** A purchase, whether its key had it before, and whether it is leased to the caller. */
export interface Accepted {
  readonly purchase: PurchaseRow;
  readonly replayed: boolean;
  readonly isLeased: boolean;
}

/**
 * Accepts an order, or returns the purchase that its key already belongs to. One transaction claims the key, the quote and
 * the subscription's version together, so a refusal claims none of them (src/contract/README.md, Idempotency). The purchase
 * is already leased to the caller, to charge it, unless another administrator has to approve it. If the connection is lost
 * at COMMIT, the key says whether it was accepted; another worker may have it by then.
 *
 * @throws BackendError `idempotency_key_reused`, `idempotency_key_void`, `not_found`, `quote_used`, `quote_expired`,
 *   `subscription_changed`, `spend_limit_exceeded`, `budget_exceeded`
 */
export async function acceptPurchase(
  database: Kysely<Database>,
  order: Order,
  clocks: Clocks,
  reach: (point: string) => void,
): Promise<Accepted> {
  try {
    return await acceptOnce(database, order, clocks, reach);
  } catch (error) {
    if (!isConnectionFailure(error)) throw error;
    return acceptOnce(database, order, clocks, reach);
  }
}

async function acceptOnce(
  database: Kysely<Database>,
  order: Order,
  clocks: Clocks,
  reach: (point: string) => void,
): Promise<Accepted> {
  const { token } = order.buyer;
  const isLimited = token !== null && (token.limit_amount !== null || token.limit_licenses !== null);
  const isAtOnce = isPostgres(database) && !isLimited && !order.hasPolicy;
  const accepted = isAtOnce ? await acceptAtOnce(database, order, clocks, reach) : null;
  if (accepted) return { purchase: accepted, replayed: false, isLeased: true };
  const outcome = await inTransaction(database, async (tx) => {
    const known = await claimKey(tx, order, clocks.billing);
    if (known) return found(known, order, clocks.machine);
    const quote = await readQuote(tx, order.organizationId, order.quoteId);
    await assertUnsold(tx, quote);
    if (isOutdated(quote, order, clocks.billing)) return giveUp(tx, order, quoteExpired(quote));
    const subscription = await claimVersion(tx, quote, clocks.billing);
    if (subscription === null) return giveUp(tx, order, renewalDue());
    const { total, term } = JSON.parse(quote.quote_json) as Quote;
    const wanted = { purchaseId: order.purchaseId, licenses: quote.licenses, total };
    await assertWithinSpendLimit(tx, token, wanted, { timeZone: order.timeZone, at: clocks.billing });
    const spending = { id: order.purchaseId, total, timeZone: order.timeZone, acceptedAt: clocks.billing };
    const spent = await assertWithinBudget(tx, subscription, spending);
    const waits = await mustBeApproved(
      tx,
      { organizationId: order.organizationId, ...wanted },
      subscription.approval_above,
      clocks.billing,
    );
    const begin = waits
      ? waitingFor(approvalDeadline(clocks.billing, term.renewalDate, order.timeZone))
      : leasedUntil(clocks.machine + LEASE_MS, nextCheck(clocks.billing, clocks.billing));
    const purchase = await insertPurchase(tx, order, { quote, total, subscription, begin }, clocks.billing);
    await insertEvent(
      tx,
      {
        organizationId: order.organizationId,
        at: clocks.billing,
        type: "purchase.accepted",
        actor: actorOf(order.buyer),
        purchaseId: purchase.id,
        data: { licenses: purchase.licenses, total: purchase.total, currency: purchase.currency, quoteId: quote.id },
      },
      subscription.event_count,
    );
    if (spent) await tellBudget(tx, subscription, spent, clocks.billing);
    if (waits) await askForApproval(tx, purchase, actorOf(order.buyer), clocks.billing);
    reach("B0");
    return { purchase, replayed: false, isLeased: !waits };
  });
  if (outcome instanceof BackendError) throw outcome;
  return outcome;
}

/**
 * A purchase that the key already belongs to. It may be this order's own, if the connection was lost after its COMMIT, and
 * is then leased to the caller unless another worker has had it since.
 */
function found(purchase: PurchaseRow, order: Order, machineNow: number): Accepted {
  const isOwn = purchase.id === order.purchaseId;
  const isLeased = isOwn && purchase.epoch === 1 && purchase.state === "charging" && purchase.lease_until > machineNow;
  return { purchase, replayed: !isOwn, isLeased };
}

/**
 * Ends an order that came too late, by the clock of this process. The quote is closed for good and the key stays free, so
 * that an earlier try of the same order, which another process judges by an earlier clock, cannot be accepted any more:
 * whoever is told so may buy again under another key. Both processes lock the quote.
 */
async function giveUp(tx: Kysely<Database>, order: Order, refusal: BackendError): Promise<BackendError> {
  await tx
    .updateTable("quotes")
    .set({ expires_at: CLOSED })
    .where("organization_id", "=", order.organizationId)
    .where("id", "=", order.quoteId)
    .execute();
  await tx
    .deleteFrom("idempotency_keys")
    .where("organization_id", "=", order.organizationId)
    .where("key", "=", order.idempotencyKey)
    .execute();
  return refusal;
}

/** When a closed quote expired: before any clock. */
const CLOSED = 0;

function quoteExpired({ id }: QuoteRow): BackendError {
  return new BackendError("quote_expired", `Quote ${id} has expired`);
}

function renewalDue(): BackendError {
  return new BackendError("subscription_changed", "The subscription is being renewed; request a new quote");
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
  return tx
    .selectFrom("purchases")
    .selectAll()
    .where("organization_id", "=", order.organizationId)
    .where("id", "=", owner.purchase_id)
    .executeTakeFirstOrThrow();
}

function isOutdated(quote: QuoteRow, { timeZone }: Order, now: number): boolean {
  return now >= quote.expires_at || dateInZone(now, timeZone) !== quote.purchase_date;
}

async function assertUnsold(tx: Kysely<Database>, quote: QuoteRow): Promise<void> {
  const sold = await tx
    .selectFrom("purchases")
    .select("id")
    .where("organization_id", "=", quote.organization_id)
    .where("quote_id", "=", quote.id)
    .executeTakeFirst();
  if (sold) throw new BackendError("quote_used", `Quote ${quote.id} was already bought`, { purchaseId: sold.id });
}

/**
 * Compare-and-set on the version, so that of two orders for the same version the second is refused. Locks the row, and
 * counts the purchase and its first event.
 *
 * @returns the subscription as it is now; `null`, and nothing is changed, if its renewal is due
 */
async function claimVersion(tx: Kysely<Database>, quote: QuoteRow, now: number): Promise<SubscriptionRow | null> {
  const subscription = await tx
    .updateTable("subscriptions")
    .set((expression) => ({
      version: expression("version", "+", 1),
      purchase_count: expression("purchase_count", "+", 1),
      event_count: expression("event_count", "+", 1),
    }))
    .where("organization_id", "=", quote.organization_id)
    .where("version", "=", quote.subscription_version)
    // Sold before the renewal is made, the licenses would be charged twice for the new term.
    .where((where) =>
      where.or([where("renew_at", "is", null), where("renew_at", ">", now), where("unpaid_renewal", "is not", null)]),
    )
    .returningAll()
    .executeTakeFirst();
  if (subscription) return subscription;
  await assertUnsold(tx, quote);
  const { version } = await readSubscription(tx, quote.organization_id);
  if (version === quote.subscription_version) return null;
  throw new BackendError("subscription_changed", "The subscription changed after the quote was made");
}

/** How a purchase begins that is charged at once, leased to the caller. */
function leasedUntil(leaseUntil: number, nextCheckAt: number) {
  return { state: "charging", epoch: 1, lease_until: leaseUntil, next_check_at: nextCheckAt } as const;
}

/** How a purchase begins that another administrator has to approve until `deadline`, billing clock, milliseconds. */
function waitingFor(deadline: number) {
  return { state: "awaiting_approval", epoch: 0, lease_until: 0, next_check_at: deadline } as const;
}

/** What an order buys, of which subscription, and how the purchase begins. */
interface Sale extends Pick<Quote, "total"> {
  readonly quote: QuoteRow;
  readonly subscription: SubscriptionRow;
  readonly begin: ReturnType<typeof leasedUntil> | ReturnType<typeof waitingFor>;
}

async function insertPurchase(
  tx: Kysely<Database>,
  order: Order,
  { quote, total, subscription, begin }: Sale,
  now: number,
): Promise<PurchaseRow> {
  return tx
    .insertInto("purchases")
    .values({
      ...UNCHARGED,
      ...begin,
      organization_id: order.organizationId,
      id: order.purchaseId,
      sequence: subscription.purchase_count,
      kind: "purchase",
      quote_id: quote.id,
      idempotency_key: order.idempotencyKey,
      licenses: quote.licenses,
      total: total.amount,
      currency: total.currency,
      price_json: quote.quote_json,
      time_zone: order.timeZone,
      purchase_order: order.purchaseOrder,
      note: order.note,
      buyer_user_id: order.buyer.userId,
      buyer_email: order.buyer.email,
      buyer_token_id: order.buyer.token?.id ?? null,
      buyer_token_name: order.buyer.token?.name ?? null,
      payment_method: subscription.payment_method,
      payment_method_label: subscription.payment_method_label,
      customer_id: subscription.customer_id,
      accepted_at: now,
      spent_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}
