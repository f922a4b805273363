import { type Kysely, sql } from "kysely";
import { dateInZone } from "../../billing/calendar.ts";
import type { Database, PurchaseRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { Notification } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { actorOf, type NewEvent, outboxRow } from "../events/events.ts";
import { type Clocks, LEASE_MS } from "./leases.ts";
import type { Order } from "./order.ts";
import { nextCheck } from "./schedule.ts";

/** Rolls a transaction back in which the statement found nothing to do. */
const NOTHING_DONE = new BackendError("internal", "The order cannot be accepted at once");

/**
 * Accepts an order in one statement, on PostgreSQL: what the steps of `acceptPurchase` do if nothing stands in the way. The
 * buyer must not have a spending limit.
 *
 * @returns the purchase, leased; `null` if anything stands in the way, which the steps then find out
 */
export async function acceptAtOnce(
  database: Kysely<Database>,
  order: Order,
  clocks: Clocks,
  reach: (point: string) => void,
): Promise<PurchaseRow | null> {
  try {
    return await inTransaction(database, async (tx) => {
      const { rows } = await acceptance(order, clocks).execute(tx);
      const [accepted] = rows;
      if (!accepted) throw NOTHING_DONE;
      reach("B0");
      return accepted;
    });
  } catch (error) {
    if (error === NOTHING_DONE) return null;
    throw error;
  }
}

function acceptance(order: Order, { billing: now, machine }: Clocks) {
  const { organizationId, purchaseId, buyer } = order;
  return sql<PurchaseRow>`
    with quote as (
      select *, (quote_json::json #>> '{total,amount}')::bigint as total, quote_json::json #>> '{total,currency}' as currency
      from quotes
      where organization_id = ${organizationId} and id = ${order.quoteId}
        and expires_at > ${now} and purchase_date = ${dateInZone(now, order.timeZone)}
    ), claimed as (
      insert into idempotency_keys (organization_id, key, request_hash, purchase_id, created_at)
      select organization_id, ${order.idempotencyKey}::text, ${order.requestHash}::text, ${purchaseId}::text, ${now}::bigint
      from quote
      on conflict (organization_id, key) do nothing
      returning organization_id
    ), counted as (
      update subscriptions set version = version + 1, purchase_count = purchase_count + 1, event_count = event_count + 1
      where organization_id = ${organizationId} and version = (select subscription_version from quote)
        and exists (select 1 from claimed)
        and (renew_at is null or renew_at > ${now} or unpaid_renewal is not null)
      returning purchase_count, event_count, payment_method
    ), accepted as (
      insert into purchases (
        organization_id, id, sequence, kind, state, epoch, lease_until, quote_id, idempotency_key, licenses, total, currency,
        price_json, time_zone, purchase_order, note, buyer_email, buyer_token_id, buyer_token_name, payment_method,
        confirm_count, accepted_at, spent_at, next_check_at)
      select ${organizationId}::bigint, ${purchaseId}::text, counted.purchase_count, 'purchase', 'charging', 1,
        ${machine + LEASE_MS}::bigint, quote.id, ${order.idempotencyKey}::text, quote.licenses, quote.total, quote.currency,
        quote.quote_json, ${order.timeZone}::text, ${order.purchaseOrder}::text, ${order.note}::text, ${buyer.email}::text,
        ${buyer.token?.id ?? null}::text, ${buyer.token?.name ?? null}::text, counted.payment_method,
        0, ${now}::bigint, ${now}::bigint, ${nextCheck(now, now)}::bigint
      from quote, counted
      returning *
    ), recorded as (
      insert into events (organization_id, number, at, type, actor, purchase_id, data_json)
      select organization_id, counted.event_count, accepted_at, 'purchase.accepted', ${actorOf(buyer)}::text, id,
        json_build_object('licenses', licenses, 'total', total, 'currency', currency, 'quoteId', quote_id)::text
      from accepted, counted
    )
    select * from accepted`;
}

/** What fulfilling a purchase changes beside the purchase itself. */
export interface Fulfillment {
  /** The licenses to add; 0 for a renewal. */
  readonly licenses: number;
  /** The payment method of an organization that has none; `null` to save none. */
  readonly paymentMethod: string | null;
  /** When it counts against a spending limit, billing clock, milliseconds. */
  readonly spentAt: number;
  readonly event: Omit<NewEvent, "data">;
  readonly notification: Notification;
}

/**
 * Fulfills a leased purchase in one statement, on PostgreSQL: what the steps of `fulfillPurchase` do.
 *
 * @param now the billing clock, milliseconds
 * @returns whether it was; `false` if another worker has taken over
 */
export async function fulfillAtOnce(
  database: Kysely<Database>,
  lease: PurchaseRow,
  { licenses, paymentMethod, spentAt, event, notification }: Fulfillment,
  now: number,
): Promise<boolean> {
  const { organization_id: organizationId, id, epoch, state } = lease;
  const queued = outboxRow(notification, now);
  const { rows } = await sql`
    with moved as (
      update purchases set state = 'fulfilled', spent_at = ${spentAt}, completed_at = ${now}, next_check_at = null,
        lease_until = 0
      where organization_id = ${organizationId} and id = ${id} and epoch = ${epoch} and state = ${state}
      returning id, total, currency
    ), counted as (
      update subscriptions set licenses = licenses + ${licenses}::bigint, reduction = reduction + ${licenses}::bigint,
        version = version + 1, receipt_count = receipt_count + 1, event_count = event_count + 1,
        unpaid_renewal = nullif(unpaid_renewal, ${id}::text),
        payment_method = coalesce(payment_method, ${paymentMethod}::text)
      where organization_id = ${organizationId} and exists (select 1 from moved)
      returning organization_id, licenses, reduction, receipt_count, event_count
    ), issued as (
      insert into receipts (organization_id, number, purchase_id, issued_at, licenses_after)
      select organization_id, receipt_count, ${id}::text, ${now}::bigint, licenses from counted
    ), charged as (
      insert into ledger (organization_id, purchase_id, kind, amount, currency, at)
      select organization_id, id, 'charge', total, currency, ${now}::bigint from counted, moved
    ), recorded as (
      insert into events (organization_id, number, at, type, actor, purchase_id, data_json)
      select organization_id, event_count, ${event.at}::bigint, ${event.type}::text, ${event.actor}::text, ${id}::text,
        json_strip_nulls(json_build_object('licensesAfter', licenses, 'receipt', receipt_count,
          'reduction', case when ${licenses}::bigint > 0 then reduction end))::text
      from counted
    ), queued as (
      insert into outbox (organization_id, id, payload_json, created_at)
      select organization_id, ${queued.id}::text, ${queued.payload_json}::text, ${now}::bigint from counted
    )
    select 1 from counted`.execute(database);
  return rows.length === 1;
}
