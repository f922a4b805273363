import { money } from "../../billing/money.ts";
import type { PurchaseRow } from "../database/schema.ts";
import { isSameSpendingMonth } from "../identity/spending.ts";
import { type CustomerRecords, GatewayRefusal, GatewayUnavailable, type Payment } from "../payments/gateway.ts";
import { isMethodRemoved, saveCustomer } from "./customer.ts";
import { attemptKeyOf, isKeySpoiled, keyOf, spoiledKey, UNSPOILED, unlessSpoiled } from "./keys.ts";
import { movePurchase } from "./leases.ts";
import { moveOn } from "./moves.ts";
import { decline, fulfillPaid, METHOD_REMOVED, NEVER_PAID, REFUSED, refuse, review, waitOrReview } from "./outcomes.ts";
import { deadlineOf, lastAttemptAt } from "./schedule.ts";
import { type Failure, requireApproval, requireApprovalAgain } from "./settle.ts";
import type { Step, WorkerRun } from "./worker.ts";

const NO_METHOD: Failure = { code: "no_payment_method", message: "There is no payment method." };

/** Without a person at hand the bank declines. */
export const NEEDS_PERSON: Failure = {
  code: "authentication_required",
  message: "The bank requires a person to approve the payment.",
};

/** How long a payment may be processing before an operator is asked, milliseconds. */
const MAX_PROCESSING_MS = 14 * 24 * 3_600_000;

/** When to check on an approval at the bank, milliseconds. */
const APPROVAL_MS = 5 * 60_000;

/** How long the provider remembers a key, milliseconds (Stripe's documentation, Idempotent requests). */
const KEY_LIFE_MS = 24 * 3_600_000;

/** Takes the next step of charging a purchase: creates its payment, confirms it, or follows its status. */
export async function charge(run: WorkerRun, purchase: PurchaseRow): Promise<Step> {
  if (purchase.payment_id) return followPayment(run, purchase, await run.gateway.read(purchase.payment_id));
  if (run.clock.now() >= deadlineOf(purchase)) return decline(run, purchase, NEVER_PAID);
  if (purchase.state === "accepted") return movePurchase(run.database, purchase, "charging");
  if (isInReview(purchase) || isKeySpoiled(run, purchase)) return "wait";
  const { customers } = run.gateway;
  if (customers === null || purchase.customer_id !== null) return createPayment(run, purchase);
  return createCustomer(run, purchase, customers);
}

/** Whether an operator decides: nothing new is tried, and only what the provider has done already counts. */
function isInReview({ state }: PurchaseRow): boolean {
  return state === "needs_review";
}

async function createCustomer(run: WorkerRun, purchase: PurchaseRow, customers: CustomerRecords): Promise<Step> {
  try {
    return (await unlessSpoiled(run, purchase, () => saveCustomer(run, customers, purchase))) ?? "wait";
  } catch (error) {
    if (!(error instanceof GatewayRefusal)) throw error;
    return refuse(run, purchase, error, { isHarmless: true });
  }
}

/** Creates the payment unconfirmed, commits its ID before any money can move, and confirms it. */
async function createPayment(run: WorkerRun, purchase: PurchaseRow): Promise<Step> {
  const payment = await unlessSpoiled(run, purchase, () => createdPayment(run, purchase));
  if (payment === null) return "wait";
  if ("refusal" in payment) return followRefusedCreation(run, purchase, payment.refusal);
  run.reach("B4");
  const changes = { payment_id: payment.id, spent_at: run.clock.now(), ...UNSPOILED };
  const saved = await movePurchase(run.database, purchase, "charging", changes);
  run.reach("B5");
  return followPayment(run, saved, payment);
}

/** Creates the payment without its payment method, under another key, if that is why it was refused. */
async function followRefusedCreation(run: WorkerRun, purchase: PurchaseRow, refusal: GatewayRefusal): Promise<Step> {
  if (!(await isMethodRemoved(run, purchase, refusal))) return refuse(run, purchase, refusal, { isHarmless: true });
  return movePurchase(run.database, purchase, purchase.state, {
    payment_method: null,
    payment_method_label: null,
    key_retries: purchase.key_retries + 1,
  });
}

