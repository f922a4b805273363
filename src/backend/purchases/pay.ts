import { setTimeout as delay } from "node:timers/promises";
import type { Kysely } from "kysely";
import { money } from "../../billing/money.ts";
import { assertWithinBudget, tellBudget } from "../control/budget.ts";
import type { ApiTokenRow, Database, PurchaseRow, SubscriptionRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { recordEvent } from "../events/events.ts";
import { assertWithinSpendLimit, isSameSpendingMonth } from "../identity/spending.ts";
import type { PaymentChoice, PaymentGateway } from "../payments/gateway.ts";
import { UNSPOILED } from "./keys.ts";
import { takenOver } from "./leases.ts";
import { deadlineOf } from "./schedule.ts";
import { isPayableAgain, type PurchaseRecord, readPurchase } from "./store.ts";
import { mustBeApprovedNow, waitForApproval } from "./threshold.ts";

/** How often to retry while another worker has the lease: a check or a cancellation takes a moment. */
export const MAX_TRIES = 20;

/** The pause between two tries, milliseconds. */
export const RETRY_PAUSE_MS = 100;

/**
 * Makes sure that something can be bought or paid now.
 *
 * @throws BackendError `unavailable` while buying is on hold
 */
export function assertNotHeld({ isHeld }: Pick<BackendDeps, "isHeld">): void {
  if (!isHeld?.()) return;
  const message = "Buying is on hold while payments are checked; try again later";
  throw new BackendError("unavailable", message, {}, { "Retry-After": HELD_RETRY_S });
}

/** Longer than a command of ours tries: it ends at once, with its key kept. */
const HELD_RETRY_S = "300";

/**
 * Whether a person can pay a purchase on its page now, for the first time or again.
 *
 * @param now the billing clock, milliseconds
 */
export function isAsked(purchase: PurchaseRecord, now: number): boolean {
  const waits = purchase.state === "requires_approval" && now < deadlineOf(purchase);
  return waits || isPayableAgain(purchase, now);
}

/** The payment methods to choose from, the organization's own first. */
export function paymentChoicesFor(
  gateway: Pick<PaymentGateway, "choices" | "describe">,
  { payment_method: stored, payment_method_label: label }: StoredMethod,
): readonly PaymentChoice[] {
  const others = gateway.choices().filter(({ id }) => id !== stored);
  return stored === null ? others : [{ id: stored, label: gateway.describe(stored, label).label }, ...others];
}

/** The payment method of an organization. */
type StoredMethod = Pick<SubscriptionRow, "payment_method" | "payment_method_label">;

/**
 * Begins another attempt to pay a purchase, unless it has changed since it was read. Advancing the purchase is left to the
 * caller.
 *
 * @throws BackendError `not_payable`, `spend_limit_exceeded`, `budget_exceeded`
 */
export async function payNow(deps: BackendDeps, purchase: PurchaseRecord, attempt: NextAttempt): Promise<void> {
  if (purchase.state === "declined" && !isPayableAgain(purchase, deps.clock.now())) throw notPayable(purchase.id);
  const deadline = deadlineOf(purchase);
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const times = { now: deps.clock.now(), machine: deps.now(), deadline };
    if (await beginAttempt(deps.database, purchase, attempt, times)) return;
    const found = await readPurchase(deps.database, purchase.organization_id, purchase.id);
    if (found.state !== purchase.state || found.confirm_count !== purchase.confirm_count) return;
    await delay(RETRY_PAUSE_MS);
  }
}

/** Another attempt to pay a purchase. */
export interface NextAttempt {
  /** `null` if the organization has none: then a person has to choose one. */
  readonly paymentMethod: string | null;
  /** What was stored with it. */
  readonly label: string | null;
  /** Whether a person makes it on the payment page, which approves the payment. */
  readonly byPerson: boolean;
  /** Where the person comes back to from their bank; `null` without a person. */
  readonly returnUrl: string | null;
  /** Who makes it, for the audit log. */
  readonly actor: string;
  /** The user who makes it, or made the token that does; left out on a payment page and in the background. */
  readonly payerId?: number;
  /** Whether it uses up the card that the person entered on a page of the provider. */
  readonly usesCardEntry?: boolean;
  /** Whether the payment has taken the money already, so that nobody can prevent it any more. */
  readonly isPaid?: boolean;
}

