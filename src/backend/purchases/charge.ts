import { dateInZone } from "../../billing/calendar.ts";
import { money } from "../../billing/money.ts";
import { nextRetry } from "../../billing/renewal.ts";
import type { PurchaseRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BACKEND } from "../events/events.ts";
import { isSameSpendingMonth } from "../identity/spending.ts";
import { GatewayUnavailable, type Payment } from "../payments/gateway.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { type Clocks, LEASE_MS, movePurchase, renewLease, StaleLease } from "./leases.ts";
import { attemptBegan, deadlineOf, nextCheck, priceOf, REVIEW_AFTER_MS } from "./schedule.ts";
import { askPerson, endUnpaid, type Failure, fulfilPurchase, owePurchaseBack, returnToPerson } from "./settle.ts";

/** Nothing was ever paid, and the payment is canceled. */
const NEVER_PAID: Failure = {
  code: "payment_canceled",
  message: "The payment could not be made in time and was canceled.",
};

const NO_METHOD: Failure = { code: "no_payment_method", message: "There is no payment method." };

const NEEDS_PERSON: Failure = {
  code: "authentication_required",
  message: "The bank asks for a person's approval of the payment.",
};

const REFUSED: Failure = { code: "payment_refused", message: "The payment was refused." };

/** Charges a purchase: creates its payment, asks for the money, and goes where the payment goes. */
export async function charge(turn: Turn, purchase: PurchaseRow): Promise<Step> {
  if (purchase.payment_id) return follow(turn, purchase, await turn.gateway.read(purchase.payment_id));
  if (await isTooLate(turn, purchase)) return decline(turn, purchase, NEVER_PAID);
  if (purchase.state === "accepted") return movePurchase(turn.database, purchase, "charging");
  return createPayment(turn, purchase);
}

/** Creates the payment unconfirmed and commits its id before any money can move. */
async function createPayment(turn: Turn, purchase: PurchaseRow): Promise<Step> {
  const payment = await turn.gateway.create({
    idempotencyKey: `${purchase.id}:create`,
    purchaseId: purchase.id,
    amount: money(purchase.total, purchase.currency),
    paymentMethod: purchase.payment_method,
  });
  turn.reach("B4");
  const changes = { payment_id: payment.id, spent_at: turn.clock.now() };
  const saved = await movePurchase(turn.database, purchase, "charging", changes);
  turn.reach("B5");
  return saved;
}

/** Goes where the payment went: only what the provider says decides. */
async function follow(turn: Turn, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  switch (payment.status) {
    case "succeeded":
      return fulfil(turn, purchase);
    case "canceled":
      return decline(turn, purchase, NEVER_PAID);
    case "processing":
      if (purchase.state === "charging" || purchase.state === "unknown") {
        await movePurchase(turn.database, purchase, "processing");
      }
      return "wait";
    default:
      return isAnswered(purchase, payment) ? accept(turn, purchase, payment) : attempt(turn, purchase, payment);
  }
}

/**
 * Whether a payment that took no money tells how the last attempt ended. After a first attempt it does; after a later
 * one it may still show the one before, and only the attempt's own key gives its outcome.
 */
function isAnswered(purchase: PurchaseRow, payment: Payment): boolean {
  if (purchase.payment_method === null || purchase.state === "processing") return true;
  return purchase.confirm_count === 0 && payment.status !== "requires_confirmation";
}

/** The provider wants a person, or has declined. Nobody is there when a renewal is charged (details.md, 30). */
async function accept(turn: Turn, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  if (purchase.kind === "renewal") return decline(turn, purchase, renewalFailure(purchase, payment));
  const times = { now: turn.clock.now(), deadline: await readDeadline(turn, purchase) };
  const isLate = times.now >= times.deadline;
  if (purchase.payment_method === null || payment.status === "requires_action") {
    if (isLate) return cancel(turn, purchase, payment);
    await askPerson(turn.database, purchase, times);
    return "settled";
  }
  const failure = payment.failure ?? NEVER_PAID;
  if (purchase.on_decline === "declined" || isLate) return decline(turn, purchase, failure);
  await returnToPerson(turn.database, purchase, failure, times);
  return "settled";
}

