import { setImmediate } from "node:timers/promises";
import type { Kysely } from "kysely";
import { money } from "../../billing/money.ts";
import type { Price } from "../../billing/quote.ts";
import { gracePeriodEnd, nextRetryAt, priceRenewal, renewalDueAt } from "../../billing/renewal.ts";
import { termAt } from "../../billing/term.ts";
import type { Database, OrganizationSubscription, PurchaseKey, PurchaseRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { BACKEND, recordEvent } from "../events/events.ts";
import { chargeStepOf } from "../payments/gateway.ts";
import { UNCHARGED } from "../purchases/accept.ts";
import { checkDeclinedAt, resumeDeclined } from "../purchases/approval.ts";
import { newPurchaseId } from "../purchases/leases.ts";
import { beginAttempt } from "../purchases/pay.ts";
import { advanceOrLog, advancePurchase } from "../purchases/processor.ts";
import { nextCheck } from "../purchases/schedule.ts";
import { readPurchase } from "../purchases/store.ts";
import { isRenewalDue, OPEN_STATES, readSubscription, termRuleOf } from "../subscriptions/store.ts";
import { followSubscription, isBetweenTerms } from "./atProvider.ts";

/**
 * Renews a subscription for every term that is due, in order, each only once the one before is paid. Advances the purchases
 * of the old term first, which delay a renewal by an hour at most (src/backend/README.md, Renewals). Safe to call for any
 * organization, at any time, from any number of workers.
 */
export async function renewDue(deps: BackendDeps, organizationId: number): Promise<void> {
  for (;;) {
    // Many terms may be due, and SQLite blocks the event loop that serves requests.
    await setImmediate();
    const subscription = await readSubscription(deps.database, organizationId);
    if (!isRenewalDue(subscription, deps.clock.now())) return;
    for (const open of await openPurchases(deps.database, organizationId)) await advanceOrLog(deps, open);
    // The renewal may have been made and paid in what a restore lost.
    if (deps.isHeld?.()) return;
    const renewal = await makeRenewal(deps.database, organizationId, {
      purchaseId: newPurchaseId(organizationId, deps.random),
      now: deps.clock.now(),
      graceDays: deps.renewalGraceDays,
      chargeStep: (currency) => chargeStepOf(deps.gateway, currency),
      reach: deps.reach,
    });
    if (!renewal) return;
    deps.reach("B12");
    await advancePurchase(deps, renewal);
  }
}

/**
 * Makes the renewals that are due, and returns the subscription in its current term.
 *
 * @param before the subscription as it was read for this request
 * @param now the billing clock, milliseconds
 * @throws BackendError `not_found`; `unavailable` while purchases of the old term delay the renewal
 */
export async function readRenewed(
  deps: BackendDeps,
  before: OrganizationSubscription,
  now: number,
): Promise<OrganizationSubscription> {
  const { organization_id: organizationId } = before;
  if (before.provider_subscription !== null) return readFollowed(deps, before, now);
  if (!isRenewalDue(before, now)) return before;
  await renewDue(deps, organizationId);
  const after = await readSubscription(deps.database, organizationId);
  if (isRenewalDue(after, now)) throw renewalInProgress();
  return after;
}

/** Waits for a renewal that the provider makes. */
async function readFollowed(
  deps: BackendDeps,
  before: OrganizationSubscription,
  now: number,
): Promise<OrganizationSubscription> {
  if (!isBetweenTerms(before, now)) return before;
  try {
    await followSubscription(deps, before.organization_id);
  } catch (error) {
    deps.log(`subscription of organization ${before.organization_id} at the provider`, error);
  }
  const after = await readSubscription(deps.database, before.organization_id);
  if (isBetweenTerms(after, now)) throw renewalInProgress();
  return after;
}

/** The problem of a request that has to wait for a renewal. */
export function renewalInProgress(): BackendError {
  const message = "The renewal of the subscription is being processed; try again in a moment";
  return new BackendError("unavailable", message, {}, { "Retry-After": "5" });
}

/**
 * Goes on with a declined purchase that is due, which its person may have paid at their bank meanwhile; otherwise retries a
 * renewal with the organization's current payment method when that is due. Another worker may have done so since it was listed.
 */
export async function retryRenewal(deps: BackendDeps, { organization_id, id }: PurchaseKey): Promise<void> {
  const renewal = await readPurchase(deps.database, organization_id, id);
  const now = deps.clock.now();
  if (renewal.state !== "declined" || renewal.next_check_at === null || renewal.next_check_at > now) return;
  if (await resumeDeclined(deps, renewal)) return;
  const retryAt = nextRetryOf(renewal);
  if (retryAt === null || retryAt > now) return checkDeclinedAt(deps.database, renewal, retryAt);
  const subscription = await readSubscription(deps.database, renewal.organization_id);
  const { payment_method: paymentMethod, payment_method_label: label } = subscription;
  const attempt = { paymentMethod, label, byPerson: false, returnUrl: null, actor: BACKEND };
  const times = { now, machine: deps.now(), deadline: Number.POSITIVE_INFINITY };
  if (await beginAttempt(deps.database, renewal, attempt, times)) await advancePurchase(deps, renewal);
}

/** When a declined renewal is retried next after it was declined, billing clock; a purchase never is. */
function nextRetryOf({ kind, accepted_at, completed_at, time_zone }: PurchaseRow): number | null {
  return kind === "renewal" ? nextRetryAt(accepted_at, completed_at ?? accepted_at, time_zone) : null;
}

/** How long a renewal waits for purchases of the old term to settle (src/backend/README.md, Renewals). */
export const MAX_RENEWAL_DELAY_MS = 3_600_000;

/** How to make a renewal. */
export interface RenewalOptions {
  readonly purchaseId: string;
  /** The billing clock, milliseconds. */
  readonly now: number;
  /** How many calendar days licenses stay usable while it is unpaid. */
  readonly graceDays: number;
  /** The provider's smallest step in minor units. */
  chargeStep(currency: string): number;
  reach(point: string): void;
}

/**
 * Makes the renewal that is due: moves the term, applies a scheduled reduction and records the purchase to charge, in one
 * transaction that locks the subscription, so that exactly one worker makes it (src/billing/README.md, Renewal). While a
 * renewal is unpaid, no further one is made.
 *
 * @returns the renewal to charge; `null` if none is due, or purchases of the old term still delay it
 * @throws BillingError `amount_out_of_range`
 */
export async function makeRenewal(
  database: Kysely<Database>,
  organizationId: number,
  options: RenewalOptions,
): Promise<PurchaseRow | null> {
  return inTransaction(database, async (tx) => {
    if (!(await lockDue(tx, organizationId, options.now))) return null;
    const subscription = await readSubscription(tx, organizationId);
    const mayWait = options.now < (subscription.renew_at ?? 0) + MAX_RENEWAL_DELAY_MS;
    if (mayWait && (await openPurchases(tx, organizationId)).length > 0) return null;
    const price = priceOfNext(subscription, options);
    await moveTerm(tx, subscription, price, options.purchaseId);
    const renewal = await insertRenewal(tx, subscription, price, options);
    await recordRenewal(tx, subscription, renewal, price);
    options.reach("B0");
    return renewal;
  });
}

/** Locks a subscription without changing it if its renewal is due. Returns whether it is. */
async function lockDue(tx: Kysely<Database>, organizationId: number, now: number): Promise<boolean> {
  const locked = await tx
    .updateTable("subscriptions")
    .set((expression) => ({ renew_at: expression.ref("renew_at") }))
    .where("organization_id", "=", organizationId)
    .where("renew_at", "<=", now)
    .where("unpaid_renewal", "is", null)
    .executeTakeFirst();
  return Number(locked.numUpdatedRows) === 1;
}

function priceOfNext(row: OrganizationSubscription, { chargeStep }: RenewalOptions): Price {
  return priceRenewal(
    {
      unitPrice: money(row.unit_price, row.currency),
      taxRate: row.tax_rate,
      term: termAt(termRuleOf(row), row.term_index + 1),
      purchased: row.licenses,
      used: row.used,
      reduction: reductionOfNext(row),
    },
    chargeStep(row.currency),
  );
}

/** The reduction that applies to the next renewal. A missed term can be older than the reduction. */
function reductionOfNext({ reduction, reduction_term, term_index }: OrganizationSubscription): number | null {
  return (reduction_term ?? 0) <= term_index + 1 ? reduction : null;
}

async function moveTerm(
  tx: Kysely<Database>,
  row: OrganizationSubscription,
  { licenses }: Price,
  purchaseId: string,
): Promise<void> {
  const index = row.term_index + 1;
  await tx
    .updateTable("subscriptions")
    .set({
      term_index: index,
      renew_at: renewalDueAt(termRuleOf(row), index, row.time_zone),
      licenses,
      ...(reductionOfNext(row) !== null && { reduction: null, reduction_term: null }),
      unpaid_renewal: purchaseId,
      version: row.version + 1,
      purchase_count: row.purchase_count + 1,
    })
    .where("organization_id", "=", row.organization_id)
    .execute();
}

async function insertRenewal(
  tx: Kysely<Database>,
  row: OrganizationSubscription,
  price: Price,
  { purchaseId, now, graceDays }: RenewalOptions,
): Promise<PurchaseRow> {
  return tx
    .insertInto("purchases")
    .values({
      ...UNCHARGED,
      organization_id: row.organization_id,
      id: purchaseId,
      sequence: row.purchase_count + 1,
      kind: "renewal",
      state: "accepted",
      epoch: 0,
      lease_until: 0,
      licenses: price.licenses,
      total: price.total.amount,
      currency: price.total.currency,
      price_json: JSON.stringify(price),
      time_zone: row.time_zone,
      note: noteOf(row, price),
      payment_method: row.payment_method,
      payment_method_label: row.payment_method_label,
      customer_id: row.customer_id,
      accepted_at: now,
      spent_at: now,
      next_check_at: nextCheck(now, now),
      renewal_term: row.term_index + 1,
      grace_until: gracePeriodEnd(price.term.start, graceDays, row.time_zone),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** The receipt's note if more licenses are in use than the reduction allows (src/billing/README.md, Reductions). */
function noteOf(row: OrganizationSubscription, { licenses }: Price): string | null {
  const reduction = reductionOfNext(row);
  if (reduction === null || licenses === reduction) return null;
  return `The reduction to ${reduction} became ${licenses}, because ${row.used} licenses were in use on the renewal date.`;
}

async function recordRenewal(
  tx: Kysely<Database>,
  row: OrganizationSubscription,
  renewal: PurchaseRow,
  { term: { start, renewalDate }, licenses, total }: Price,
): Promise<void> {
  const about = {
    organizationId: row.organization_id,
    at: renewal.accepted_at,
    actor: BACKEND,
    purchaseId: renewal.id,
  };
  const made = { start, renewalDate, licenses, total: total.amount, currency: total.currency };
  await recordEvent(tx, { ...about, type: "renewal.made", data: made });
  const asked = reductionOfNext(row);
  if (asked === null) return;
  const data = { from: row.licenses, asked, to: licenses };
  await recordEvent(tx, { ...about, type: "reduction.applied", data });
}

/** Lists the purchases of an organization that are in progress or wait for a person, without renewals. */
async function openPurchases(database: Kysely<Database>, organizationId: number): Promise<PurchaseKey[]> {
  return (
    database
      .selectFrom("purchases")
      .select(["organization_id", "id"])
      .where("organization_id", "=", organizationId)
      .where("kind", "=", "purchase")
      // Lets the index of open purchases answer.
      .where("completed_at", "is", null)
      .where("state", "in", OPEN_STATES)
      .orderBy("sequence")
      .execute()
  );
}
