import type { Kysely } from "kysely";
import { formatMoney, money } from "../../billing/money.ts";
import type { Database, PurchaseRow } from "../database/schema.ts";
import { BackendError, startError } from "../errors.ts";
import { OPERATOR } from "../events/events.ts";
import { type Capture, GatewayRefusal, type Payment } from "../payments/gateway.ts";
import { leasePurchase, releaseLease, withId } from "../purchases/leases.ts";
import { decline, fulfill, isRefundOwed, REFUNDED } from "../purchases/outcomes.ts";
import { type Failure, recordRefund } from "../purchases/settle.ts";
import { clocksOf, holdLease, type WorkerDeps, type WorkerRun } from "../purchases/worker.ts";
import { openFindings } from "./findings.ts";

/** The outcome of a payment, as an operator found it. */
export type Outcome = "paid" | "declined";

const NOT_PAID: Failure = { code: "payment_not_found", message: "The payment was not made." };

/**
 * Ends the review of a purchase with the outcome that an operator found, if the payment provider agrees. To decline a
 * purchase, its payment is canceled there first, so that it can no longer be paid; another attempt creates a new
 * payment. The audit log names the operator as the actor.
 *
 * @returns the state: `refund_due` for a purchase that was paid after its term had ended, `refunded` once that was refunded
 * @throws BackendError `not_found`; `not_in_review` if it does not need review, or a worker holds its lease;
 *   `not_resolvable` if the provider does not agree, or a restore lost the purchase; GatewayUnavailable
 */
export async function resolvePurchase(
  deps: WorkerDeps,
  purchaseId: string,
  outcome: Outcome,
): Promise<PurchaseRow["state"]> {
  const { database } = deps;
  const purchases = database.selectFrom("purchases").select(["id", "organization_id", "state"]);
  const known = await withId(purchases, purchaseId).executeTakeFirst();
  if (!known) throw await unknownPurchase(database, purchaseId);
  const lease = known.state === "needs_review" ? await leasePurchase(database, known, clocksOf(deps)) : null;
  if (lease === null) throw notInReview(purchaseId);
  let state: PurchaseRow["state"] | null = null;
  await holdLease(deps, lease, async () => {
    try {
      if (lease.state === "needs_review") state = await resolve({ ...deps, hasConfirmed: false }, lease, outcome);
    } catch (error) {
      throw error instanceof GatewayRefusal ? refusedByProvider(lease, error) : error;
    } finally {
      await releaseLease(database, lease, lease.next_check_at);
    }
  });
  if (state === null) throw notInReview(purchaseId);
  return state;
}

/** A purchase that a restore lost cannot be recreated: the provider has its payment, but not what was sold. */
async function unknownPurchase(database: Kysely<Database>, purchaseId: string): Promise<BackendError> {
  const lost = (await openFindings(database)).find((finding) => finding.purchaseId === purchaseId);
  if (lost?.finding !== "unknownPurchase") {
    return new BackendError("not_found", `Purchase ${purchaseId} not found`, {}, {}, REVIEW_HINT);
  }
  return notResolvable(
    `Purchase ${purchaseId} is not in the database, but the payment provider has its payment ${lost.paymentId}`,
    "Refund the payment in full at the payment provider, let the organization buy again, and run `secureflag-licenses serve reconcile`.",
  );
}

const REVIEW_HINT = "See `secureflag-licenses serve admin list-review`.";

/** Returns the error for a purchase that does not need review. */
export function notInReview(purchaseId: string): BackendError {
  return startError("not_in_review", `Purchase ${purchaseId} does not need review`, REVIEW_HINT);
}

async function resolve(run: WorkerRun, purchase: PurchaseRow, outcome: Outcome): Promise<PurchaseRow["state"]> {
  if (isRefundOwed(purchase)) return resolveRefund(run, purchase, outcome);
  if (outcome === "declined") return resolveDeclined(run, purchase);
  const { payment_id: paymentId } = purchase;
  if (paymentId === null) throw notPaid(purchase, "has no payment at the provider");
  assertWhole(purchase, await run.gateway.findCapture(paymentId), await run.gateway.read(paymentId));
  const step = await fulfill(run, purchase, OPERATOR);
  return step === "settled" ? "fulfilled" : "refund_due";
}

