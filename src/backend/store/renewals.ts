import type { Kysely } from "kysely";
import { money } from "../../billing/money.ts";
import { PENDING_STATES } from "../../billing/purchase.ts";
import type { Price } from "../../billing/quote.ts";
import { graceEnd, priceRenewal, renewalDue } from "../../billing/renewal.ts";
import { termAt } from "../../billing/term.ts";
import { nextCheck } from "../purchases/schedule.ts";
import { UNTRIED } from "./acceptance.ts";
import { recordEvent } from "./records.ts";
import type { Database, PurchaseRow } from "./schema.ts";
import { BACKEND } from "./settlement.ts";
import { type OrganizationSubscription, readSubscription, termRuleOf } from "./subscriptions.ts";

/** How long a renewal waits for purchases of the old term to come to their end (purchase.md, Ends of time). */
export const HELD_UP_MS = 3_600_000;

/** The states of a purchase that a renewal waits for; one that an operator has to look at may take days. */
const OPEN_STATES = PENDING_STATES.filter((state) => state !== "needs_review");

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
export async function purchasesOpen(database: Kysely<Database>, organizationId: number): Promise<string[]> {
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
