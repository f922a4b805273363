import { dateInZone } from "../../billing/calendar.ts";
import { money } from "../../billing/money.ts";
import type { Quote } from "../../contract/billing.ts";
import type { BackendDeps } from "../deps.ts";
import { GatewayUnavailable, type Payment } from "../payments/gateway.ts";
import { LEASE_MS, leasePurchase, movePurchase, releaseLease, renewLease, StaleLease } from "../store/leases.ts";
import type { PurchaseRow } from "../store/schema.ts";
import { declinePurchase, fulfilPurchase, owePurchaseBack, recordRefund } from "../store/settlement.ts";
import { readSubscription } from "../store/subscriptions.ts";
import { nextCheck, REVIEW_AFTER_MS } from "./schedule.ts";

type ProcessorDeps = Pick<BackendDeps, "database" | "gateway" | "clock" | "now" | "reach" | "log">;

/** What one step came to: the purchase in its new state, or `settled` when there is nothing more to do now. */
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
    await work(deps, lease);
  } catch (error) {
    if (!(error instanceof StaleLease)) throw error;
    deps.log(`purchase ${purchaseId}: another worker went on`);
  } finally {
    clearInterval(renewal);
  }
}

async function work(deps: ProcessorDeps, lease: PurchaseRow): Promise<void> {
  let purchase = lease;
  for (;;) {
    const step = await stepOrUnknown(deps, purchase);
    if (step === "settled") return;
    if (step === "wait") {
      await releaseLease(deps.database, lease, nextCheck(purchase.accepted_at, deps.clock.now()));
      return;
    }
    purchase = step;
  }
}

/** One step; a provider that gave no answer leaves the purchase `unknown`, never failed. */
async function stepOrUnknown(deps: ProcessorDeps, purchase: PurchaseRow): Promise<Step> {
  try {
    return await step(deps, purchase);
  } catch (error) {
    if (!(error instanceof GatewayUnavailable)) throw error;
    deps.log(`purchase ${purchase.id}: ${error.message}`);
    if (purchase.state === "charging" && purchase.payment_id) return movePurchase(deps.database, purchase, "unknown");
    return waitOrReview(deps, purchase);
  }
}

async function step(deps: ProcessorDeps, purchase: PurchaseRow): Promise<Step> {
  if (purchase.state === "refund_due") return refund(deps, purchase);
  if (purchase.total === 0) return fulfil(deps, purchase);
  if (purchase.state === "accepted") return begin(deps, purchase);
  if (!purchase.payment_id) return createPayment(deps, purchase);
  const payment = await deps.gateway.read(purchase.payment_id);
  return follow(deps, purchase, payment);
}

async function begin(deps: ProcessorDeps, purchase: PurchaseRow): Promise<Step> {
  if (purchase.payment_method) return movePurchase(deps.database, purchase, "charging");
  const failure = { code: "no_payment_method", message: "The organization has no payment method." };
  await declinePurchase(deps.database, purchase, failure, deps.clock.now());
  return "settled";
}

/** Creates the payment unconfirmed and commits its id before any money can move. */
async function createPayment(deps: ProcessorDeps, purchase: PurchaseRow): Promise<Step> {
  const payment = await deps.gateway.create({
    idempotencyKey: `${purchase.id}:create`,
    purchaseId: purchase.id,
    amount: money(purchase.total, purchase.currency),
    paymentMethod: purchase.payment_method ?? "",
  });
  deps.reach("B4");
  const saved = await movePurchase(deps.database, purchase, "charging", { payment_id: payment.id });
  deps.reach("B5");
  return saved;
}

/** Goes where the payment went: only what the provider says decides. */
async function follow(deps: ProcessorDeps, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  switch (payment.status) {
    case "requires_confirmation":
      return confirm(deps, purchase, payment);
    case "succeeded":
      return fulfil(deps, purchase);
    case "processing":
      if (purchase.state === "processing") return waitOrReview(deps, purchase);
      await movePurchase(deps.database, purchase, "processing");
      return "wait";
    case "requires_payment_method":
    case "canceled": {
      const failure = payment.failure ?? { code: "payment_canceled", message: "The payment was canceled." };
      await declinePurchase(deps.database, purchase, failure, deps.clock.now());
      return "settled";
    }
    case "requires_action":
      await movePurchase(deps.database, purchase, "requires_approval", { lease_until: 0, next_check_at: null });
      return "settled";
  }
}

async function confirm(deps: ProcessorDeps, purchase: PurchaseRow, payment: Payment): Promise<Step> {
  const charging = purchase.state === "charging" ? purchase : await movePurchase(deps.database, purchase, "charging");
  try {
    const confirmed = await deps.gateway.confirm(payment.id, `${purchase.id}:confirm:${purchase.confirm_count}`);
    deps.reach("B7");
    return await follow(deps, charging, confirmed);
  } catch (error) {
    if (!(error instanceof GatewayUnavailable)) throw error;
    deps.log(`purchase ${purchase.id}: ${error.message}`);
    return movePurchase(deps.database, charging, "unknown");
  }
}

/** The payment arrived: licenses now, or the money back when the term that was bought for has ended. */
async function fulfil(deps: ProcessorDeps, purchase: PurchaseRow): Promise<Step> {
  const now = deps.clock.now();
  const { term } = JSON.parse(purchase.price_json) as Quote;
  const { time_zone } = await readSubscription(deps.database, purchase.organization_id);
  if (purchase.total > 0 && dateInZone(now, time_zone) >= term.renewalDate) {
    const failure = { code: "term_ended", message: "The payment arrived after the term had ended; it is refunded." };
    await owePurchaseBack(deps.database, purchase, failure, now);
    return { ...purchase, state: "refund_due" };
  }
  await fulfilPurchase(deps.database, purchase, now);
  deps.reach("B8");
  return "settled";
}

async function refund(deps: ProcessorDeps, purchase: PurchaseRow): Promise<Step> {
  if (purchase.payment_id) await deps.gateway.refund(purchase.payment_id, `${purchase.id}:refund`);
  await recordRefund(deps.database, purchase, deps.clock.now());
  return "settled";
}

/** Without evidence for 24 hours a purchase goes on an operator's list; it is never silently dropped. */
async function waitOrReview(deps: ProcessorDeps, purchase: PurchaseRow): Promise<Step> {
  const waitsForProvider =
    purchase.state === "processing" || purchase.state === "unknown" || purchase.state === "refund_due";
  if (!waitsForProvider || deps.clock.now() - purchase.accepted_at < REVIEW_AFTER_MS) return "wait";
  await movePurchase(deps.database, purchase, "needs_review", { lease_until: 0, next_check_at: null });
  deps.log(`purchase ${purchase.id} needs review: no evidence of its payment for 24 hours`);
  return "settled";
}