/** Makes sure that a payment took the price of its purchase, and that nothing of it was or is being refunded. */
function assertWhole(purchase: PurchaseRow, capture: Capture | null, { id, status }: Payment): void {
  if (status === "processing") throw stillProcessing(id);
  if (capture === null) throw notPaid(purchase, `took no money with payment ${id}, which is '${status}'`);
  const { amount, currency } = capture;
  const refunded = capture.refunded + capture.refundPending;
  const price = money(purchase.total, purchase.currency);
  if (refunded === 0 && amount === price.amount && currency === price.currency) return;
  const verb = capture.refundPending > 0 ? "is being" : "was";
  const back = refunded === 0 ? "" : `, of which ${formatMoney(money(refunded, currency))} ${verb} refunded`;
  throw notResolvable(
    `Payment ${id} took ${formatMoney(money(amount, currency))}${back}; the price of the purchase is ${formatMoney(price)}`,
    "Refund it in full at the payment provider, then resolve the purchase as declined.",
  );
}

/** Cancels the payment and declines the purchase. A payment that took money must have been refunded. */
async function resolveDeclined(run: WorkerRun, purchase: PurchaseRow): Promise<PurchaseRow["state"]> {
  const { payment_id: paymentId } = purchase;
  const payment = paymentId === null ? null : await run.gateway.cancel(paymentId);
  if (payment !== null) await assertOver(run, payment);
  const failure = payment?.status === "succeeded" ? REFUNDED : NOT_PAID;
  await decline(run, purchase, failure, { actor: OPERATOR, isPaymentOver: true });
  return "declined";
}

/** Makes sure that a payment has taken nothing and never will, or that it was refunded in full. */
async function assertOver(run: WorkerRun, { id, status }: Payment): Promise<void> {
  if (status === "succeeded") return assertRefunded(run, id);
  if (status === "processing") throw stillProcessing(id);
  if (status !== "canceled") throw notResolvable(`Payment ${id} was not canceled: it is '${status}'`, "Try again.");
}

/** Makes sure that what a payment took was refunded in full. */
async function assertRefunded({ gateway }: WorkerRun, paymentId: string): Promise<void> {
  const capture = await gateway.findCapture(paymentId);
  if (capture !== null && capture.refunded >= capture.amount) return;
  const kept = capture === null ? "money" : formatMoney(money(capture.amount - capture.refunded, capture.currency));
  throw notResolvable(
    `Payment ${paymentId} took ${kept} that was not refunded`,
    "Resolve the purchase as paid, or refund the payment in full at the payment provider and try again.",
  );
}

/** Records the refund of a payment that came too late for its purchase, once it was made by hand. */
async function resolveRefund(run: WorkerRun, purchase: PurchaseRow, outcome: Outcome): Promise<PurchaseRow["state"]> {
  const { payment_id: paymentId } = purchase;
  if (outcome === "paid" || paymentId === null) {
    throw notResolvable(
      `Purchase ${purchase.id} was paid too late and must be refunded`,
      "Refund the payment in full at the payment provider, then resolve the purchase as declined.",
    );
  }
  await assertRefunded(run, paymentId);
  await recordRefund(run, purchase, run.clock.now());
  return "refunded";
}

/** Returns the error for an outcome that the payment provider does not agree with. */
export function notResolvable(message: string, hint: string): BackendError {
  return startError("not_resolvable", message, hint);
}

function notPaid({ id }: PurchaseRow, why: string): BackendError {
  return notResolvable(`Purchase ${id} ${why}`, "Resolve it as declined; an open payment is canceled first.");
}

function stillProcessing(paymentId: string): BackendError {
  return notResolvable(
    `Payment ${paymentId} is still being processed`,
    "Wait for its outcome; the service checks it every day.",
  );
}

function refusedByProvider({ id }: PurchaseRow, refusal: GatewayRefusal): BackendError {
  return startError(
    "not_resolvable",
    `The payment provider refused a request for purchase ${id}: ${refusal.message}`,
    "Check that the key belongs to the account that was paid.",
    { cause: refusal },
  );
}