/** The time of an attempt and its deadline (billing clock), and the machine's clock; milliseconds. */
export interface AttemptTimes extends LeasedAttemptTimes {
  readonly machine: number;
}

interface LeasedAttemptTimes {
  readonly now: number;
  readonly deadline: number;
}

/** The problem of a purchase that can no longer be paid. */
export function notPayable(purchaseId: string): BackendError {
  return new BackendError("not_payable", `Purchase ${purchaseId} can no longer be paid`);
}

/**
 * Begins the next attempt to pay a waiting or declined purchase, in one transaction that freezes what will be sent. Of any
 * number of concurrent attempts exactly one begins. A declined purchase has released its reservation, so its spending limit
 * and the budget are checked again and the version changes; if another administrator has to approve it now, it waits for
 * that instead. A waiting purchase keeps its reservation in the month it was accepted in; in another month the limit is
 * checked again and the purchase counts there.
 *
 * @returns whether the attempt began; `false` if the purchase has changed or is leased
 * @throws BackendError `not_payable`, `spend_limit_exceeded`, `budget_exceeded`
 */
export async function beginAttempt(
  database: Kysely<Database>,
  purchase: PurchaseRow,
  attempt: NextAttempt,
  times: AttemptTimes,
): Promise<boolean> {
  return (await begin(database, purchase, attempt, times)) !== null;
}

/**
 * Begins the next attempt to pay a purchase that a worker has leased, which keeps its lease.
 *
 * @throws StaleLease; BackendError `not_payable`, `spend_limit_exceeded`
 */
export async function beginLeased(
  database: Kysely<Database>,
  lease: PurchaseRow,
  attempt: NextAttempt,
  times: LeasedAttemptTimes,
): Promise<PurchaseRow> {
  const begun = await begin(database, lease, attempt, { ...times, machine: null });
  if (begun === null) throw takenOver(lease);
  return begun;
}

async function begin(
  database: Kysely<Database>,
  purchase: PurchaseRow,
  attempt: NextAttempt,
  times: BeginTimes,
): Promise<PurchaseRow | null> {
  if (times.now >= times.deadline) throw notPayable(purchase.id);
  return inTransaction(database, async (tx) => {
    const begun = await moveToCharging(tx, purchase, attempt, times);
    if (!begun) return null;
    if (purchase.state === "declined") {
      const threshold = await reserveAgain(tx, purchase, times.now);
      if (!attempt.isPaid && (await mustBeApprovedNow(tx, purchase, threshold, times.now))) {
        return waitForApproval(tx, begun, attempt, times.now);
      }
    } else await reserveInNewMonth(tx, purchase, times.now);
    await recordEvent(tx, {
      organizationId: purchase.organization_id,
      at: times.now,
      type: "payment.started",
      actor: attempt.actor,
      purchaseId: purchase.id,
      data: { attempt: purchase.confirm_count + 1, paymentMethod: attempt.paymentMethod },
    });
    return begun;
  });
}

/** The times of an attempt; `machine` is `null` for the worker that has the lease. */
type BeginTimes = LeasedAttemptTimes & { readonly machine: number | null };

