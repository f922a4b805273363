import { dateInZone } from "../../billing/calendar.ts";
import { money } from "../../billing/money.ts";
import type { Quote } from "../../contract/billing.ts";
import type { BackendDeps } from "../deps.ts";
import { GatewayUnavailable, type Payment } from "../payments/gateway.ts";
import { LEASE_MS, leasePurchase, movePurchase, releaseLease, renewLease, StaleLease } from "../store/leases.ts";
import type { PurchaseRow } from "../store/schema.ts";
import { declinePurchase, type Failure, fulfilPurchase, owePurchaseBack, recordRefund } from "../store/settlement.ts";
import { readSubscription } from "../store/subscriptions.ts";
import { nextCheck, REVIEW_AFTER_MS } from "./schedule.ts";

/** Nothing was ever confirmed, so nothing was charged. */
const NEVER_PAID: Failure = {
  code: "payment_canceled",
  message: "The payment could not be made in time and was canceled.",
};

const REFUND_PAUSE_MS = 60_000;

type ProcessorDeps = Pick<BackendDeps, "database" | "gateway" | "clock" | "now" | "reach" | "log">;

/** One worker's turn at a purchase. */
interface Turn extends ProcessorDeps {
  /** A turn asks for the money at most once: an outcome that stays open is looked at again later. */
  hasConfirmed: boolean;
}

/** What one step came to: the purchase in its new state, `settled`, or `wait` for a later look. */
type Step = PurchaseRow | "settled" | "wait";

/**
 * Carries one purchase as far as it goes now (purchase.md, Paying). Safe to call for any purchase, at any time, from any
 * number of workers: a lease decides who works, every write names its epoch, and no call to the provider happens inside a
 * transaction. Returns when the purchase is settled, has to wait, or belongs to another worker.
 */
export async function advancePurchase(deps: ProcessorDeps, purchaseId: string): Promise<void> {
  const lease = await leasePurchase(deps.database, purchaseId, deps.now());
  if (!lease) return;
  deps.reach("B2");
  const renewal = setInterval(() => {
    renewLease(deps.database, lease, deps.now()).catch((error) => deps.log(`lease of ${purchaseId}: ${error}`));
  }, LEASE_MS / 3);
  try {
    await work({ ...deps, hasConfirmed: false }, lease);
  } catch (error) {
    if (!(error instanceof StaleLease)) throw error;
    deps.log(`purchase ${purchaseId}: another worker went on`);
  } finally {
    clearInterval(renewal);
  }
}

async function work(turn: Turn, lease: PurchaseRow): Promise<void> {
  let purchase = lease;
  for (;;) {
    const step = await stepOrUnknown(turn, purchase);
    if (step === "settled") return;
    if (step === "wait") {
      await releaseLease(turn.database, lease, nextLook(purchase, turn.clock.now()));
      return;
    }
    purchase = step;
  }
}

/** Money that is owed back is tried every minute; everything else by its age. */
function nextLook({ state, accepted_at: acceptedAt }: PurchaseRow, now: number): number {
  return state === "refund_due" ? now + REFUND_PAUSE_MS : nextCheck(acceptedAt, now);
}

/** One step; a provider that gave no answer leaves the purchase `unknown`, never failed. */
async function stepOrUnknown(turn: Turn, purchase: PurchaseRow): Promise<Step> {
  try {
    return await step(turn, purchase);
  } catch (error) {
    if (!(error instanceof GatewayUnavailable)) throw error;
    turn.log(`purchase ${purchase.id}: ${error.message}`);
    if (purchase.state === "charging" && purchase.payment_id) return movePurchase(turn.database, purchase, "unknown");
    return waitOrReview(turn, purchase);
  }
}

async function step(turn: Turn, purchase: PurchaseRow): Promise<Step> {
  if (purchase.state === "refund_due") return refund(turn, purchase);
  if (purchase.total === 0) return fulfil(turn, purchase);
  if (purchase.payment_id) return follow(turn, purchase, await turn.gateway.read(purchase.payment_id));
  if (isTooOld(turn, purchase)) return decline(turn, purchase, NEVER_PAID);
  return purchase.state === "accepted" ? begin(turn, purchase) : createPayment(turn, purchase);
}

async function begin(turn: Turn, purchase: PurchaseRow): Promise<Step> {
  if (purchase.payment_method) return movePurchase(turn.database, purchase, "charging");
  return decline(turn, purchase, { code: "no_payment_method", message: "The organization has no payment method." });
}

