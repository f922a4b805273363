import { setImmediate } from "node:timers/promises";
import type { Kysely } from "kysely";
import { money } from "../../billing/money.ts";
import type { Price } from "../../billing/quote.ts";
import { graceEnd, priceRenewal, renewalDue } from "../../billing/renewal.ts";
import { termAt } from "../../billing/term.ts";
import type { Database, PurchaseRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../errors.ts";
import { BACKEND, recordEvent } from "../events/events.ts";
import { UNTRIED } from "../purchases/accept.ts";
import { beginAttempt } from "../purchases/pay.ts";
import { advancePurchase, carryOn } from "../purchases/processor.ts";
import { nextCheck } from "../purchases/schedule.ts";
import { findPurchase } from "../purchases/store.ts";
import {
  isRenewalDue,
  OPEN_STATES,
  type OrganizationSubscription,
  readSubscription,
  termRuleOf,
} from "../subscriptions/store.ts";

/**
 * Renews a subscription for every term that is due, one after the other and each only when the one before is paid. First
 * carries on the purchases of the old term, which hold a renewal up for an hour at most (purchase.md, Ends of time). Safe
 * to call for any organization, at any time, from any number of workers.
 */
export async function renewDue(deps: BackendDeps, organizationId: number): Promise<void> {
  for (;;) {
    // Many terms may be due, and SQLite answers without a turn of the event loop, which requests wait for.
    await setImmediate();
    const subscription = await readSubscription(deps.database, organizationId);
    if (!isRenewalDue(subscription, deps.clock.now())) return;
    for (const purchaseId of await purchasesOpen(deps.database, organizationId)) await carryOn(deps, purchaseId);
    const renewal = await makeRenewal(deps.database, organizationId, {
      purchaseId: `pur_${deps.random(12).toString("hex")}`,
      now: deps.clock.now(),
      graceDays: deps.renewalGraceDays,
      chargeStep: (currency) => deps.gateway.chargeStep(currency),
      reach: deps.reach,
    });
    if (!renewal) return;
    deps.reach("B12");
    await advancePurchase(deps, renewal.id);
  }
}

/**
 * The subscription of an organization, renewed as far as it is due: for what is decided at an instant, in the term of then.
 *
 * @param now the billing clock, milliseconds
 * @throws ProblemError `not_found`; `unavailable` while purchases of the old term hold the renewal up
 */
export async function readRenewed(
  deps: BackendDeps,
  organizationId: number,
  now: number,
): Promise<OrganizationSubscription> {
  const before = await readSubscription(deps.database, organizationId);
  if (!isRenewalDue(before, now)) return before;
  await renewDue(deps, organizationId);
  const after = await readSubscription(deps.database, organizationId);
  if (isRenewalDue(after, now)) throw renewalUnderWay();
  return after;
}

/** The refusal of what has to wait for a renewal. */
export function renewalUnderWay(): ProblemError {
  const message = "The renewal of the subscription is being processed; ask again in a moment";
  return new ProblemError("unavailable", message, {}, { "Retry-After": "5" });
}

/** Tries a failed renewal again with what the organization pays with now (details.md, 30). */
export async function retryRenewal(deps: BackendDeps, purchaseId: string): Promise<void> {
  const renewal = await findPurchase(deps.database, purchaseId);
  if (renewal?.state !== "declined") return;
  const { payment_method: paymentMethod } = await readSubscription(deps.database, renewal.organization_id);
  const attempt = { paymentMethod, byPerson: false, actor: BACKEND };
  const times = { now: deps.clock.now(), machine: deps.now(), deadline: Number.POSITIVE_INFINITY };
  if (await beginAttempt(deps.database, renewal, attempt, times)) await advancePurchase(deps, purchaseId);
}

/** How long a renewal waits for purchases of the old term to come to their end (purchase.md, Ends of time). */
export const HELD_UP_MS = 3_600_000;

/** What a renewal is made with. */
export interface RenewalMaking {
  readonly purchaseId: string;
  /** The billing clock, milliseconds. */
  readonly now: number;
  /** How many calendar days licenses stay usable while it is not paid. */
  readonly graceDays: number;
  /** The provider's smallest step in minor units. */
  chargeStep(currency: string): number;
  reach(point: string): void;
}

/**
 * Makes the renewal of an organization that is due: the term moves on, the licenses become what was scheduled for it, and
 * the recurring total is owed, in one transaction that locks the subscription, so that of any number of workers one makes
 * it (billing-rules.md, Renewal). While one renewal is not paid no further one is made.
 *
 * @returns the renewal, to be charged; `null` where none is due, or purchases of the old term hold it up for now
 * @throws BillingError `amount_out_of_range`
 */
export async function makeRenewal(
  database: Kysely<Database>,
  organizationId: number,
  making: RenewalMaking,
): Promise<PurchaseRow | null> {
  return database.transaction().execute(async (tx) => {
    if (!(await lockDue(tx, organizationId, making.now))) return null;
    const subscription = await readSubscription(tx, organizationId);
    const isPatient = making.now < (subscription.renew_at ?? 0) + HELD_UP_MS;
    if (isPatient && (await purchasesOpen(tx, organizationId)).length > 0) return null;
    const price = priceOfNext(subscription, making);
    await moveTerm(tx, subscription, price, making.purchaseId);
    const renewal = await insertRenewal(tx, subscription, price, making);
    await recordRenewal(tx, subscription, renewal, price);
    making.reach("B0");
    return renewal;
  });
}

/** Locks a subscription whose renewal is due, without changing it; gives whether it is. */
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

function priceOfNext(row: OrganizationSubscription, { chargeStep }: RenewalMaking): Price {
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

/** What is scheduled for the term that the next renewal begins. A term that was missed may be older than a reduction. */
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
      renew_at: renewalDue(termRuleOf(row), index, row.time_zone),
      licenses,
      ...(reductionOfNext(row) !== null && { reduction: null, reduction_term: null }),
      unpaid_renewal: purchaseId,
      version: row.version + 1,
    })
    .where("organization_id", "=", row.organization_id)
    .execute();
}