/** Why a renewal was not paid, in Stripe's words for payments without a person. */
function renewalFailure(purchase: PurchaseRow, payment: Payment): Failure {
  if (purchase.payment_method === null) return NO_METHOD;
  return payment.status === "requires_action" ? NEEDS_PERSON : (payment.failure ?? REFUSED);
}

/**
 * Asks for the money, unless it is too late: then the payment is canceled, so that it never will be. The purchase counts
 * in the spending month of now; what goes on by itself is not held against a limit.
 */
async function attempt(turn: Turn, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  const { time_zone: timeZone } = await readSubscription(turn.database, purchase.organization_id);
  const now = turn.clock.now();
  if (now >= deadlineOf(purchase, timeZone)) return cancel(turn, purchase, payment);
  if (turn.hasConfirmed || purchase.payment_method === null) return waitOrReview(turn, purchase);
  turn.hasConfirmed = true;
  const isUnchanged = purchase.state === "charging" && isSameSpendingMonth(purchase.spent_at, now, timeZone);
  const charging = isUnchanged ? purchase : await movePurchase(turn.database, purchase, "charging", { spent_at: now });
  try {
    const confirmed = await turn.gateway.confirm(payment.id, {
      idempotencyKey: `${purchase.id}:confirm:${purchase.confirm_count}`,
      paymentMethod: purchase.payment_method,
      approvedByPerson: purchase.by_person === 1,
    });
    turn.reach("B7");
    return await followAnswer(turn, charging, confirmed);
  } catch (error) {
    if (!(error instanceof GatewayUnavailable)) throw error;
    turn.log(`purchase ${purchase.id}: ${error.message}`);
    return movePurchase(turn.database, charging, "unknown");
  }
}

/** What an attempt's own key gave is its outcome. */
async function followAnswer(turn: Turn, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  const isRefusal = payment.status === "requires_payment_method" || payment.status === "requires_action";
  return isRefusal ? accept(turn, purchase, payment) : follow(turn, purchase, payment);
}

/** A payment that took no money is canceled; once it is, it never will. */
async function cancel(turn: Turn, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  const canceled = await turn.gateway.cancel(payment.id);
  if (canceled.status === "canceled") return decline(turn, purchase, payment.failure ?? NEVER_PAID);
  const isOpen = canceled.status !== "succeeded" && canceled.status !== "processing";
  return isOpen ? "wait" : follow(turn, purchase, canceled);
}

/**
 * The provider does not say what became of the payment. After 24 hours that goes on an operator's list; it is still
 * looked at every day and never silently dropped (purchase.md, States).
 */
export async function waitOrReview(turn: Turn, purchase: PurchaseRow): Promise<Step> {
  const isOpen = purchase.state === "processing" || purchase.state === "unknown";
  if (!isOpen || turn.clock.now() - attemptBegan(purchase) < REVIEW_AFTER_MS) return "wait";
  await movePurchase(turn.database, purchase, "needs_review");
  turn.log(`purchase ${purchase.id} needs review: no evidence of its payment for 24 hours`);
  return "wait";
}

/** Whether it is too late to ask for the money of an order that somebody placed long ago. */
async function isTooLate(turn: Turn, purchase: PurchaseRow): Promise<boolean> {
  return turn.clock.now() >= (await readDeadline(turn, purchase));
}

/** What a worker needs of the backend. */
export type WorkerDeps = Pick<BackendDeps, "database" | "gateway" | "clock" | "now" | "reach" | "log">;

/** One worker's turn at a purchase. */
export interface Turn extends WorkerDeps {
  /** A turn asks for the money at most once: an outcome that stays open is looked at again later. */
  hasConfirmed: boolean;
}

/** What one step came to: the purchase in its new state, `settled`, or `wait` for a later look. */
export type Step = PurchaseRow | "settled" | "wait";

