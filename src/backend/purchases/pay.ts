import { setTimeout as delay } from "node:timers/promises";
import type { Kysely } from "kysely";
import { money } from "../../billing/money.ts";
import type { ApiTokenRow, Database, PurchaseRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../errors.ts";
import { recordEvent } from "../events/events.ts";
import { assertWithinSpendLimit, isSameSpendingMonth } from "../identity/spending.ts";
import type { PaymentChoice, PaymentGateway } from "../payments/gateway.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { deadlineOf } from "./schedule.ts";
import { isPayableAgain, type PurchaseRecord, readPurchase } from "./store.ts";

/** Somebody who is at work on a purchase that waits (a look of the sweep, a cancel) is done in a moment. */
const TRIES = 20;

const PAUSE_MS = 100;

/**
 * Whether a person is asked to pay a purchase on its page now, or may try again there.
 *
 * @param now the billing clock, milliseconds
 */
export function isAsked(purchase: PurchaseRecord, now: number): boolean {
  const waits = purchase.state === "requires_approval" && now < deadlineOf(purchase, purchase.time_zone);
  return waits || isPayableAgain(purchase, now);
}

/** What a person may choose to pay with, the organization's own payment method first. */
export function cardsFor(gateway: PaymentGateway, stored: string | null): readonly PaymentChoice[] {
  const others = gateway.choices().filter(({ id }) => id !== stored);
  return stored === null ? others : [{ id: stored, label: gateway.describe(stored).label }, ...others];
}

/**
 * Begins another attempt to pay a purchase, unless it has moved on since it was read; the work itself is left to whoever
 * carries the purchase on.
 *
 * @throws ProblemError `not_payable`, `spend_limit_exceeded`
 */
export async function payNow(deps: BackendDeps, purchase: PurchaseRecord, attempt: NextAttempt): Promise<void> {
  if (purchase.state === "declined" && !isPayableAgain(purchase, deps.clock.now())) throw notPayable(purchase.id);
  const deadline = deadlineOf(purchase, purchase.time_zone);
  for (let tries = 0; tries < TRIES; tries += 1) {
    const times = { now: deps.clock.now(), machine: deps.now(), deadline };
    if (await beginAttempt(deps.database, purchase, attempt, times)) return;
    const found = await readPurchase(deps.database, purchase.organization_id, purchase.id);
    if (found.state !== purchase.state || found.confirm_count !== purchase.confirm_count) return;
    await delay(PAUSE_MS);
  }
}

/** Another attempt to pay a purchase: with what, and who makes it. */
export interface NextAttempt {
  /** `null` where the organization has nothing to pay with: then a person is asked. */
  readonly paymentMethod: string | null;
  /** A person makes it on the payment page, and approves it by that. */
  readonly byPerson: boolean;
  /** Who makes it, for the audit log. */
  readonly actor: string;
}

/** When an attempt is made, and until when it may be (both billing clock), and the machine's clock; milliseconds. */
export interface AttemptTimes {
  readonly now: number;
  readonly deadline: number;
  readonly machine: number;
}

/** A purchase that cannot be paid any more (details.md, 11). */
export function notPayable(purchaseId: string): ProblemError {
  return new ProblemError("not_payable", `Purchase ${purchaseId} cannot be paid any more`);
}

/**
 * Begins the next attempt to pay a purchase that waits for a person, or that was declined: one transaction that freezes
 * what will be sent, so that exactly one attempt is made of any number that come at once. A declined purchase gave back
 * what it had reserved, so its spending limit is checked again and the version changes. One that waits holds what it
 * reserved in the month that it was accepted in; paid in another month, it is checked again and counts there.
 *
 * @returns whether this attempt was begun; `false` when the purchase has moved on or somebody is at work on it
 * @throws ProblemError `not_payable`, `spend_limit_exceeded`
 */
export async function beginAttempt(
  database: Kysely<Database>,
  purchase: PurchaseRow,
  attempt: NextAttempt,
  times: AttemptTimes,
): Promise<boolean> {
  if (times.now >= times.deadline) throw notPayable(purchase.id);
  return database.transaction().execute(async (tx) => {
    const begun = await moveToCharging(tx, purchase, attempt, times);
    if (!begun) return false;
    if (purchase.state === "declined") await reserveAgain(tx, purchase, times.now);
    else await moveSpending(tx, purchase, times.now);
    await recordEvent(tx, {
      organizationId: purchase.organization_id,
      at: times.now,
      type: "payment.started",
      actor: attempt.actor,
      purchaseId: purchase.id,
      data: { attempt: purchase.confirm_count + 1, paymentMethod: attempt.paymentMethod },
    });
    return true;
  });
}

/** Compare-and-set on what the caller saw: its state and its number of attempts. */
async function moveToCharging(
  tx: Kysely<Database>,
  { id, state, confirm_count: attempts }: PurchaseRow,
  { paymentMethod, byPerson }: NextAttempt,
  { now, machine }: AttemptTimes,
): Promise<boolean> {
  const begun = await tx
    .updateTable("purchases")
    .set((expression) => ({
      state: "charging",
      epoch: expression("epoch", "+", 1),
      confirm_count: attempts + 1,
      payment_method: paymentMethod,
      by_person: byPerson ? 1 : 0,
      on_decline: state === "requires_approval" ? state : "declined",
      failure_code: null,
      failure_message: null,
      completed_at: null,
      attempted_at: now,
      spent_at: now,
      next_check_at: now,
    }))
    .where("id", "=", id)
    .where("state", "=", state)
    .where("confirm_count", "=", attempts)
    .where("lease_until", "<=", machine)
    .executeTakeFirst();
  return Number(begun.numUpdatedRows) === 1;
}

/**
 * Changes the version, which locks the subscription: then no other purchase can be accepted meanwhile. Before licenses are
 * bought the renewal is paid; it is nobody's purchase, and counts against no spending limit.
 */
async function reserveAgain(tx: Kysely<Database>, purchase: PurchaseRow, now: number): Promise<void> {
  const { organization_id: organizationId } = purchase;
  const { unpaid_renewal: unpaidRenewal } = await tx
    .updateTable("subscriptions")
    .set((expression) => ({ version: expression("version", "+", 1) }))
    .where("organization_id", "=", organizationId)
    .returning("unpaid_renewal")
    .executeTakeFirstOrThrow();
  if (purchase.kind === "renewal") return;
  if (unpaidRenewal !== null) throw notPayable(purchase.id);
  const later = await tx
    .selectFrom("purchases")
    .select("id")
    .where("organization_id", "=", organizationId)
    .where("kind", "=", "purchase")
    .where("sequence", ">", purchase.sequence)
    .executeTakeFirst();
  if (later) throw notPayable(purchase.id);
  const { time_zone: timeZone } = await readSubscription(tx, organizationId);
  await assertAffordable(tx, purchase, { timeZone, at: now });
}

/** Checks the limit of a month that a waiting purchase has reserved nothing in. Locks the subscription, as orders do. */
async function moveSpending(tx: Kysely<Database>, purchase: PurchaseRow, now: number): Promise<void> {
  const { time_zone: timeZone } = await readSubscription(tx, purchase.organization_id);
  if (isSameSpendingMonth(purchase.spent_at, now, timeZone)) return;
  await tx
    .updateTable("subscriptions")
    .set((expression) => ({ version: expression.ref("version") }))
    .where("organization_id", "=", purchase.organization_id)
    .execute();
  await assertAffordable(tx, purchase, { timeZone, at: now });
}

async function assertAffordable(
  tx: Kysely<Database>,
  purchase: PurchaseRow,
  month: { timeZone: string; at: number },
): Promise<void> {
  const { id: purchaseId, licenses } = purchase;
  const wanted = { purchaseId, licenses, total: money(purchase.total, purchase.currency) };
  await assertWithinSpendLimit(tx, await buyersToken(tx, purchase), wanted, month);
}

async function buyersToken(tx: Kysely<Database>, { buyer_token_id: id }: PurchaseRow): Promise<ApiTokenRow | null> {
  if (id === null) return null;
  return tx.selectFrom("api_tokens").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
}