/** Creates the payment unconfirmed and commits its id before any money can move. */
async function createPayment(turn: Turn, purchase: PurchaseRow): Promise<Step> {
  const payment = await turn.gateway.create({
    idempotencyKey: `${purchase.id}:create`,
    purchaseId: purchase.id,
    amount: money(purchase.total, purchase.currency),
    paymentMethod: purchase.payment_method ?? "",
  });
  turn.reach("B4");
  const saved = await movePurchase(turn.database, purchase, "charging", { payment_id: payment.id });
  turn.reach("B5");
  return saved;
}

/** Goes where the payment went: only what the provider says decides. */
async function follow(turn: Turn, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  switch (payment.status) {
    case "requires_confirmation":
      return isTooOld(turn, purchase) ? cancel(turn, purchase, payment) : confirm(turn, purchase, payment);
    case "succeeded":
      return fulfil(turn, purchase);
    case "processing":
      if (purchase.state === "charging" || purchase.state === "unknown") {
        await movePurchase(turn.database, purchase, "processing");
      }
      return "wait";
    case "requires_payment_method":
    case "canceled":
      return decline(turn, purchase, payment.failure ?? NEVER_PAID);
    case "requires_action":
      await movePurchase(turn.database, purchase, "requires_approval", { lease_until: 0, next_check_at: null });
      return "settled";
  }
}

async function confirm(turn: Turn, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  if (turn.hasConfirmed) return waitOrReview(turn, purchase);
  turn.hasConfirmed = true;
  const charging = purchase.state === "charging" ? purchase : await movePurchase(turn.database, purchase, "charging");
  try {
    const confirmed = await turn.gateway.confirm(payment.id, `${purchase.id}:confirm:${purchase.confirm_count}`);
    turn.reach("B7");
    return await follow(turn, charging, confirmed);
  } catch (error) {
    if (!(error instanceof GatewayUnavailable)) throw error;
    turn.log(`purchase ${purchase.id}: ${error.message}`);
    return movePurchase(turn.database, charging, "unknown");
  }
}

/** A payment that was never confirmed has moved no money; once it is canceled it never will. */
async function cancel(turn: Turn, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  const canceled = await turn.gateway.cancel(payment.id);
  return canceled.status === "requires_confirmation" ? "wait" : follow(turn, purchase, canceled);
}

async function decline(turn: Turn, purchase: PurchaseRow, failure: Failure): Promise<Step> {
  await declinePurchase(turn.database, purchase, failure, turn.clock.now());
  return "settled";
}

/** The payment arrived: licenses now, or the money back when the term that was bought for has ended. */
async function fulfil(turn: Turn, purchase: PurchaseRow): Promise<Step> {
  const now = turn.clock.now();
  const { term } = JSON.parse(purchase.price_json) as Quote;
  const { time_zone } = await readSubscription(turn.database, purchase.organization_id);
  if (purchase.total > 0 && dateInZone(now, time_zone) >= term.renewalDate) {
    const failure = { code: "term_ended", message: "The payment arrived after the term had ended; it is refunded." };
    await owePurchaseBack(turn.database, purchase, failure, now);
    return { ...purchase, state: "refund_due" };
  }
  await fulfilPurchase(turn.database, purchase, now);
  turn.reach("B8");
  return "settled";
}

async function refund(turn: Turn, purchase: PurchaseRow): Promise<Step> {
  if (purchase.payment_id) await turn.gateway.refund(purchase.payment_id, `${purchase.id}:refund`);
  await recordRefund(turn.database, purchase, turn.clock.now());
  return "settled";
}

/**
 * The provider does not say what became of the payment. After 24 hours that goes on an operator's list; it is still
 * looked at every day and never silently dropped (purchase.md, States).
 */
async function waitOrReview(turn: Turn, purchase: PurchaseRow): Promise<Step> {
  const isOpen = purchase.state === "processing" || purchase.state === "unknown";
  if (!isOpen || !isTooOld(turn, purchase)) return "wait";
  await movePurchase(turn.database, purchase, "needs_review");
  turn.log(`purchase ${purchase.id} needs review: no evidence of its payment for 24 hours`);
  return "wait";
}

/** Whether it is too late to ask for the money of an order that somebody placed long ago. */
function isTooOld(turn: Turn, purchase: PurchaseRow): boolean {
  return turn.clock.now() - purchase.accepted_at >= REVIEW_AFTER_MS;
}