/** Compare-and-set on the state, the number of attempts and the lease that the caller read. */
async function moveToCharging(
  tx: Kysely<Database>,
  { organization_id, id, state, epoch, confirm_count: attempts }: PurchaseRow,
  { paymentMethod, label, byPerson, returnUrl, usesCardEntry = false }: NextAttempt,
  { now, machine }: BeginTimes,
): Promise<PurchaseRow | undefined> {
  return tx
    .updateTable("purchases")
    .set((expression) => ({
      state: "charging",
      epoch: machine === null ? epoch : expression("epoch", "+", 1),
      confirm_count: attempts + 1,
      // Without a payment, another one is made, for the customer that the organization has then.
      customer_id: expression
        .case()
        .when("payment_id", "is", null)
        .then(null)
        .else(expression.ref("customer_id"))
        .end(),
      payment_method: paymentMethod,
      payment_method_label: label,
      // The card page leads back there, too.
      ...(byPerson && { return_url: returnUrl }),
      ...(usesCardEntry && { card_entry: null }),
      ...UNSPOILED,
      by_person: byPerson ? 1 : 0,
      on_decline: state === "requires_approval" ? state : "declined",
      failure_code: null,
      failure_message: null,
      completed_at: null,
      attempted_at: now,
      spent_at: now,
      next_check_at: now,
    }))
    .where("organization_id", "=", organization_id)
    .where("id", "=", id)
    .where("state", "=", state)
    .where("confirm_count", "=", attempts)
    .where((expression) =>
      machine === null ? expression("epoch", "=", epoch) : expression("lease_until", "<=", machine),
    )
    .returningAll()
    .executeTakeFirst();
}

/**
 * Changes the version, which locks the subscription, so that no other purchase is accepted meanwhile. An unpaid renewal has
 * to be paid first; renewals count against no spending limit and no budget.
 *
 * @returns the organization's threshold for approvals; `null` without one, and for a renewal
 */
async function reserveAgain(tx: Kysely<Database>, purchase: PurchaseRow, now: number): Promise<number | null> {
  const { organization_id: organizationId } = purchase;
  const subscription = await tx
    .updateTable("subscriptions")
    .set((expression) => ({ version: expression("version", "+", 1) }))
    .where("organization_id", "=", organizationId)
    .returningAll()
    .executeTakeFirstOrThrow();
  if (purchase.kind === "renewal") return null;
  if (subscription.unpaid_renewal !== null) throw notPayable(purchase.id);
  const later = await tx
    .selectFrom("purchases")
    .select("id")
    .where("organization_id", "=", organizationId)
    .where("kind", "=", "purchase")
    .where("sequence", ">", purchase.sequence)
    .executeTakeFirst();
  if (later) throw notPayable(purchase.id);
  await assertAffordable(tx, purchase, now);
  const { id, total, currency, time_zone: timeZone, accepted_at: acceptedAt } = purchase;
  const spending = { id, total: money(total, currency), timeZone, acceptedAt };
  const spent = await assertWithinBudget(tx, subscription, spending);
  if (spent) await tellBudget(tx, subscription, spent, now);
  return subscription.approval_above;
}

/**
 * Checks the limit of a month in which a waiting purchase has no reservation. Locks the subscription, as orders do.
 *
 * @throws BackendError `spend_limit_exceeded`
 */
export async function reserveInNewMonth(tx: Kysely<Database>, purchase: PurchaseRow, now: number): Promise<void> {
  if (isSameSpendingMonth(purchase.spent_at, now, purchase.time_zone)) return;
  await tx
    .updateTable("subscriptions")
    .set((expression) => ({ version: expression.ref("version") }))
    .where("organization_id", "=", purchase.organization_id)
    .execute();
  await assertAffordable(tx, purchase, now);
}

async function assertAffordable(tx: Kysely<Database>, purchase: PurchaseRow, now: number): Promise<void> {
  const { id: purchaseId, licenses } = purchase;
  const wanted = { purchaseId, licenses, total: money(purchase.total, purchase.currency) };
  await assertWithinSpendLimit(tx, await buyerToken(tx, purchase), wanted, { timeZone: purchase.time_zone, at: now });
}

async function buyerToken(tx: Kysely<Database>, purchase: PurchaseRow): Promise<ApiTokenRow | null> {
  if (purchase.buyer_token_id === null) return null;
  return tx
    .selectFrom("api_tokens")
    .selectAll()
    .where("organization_id", "=", purchase.organization_id)
    .where("id", "=", purchase.buyer_token_id)
    .executeTakeFirstOrThrow();
}
