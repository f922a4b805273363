import { type Kysely, sql } from "kysely";
import { dateInZone } from "../../billing/calendar.ts";
import { preparedStatement } from "../database/prepared.ts";
import type { Database, PurchaseRow } from "../database/schema.ts";
import { isUniqueViolation } from "../database/storageFailure.ts";
import type { Notification } from "../deps.ts";
import { actorOf, type NewEvent } from "../events/events.ts";
import { outboxRow } from "../events/outbox.ts";
import { type Issuer, sellerJson } from "../receipts/store.ts";
import { type Clocks, LEASE_MS } from "./leases.ts";
import type { Order } from "./order.ts";
import { nextCheck } from "./schedule.ts";
import type { PurchaseRecord } from "./store.ts";

/**
 * Accepts an order in one statement, on PostgreSQL: what the steps of `acceptPurchase` do if nothing stands in the way. The
 * buyer must not have a spending limit, and the organization no policy.
 *
 * @returns the purchase, leased; `null` if anything stands in the way, which the steps then find out
 */
export async function acceptAtOnce(
  database: Kysely<Database>,
  order: Order,
  clocks: Clocks,
  reach: (point: string) => void,
): Promise<PurchaseRow | null> {
  reach("B0");
  try {
    const [accepted] = await accept(database, acceptanceOf(order, clocks));
    return accepted ?? null;
  } catch (error) {
    // The key was claimed before. The statement is a transaction of its own, so it left nothing behind.
    if (isUniqueViolation(error)) return null;
    throw error;
  }
}

/** The values of `accept`: the order's, the clocks', and what follows from them. */
function acceptanceOf(order: Order, { billing, machine }: Clocks) {
  const { organizationId, purchaseId, idempotencyKey, requestHash, quoteId, timeZone, buyer } = order;
  return {
    ...{ organizationId, purchaseId, idempotencyKey, requestHash, quoteId, timeZone },
    ...{ purchaseOrder: order.purchaseOrder, note: order.note },
    ...{
      userId: buyer.userId,
      email: buyer.email,
      tokenId: buyer.token?.id ?? null,
      tokenName: buyer.token?.name ?? null,
    },
    ...{ now: billing, today: dateInZone(billing, timeZone), nextCheckAt: nextCheck(billing, billing) },
    ...{ leaseUntil: machine + LEASE_MS, actor: actorOf(buyer) },
  };
}

const accept = preparedStatement<ReturnType<typeof acceptanceOf>, PurchaseRow>(
  (value) => sql<PurchaseRow>`
    with quote as (
      select *, (quote_json::json #>> '{total,amount}')::bigint as total, quote_json::json #>> '{total,currency}' as currency
      from quotes
      where organization_id = ${value("organizationId")} and id = ${value("quoteId")}
        and expires_at > ${value("now")} and purchase_date = ${value("today")}
      -- Against another process that closes it.
      for share
    ), counted as (
      update subscriptions set version = version + 1, purchase_count = purchase_count + 1, event_count = event_count + 1
      where organization_id = ${value("organizationId")} and version = (select subscription_version from quote)
        and (renew_at is null or renew_at > ${value("now")} or unpaid_renewal is not null)
        and approval_above is null
        and budget_amount is null
      returning organization_id, purchase_count, event_count, payment_method, payment_method_label, customer_id
    ), claimed as (
      insert into idempotency_keys (organization_id, key, request_hash, purchase_id, created_at)
      select organization_id, ${value("idempotencyKey")}::text, ${value("requestHash")}::text, ${value("purchaseId")}::text,
        ${value("now")}::bigint
      from counted
    ), accepted as (
      insert into purchases (
        organization_id, id, sequence, kind, state, epoch, lease_until, quote_id, idempotency_key, licenses, total, currency,
        price_json, time_zone, purchase_order, note, buyer_user_id, buyer_email, buyer_token_id, buyer_token_name, payment_method,
        payment_method_label, customer_id, confirm_count, accepted_at, spent_at, next_check_at)
      select counted.organization_id, ${value("purchaseId")}::text, counted.purchase_count, 'purchase', 'charging', 1,
        ${value("leaseUntil")}::bigint, quote.id, ${value("idempotencyKey")}::text, quote.licenses, quote.total, quote.currency,
        quote.quote_json, ${value("timeZone")}::text, ${value("purchaseOrder")}::text, ${value("note")}::text,
        ${value("userId")}::bigint, ${value("email")}::text, ${value("tokenId")}::text, ${value("tokenName")}::text, counted.payment_method,
        counted.payment_method_label, counted.customer_id, 0, ${value("now")}::bigint, ${value("now")}::bigint, ${value("nextCheckAt")}::bigint
      from quote, counted
      returning *
    ), recorded as (
      insert into events (organization_id, number, at, type, actor, purchase_id, data_json)
      select accepted.organization_id, counted.event_count, accepted_at, 'purchase.accepted', ${value("actor")}::text, id,
        json_build_object('licenses', licenses, 'total', total, 'currency', currency, 'quoteId', quote_id)::text
      from accepted, counted
    )
    select * from accepted`,
);