/** How a purchase that waited ends unpaid, and who ended it, for the audit log. */
export interface WaitingEnd {
  readonly state: "canceled" | "expired";
  readonly actor: string;
}

const END_FAILURES: Readonly<Record<WaitingEnd["state"], Failure>> = {
  canceled: { code: "payment_canceled", message: "The purchase was canceled; nothing was charged." },
  expired: {
    code: "payment_expired",
    message: "Nobody paid the purchase in time; it expired and nothing was charged.",
  },
};

/** Both clocks now. */
export function clocksOf({ clock, now }: Pick<WorkerDeps, "clock" | "now">): Clocks {
  return { billing: clock.now(), machine: now() };
}

/** Holds a lease while work goes on. Work that finds that it lost the lease is given up: another worker went on. */
export async function holdLease(deps: WorkerDeps, lease: PurchaseRow, work: () => Promise<void>): Promise<void> {
  const renewal = setInterval(() => {
    renewLease(deps.database, lease, deps.now()).catch((error) => deps.log(`lease of ${lease.id}: ${error}`));
  }, LEASE_MS / 3);
  try {
    await work();
  } catch (error) {
    if (!(error instanceof StaleLease)) throw error;
    deps.log(`purchase ${lease.id}: another worker went on`);
  } finally {
    clearInterval(renewal);
  }
}

/** Until when a purchase may be paid, by the billing clock, milliseconds. */
export async function readDeadline({ database }: WorkerDeps, purchase: PurchaseRow): Promise<number> {
  const { time_zone } = await readSubscription(database, purchase.organization_id);
  return deadlineOf(purchase, time_zone);
}

/** The payment arrived: licenses now, or the money back when the term that was bought for has ended. */
export async function fulfil(turn: Turn, purchase: PurchaseRow): Promise<Step> {
  const now = turn.clock.now();
  if (purchase.total > 0 && (await isTermOver(turn, purchase, now))) {
    const message = "The payment arrived after the term had ended; it is refunded.";
    return owe(turn, purchase, { code: "term_ended", message });
  }
  await fulfilPurchase(turn.database, purchase, now);
  turn.reach("B8");
  return "settled";
}

/** A renewal is owed for its term also after that. */
async function isTermOver({ database }: Turn, purchase: PurchaseRow, now: number): Promise<boolean> {
  if (purchase.kind === "renewal") return false;
  const { time_zone } = await readSubscription(database, purchase.organization_id);
  return dateInZone(now, time_zone) >= priceOf(purchase).term.renewalDate;
}

/** The payment arrived, and its money is due back. */
export async function owe(turn: Turn, purchase: PurchaseRow, failure: Failure): Promise<Step> {
  await owePurchaseBack(turn.database, purchase, failure, turn.clock.now());
  return { ...purchase, state: "refund_due" };
}

/** The provider said no: nothing was charged, and nothing will be, unless it is a renewal, which is tried again. */
async function decline(turn: Turn, purchase: PurchaseRow, failure: Failure): Promise<Step> {
  const now = turn.clock.now();
  const nextCheckAt = purchase.kind === "renewal" ? await readRetry(turn, purchase, now) : null;
  await endUnpaid(turn.database, purchase, { state: "declined", failure, actor: BACKEND, nextCheckAt }, now);
  return "settled";
}

async function readRetry({ database }: Turn, purchase: PurchaseRow, now: number): Promise<number | null> {
  const { time_zone } = await readSubscription(database, purchase.organization_id);
  return nextRetry(purchase.accepted_at, now, time_zone);
}

/** The provider canceled the payment of a purchase that waited; whether money arrives all the same is watched. */
export async function endWaiting(turn: Turn, purchase: PurchaseRow, { state, actor }: WaitingEnd): Promise<Step> {
  const now = turn.clock.now();
  const end = { state, failure: END_FAILURES[state], actor, nextCheckAt: nextCheck(now, now) };
  await endUnpaid(turn.database, purchase, end, now);
  return "settled";
}