async function createdPayment(
  run: WorkerRun,
  purchase: PurchaseRow,
): Promise<Payment | { readonly refusal: GatewayRefusal }> {
  run.reach("B3");
  try {
    return await run.gateway.create({
      idempotencyKey: attemptKeyOf(purchase, "create"),
      organizationId: purchase.organization_id,
      purchaseId: purchase.id,
      kind: purchase.kind,
      description: descriptionOf(purchase),
      amount: money(purchase.total, purchase.currency),
      customer: purchase.customer_id,
      paymentMethod: purchase.payment_method,
    });
  } catch (error) {
    if (error instanceof GatewayRefusal) return { refusal: error };
    throw error;
  }
}

function descriptionOf({ kind, licenses }: PurchaseRow): string {
  const what = licenses === 1 ? "1 license" : `${licenses} licenses`;
  return kind === "renewal" ? `Renewal of ${what}` : what;
}

/** Moves the purchase to where its payment is. Only the provider's status decides. */
async function followPayment(run: WorkerRun, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  switch (payment.status) {
    case "succeeded":
      return fulfillPaid(run, purchase, payment);
    case "canceled":
      return decline(run, purchase, NEVER_PAID, { isPaymentOver: true });
    case "processing":
      return followProcessing(run, purchase);
    default:
      return isAnswered(purchase, payment)
        ? handleRefusal(run, purchase, payment)
        : confirmPayment(run, purchase, payment);
  }
}

/** Follows a payment that takes days, as a bank debit does. It is looked at on its schedule only. */
async function followProcessing(run: WorkerRun, purchase: PurchaseRow): Promise<Step> {
  if (purchase.state === "charging" || purchase.state === "unknown") {
    await moveOn(run, purchase, "processing");
  } else if (purchase.state === "processing" && run.clock.now() - lastAttemptAt(purchase) >= MAX_PROCESSING_MS) {
    return review(run, purchase, "its payment has been processing for 14 days");
  }
  return "wait";
}

/**
 * Whether the status of an unpaid payment is the answer to the current attempt. It may be that of an earlier one, until the
 * provider has made another than the one that was noted before; until then the attempt is repeated under its own key.
 */
function isAnswered(purchase: PurchaseRow, payment: Payment): boolean {
  if (purchase.payment_method === null || purchase.state === "processing") return true;
  if (payment.status === "requires_confirmation") return false;
  return isNoted(purchase) && payment.lastAttempt !== purchase.attempt_before;
}

function isNoted({ noted_attempt, confirm_count }: PurchaseRow): boolean {
  return noted_attempt === confirm_count;
}

/** Handles a payment that requires a person or was declined. A renewal is charged without a person, so both decline it. */
async function handleRefusal(run: WorkerRun, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  if (purchase.kind === "renewal") return decline(run, purchase, renewalFailure(purchase, payment));
  const times = { now: run.clock.now(), deadline: deadlineOf(purchase) };
  const isLate = times.now >= times.deadline;
  if (purchase.payment_method === null || needsPerson(payment)) {
    if (isLate) return cancelPayment(run, purchase, payment);
    if (isInReview(purchase)) return "wait";
    await requireApproval(run.database, purchase, { now: times.now, checkAt: approvalCheckAt(payment, times) });
    return "settled";
  }
  const failure = payment.failure ?? NEVER_PAID;
  if (purchase.on_decline === "declined" || isLate) return decline(run, purchase, failure);
  if (isInReview(purchase)) return "wait";
  await requireApprovalAgain(run.database, purchase, failure, times);
  return "settled";
}

/** When to check a waiting purchase: a person who approves it at their bank may not come back. */
function approvalCheckAt({ approvalUrl }: Payment, { now, deadline }: { now: number; deadline: number }): number {
  return approvalUrl === null ? deadline : Math.min(deadline, now + APPROVAL_MS);
}

/** Why a renewal was not paid, in Stripe's terms for off-session payments. */
function renewalFailure(purchase: PurchaseRow, payment: Payment): Failure {
  if (purchase.payment_method === null) return NO_METHOD;
  return needsPerson(payment) ? NEEDS_PERSON : (payment.failure ?? REFUSED);
}

/** Whether the bank asks for a person. Without one at hand, the provider declines such a payment. */
function needsPerson({ status, failure }: Payment): boolean {
  return status === "requires_action" || failure?.code === NEEDS_PERSON.code;
}

