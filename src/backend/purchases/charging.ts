import { money } from "../../billing/money.ts";
import { GatewayUnavailable, type Payment } from "../payments/gateway.ts";
import { movePurchase } from "../store/leases.ts";
import type { PurchaseRow } from "../store/schema.ts";
import { askPerson, type Failure, returnToPerson } from "../store/settlement.ts";
import { isSameSpendingMonth } from "../store/spending.ts";
import { readSubscription } from "../store/subscriptions.ts";
import { attemptBegan, deadlineOf, REVIEW_AFTER_MS } from "./schedule.ts";
import { decline, fulfil, readDeadline, type Step, type Turn } from "./turn.ts";

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