async function insertRenewal(
  tx: Kysely<Database>,
  row: OrganizationSubscription,
  price: Price,
  { purchaseId, now, graceDays }: RenewalMaking,
): Promise<PurchaseRow> {
  return tx
    .insertInto("purchases")
    .values({
      ...UNTRIED,
      id: purchaseId,
      organization_id: row.organization_id,
      kind: "renewal",
      licenses: price.licenses,
      total: price.total.amount,
      currency: price.total.currency,
      price_json: JSON.stringify(price),
      note: noteOf(row, price),
      payment_method: row.payment_method,
      accepted_at: now,
      spent_at: now,
      next_check_at: nextCheck(now, now),
      renewal_term: row.term_index + 1,
      grace_until: graceEnd(price.term.start, graceDays, row.time_zone),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Tells where a reduction could not be kept (details.md, 31). */
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

/** The purchases of an organization that are under way or wait for a person. Its renewals are not among them. */
async function purchasesOpen(database: Kysely<Database>, organizationId: number): Promise<string[]> {
  const rows = await database
    .selectFrom("purchases")
    .select("id")
    .where("organization_id", "=", organizationId)
    .where("kind", "=", "purchase")
    .where("state", "in", OPEN_STATES)
    .orderBy("sequence")
    .execute();
  return rows.map((row) => row.id);
}

/** The organizations whose renewal is due, and whose last one is paid. */
export async function subscriptionsDue(database: Kysely<Database>, billingNow: number): Promise<number[]> {
  const rows = await database
    .selectFrom("subscriptions")
    .select("organization_id")
    .where("renew_at", "<=", billingNow)
    .where("unpaid_renewal", "is", null)
    .orderBy("renew_at")
    .execute();
  return rows.map((row) => row.organization_id);
}

/** The failed renewals that are to be tried again by themselves now. */
export async function retriesDue(database: Kysely<Database>, billingNow: number): Promise<string[]> {
  const rows = await database
    .selectFrom("purchases")
    .select("id")
    .where("next_check_at", "<=", billingNow)
    .where("kind", "=", "renewal")
    .where("state", "=", "declined")
    .orderBy("next_check_at")
    .execute();
  return rows.map((row) => row.id);
}