/**
 * Confirms the payment, or cancels it after the deadline. The purchase counts in the spending month of its confirmation;
 * the limit is not checked again, because no request is waiting for the result.
 */
async function confirmPayment(run: WorkerRun, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  if (run.clock.now() >= deadlineOf(purchase)) return cancelPayment(run, purchase, payment);
  const { payment_method: paymentMethod } = purchase;
  if (isInReview(purchase)) return "wait";
  if (run.hasConfirmed || paymentMethod === null) return waitOrReview(run, purchase);
  if (isKeySpoiled(run, purchase)) return "wait";
  if (isKeyForgotten(run, purchase, payment)) {
    return review(run, purchase, "the provider may not remember the last attempt to pay");
  }
  run.hasConfirmed = true;
  const charging = await noteAttempt(run, purchase, payment);
  run.reach("B6");
  try {
    const confirmed = await run.gateway.confirm(payment.id, {
      idempotencyKey: keyOf(purchase, `confirm:${purchase.confirm_count}`),
      paymentMethod,
      approvedByPerson: purchase.by_person === 1,
      returnUrl: purchase.by_person === 1 ? purchase.return_url : null,
    });
    run.reach("B7");
    return await followConfirmation(run, charging, confirmed);
  } catch (error) {
    if (error instanceof GatewayRefusal) return followRefusedConfirmation(run, charging, payment, error);
    if (!(error instanceof GatewayUnavailable)) throw error;
    run.log(`purchase ${purchase.id}: ${error.message}`);
    return moveOn(run, charging, "unknown", error.isReplayed ? spoiledKey(run, purchase) : {});
  }
}

/** Asks the person again, or declines a renewal, if the customer no longer has the payment method. */
async function followRefusedConfirmation(
  run: WorkerRun,
  purchase: PurchaseRow,
  payment: Payment,
  refusal: GatewayRefusal,
): Promise<Step> {
  if (!(await isMethodRemoved(run, purchase, refusal))) return refuse(run, purchase, refusal, { isHarmless: false });
  if (purchase.kind === "renewal") return decline(run, purchase, METHOD_REMOVED);
  const times = { now: run.clock.now(), deadline: deadlineOf(purchase) };
  if (times.now >= times.deadline) return cancelPayment(run, purchase, payment);
  await requireApprovalAgain(run.database, purchase, METHOD_REMOVED, times);
  return "settled";
}

/** Notes the provider's last attempt before a new one, and the time, unless both are known. */
async function noteAttempt(run: WorkerRun, purchase: PurchaseRow, payment: Payment): Promise<PurchaseRow> {
  const now = run.clock.now();
  const isTimed = purchase.state === "charging" && isSameSpendingMonth(purchase.spent_at, now, purchase.time_zone);
  if (isTimed && isNoted(purchase)) return purchase;
  return movePurchase(run.database, purchase, "charging", {
    ...(!isTimed && { spent_at: now }),
    ...(!isNoted(purchase) && { noted_attempt: purchase.confirm_count, attempt_before: payment.lastAttempt }),
  });
}

/**
 * Whether an attempt that was sent may not be repeated any more: the provider may have forgotten its key, and has no trace of
 * the attempt, as after an approval at the bank that failed.
 */
function isKeyForgotten(run: WorkerRun, purchase: PurchaseRow, { status }: Payment): boolean {
  if (status === "requires_confirmation" || !isNoted(purchase)) return false;
  return run.clock.now() - lastAttemptAt(purchase) >= KEY_LIFE_MS;
}

/** Follows the answer to a confirmation, which is the outcome of this attempt. */
async function followConfirmation(run: WorkerRun, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  const isRefusal = payment.status === "requires_payment_method" || payment.status === "requires_action";
  return isRefusal ? handleRefusal(run, purchase, payment) : followPayment(run, purchase, payment);
}

/** Cancels an unpaid payment, and declines the purchase once the provider has confirmed that. */
async function cancelPayment(run: WorkerRun, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  const canceled = await run.gateway.cancel(payment.id);
  if (canceled.status === "canceled") return decline(run, purchase, payment.failure ?? NEVER_PAID);
  const isOpen = canceled.status !== "succeeded" && canceled.status !== "processing";
  return isOpen ? "wait" : followPayment(run, purchase, canceled);
}