/** What fulfilling a purchase changes beside the purchase itself. */
export interface Fulfillment {
  /** The licenses to add; 0 for a renewal. */
  readonly licenses: number;
  /** The payment method of an organization that has none; `null` to save none. */
  readonly paymentMethod: string | null;
  readonly paymentMethodLabel: string | null;
  /** When it counts against a spending limit, billing clock, milliseconds. */
  readonly spentAt: number;
  readonly event: Omit<NewEvent, "data">;
  readonly notification: Notification;
}

/**
 * Fulfills a leased purchase in one statement, on PostgreSQL: what the steps of `fulfillPurchase` do.
 *
 * @param now the billing clock, milliseconds
 * @returns the purchase as it is now; `null` if another worker has taken over
 */
export async function fulfillAtOnce(
  { database, seller }: Issuer,
  lease: PurchaseRow,
  fulfillment: Fulfillment,
  now: number,
): Promise<PurchaseRecord | null> {
  const [fulfilled] = await fulfill(database, fulfillmentOf(lease, fulfillment, sellerJson(seller), now));
  return fulfilled ?? null;
}

/** The values of `fulfill`. */
function fulfillmentOf(lease: PurchaseRow, fulfillment: Fulfillment, seller: string | null, now: number) {
  const { organization_id: organizationId, id, epoch, state } = lease;
  const { licenses, paymentMethod, paymentMethodLabel, spentAt, event, notification } = fulfillment;
  const { id: queuedId, payload_json: payload } = outboxRow(notification, now);
  return {
    ...{ organizationId, id, epoch, state, licenses, paymentMethod, paymentMethodLabel, seller, spentAt, now },
    ...{ eventAt: event.at, eventType: event.type, actor: event.actor, queuedId, payload },
  };
}

const fulfill = preparedStatement<ReturnType<typeof fulfillmentOf>, PurchaseRecord>(
  (value) => sql<PurchaseRecord>`
    with moved as (
      update purchases set state = 'fulfilled', spent_at = ${value("spentAt")}, completed_at = ${value("now")},
        next_check_at = null, lease_until = 0
      where organization_id = ${value("organizationId")} and id = ${value("id")} and epoch = ${value("epoch")}
        and state = ${value("state")}
      returning *
    ), counted as (
      update subscriptions set licenses = licenses + ${value("licenses")}::bigint,
        reduction = reduction + ${value("licenses")}::bigint,
        version = version + 1, receipt_count = receipt_count + 1, event_count = event_count + 1,
        unpaid_renewal = nullif(unpaid_renewal, ${value("id")}::text),
        payment_method = coalesce(payment_method, ${value("paymentMethod")}::text),
        payment_method_label = case when payment_method is null then ${value("paymentMethodLabel")}::text else payment_method_label end
      where organization_id = ${value("organizationId")} and exists (select 1 from moved)
      returning organization_id, licenses, used, reduction, receipt_count, event_count
    ), issued as (
      insert into receipts (organization_id, number, purchase_id, issued_at, licenses_after, seller_json, buyer_json, organization_name)
      select organization_id, receipt_count, ${value("id")}::text, ${value("now")}::bigint, licenses, ${value("seller")}::text,
        organizations.billing_json, organizations.name
      from counted join organizations on organizations.id = ${value("organizationId")}
    ), charged as (
      insert into ledger (organization_id, purchase_id, kind, amount, currency, at)
      select counted.organization_id, id, 'charge', total, currency, ${value("now")}::bigint from counted, moved
    ), recorded as (
      insert into events (organization_id, number, at, type, actor, purchase_id, data_json)
      select organization_id, event_count, ${value("eventAt")}::bigint, ${value("eventType")}::text,
        ${value("actor")}::text, ${value("id")}::text,
        json_strip_nulls(json_build_object('licensesAfter', licenses, 'receipt', receipt_count,
          'reduction', case when ${value("licenses")}::bigint > 0 then reduction end))::text
      from counted
    ), queued as (
      insert into outbox (organization_id, id, payload_json, created_at)
      select organization_id, ${value("queuedId")}::text, ${value("payload")}::text, ${value("now")}::bigint from counted
    ), followed as (
      update provider_objects set check_at = 0 where organization_id = ${value("organizationId")}
        and kind = 'subscription' and ${value("licenses")}::bigint > 0 and exists (select 1 from counted)
    )
    select moved.*, counted.receipt_count as receipt_number, counted.licenses as licenses_after,
      null::bigint as credit_note_number, null::bigint as refunded_at, counted.licenses as organization_licenses,
      counted.used as organization_used, (
        select sequence from purchases where organization_id = ${value("organizationId")} and kind = 'purchase'
        order by sequence desc limit 1) as newest_sequence
    from moved, counted`,
);
