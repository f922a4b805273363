import { GatewayUnavailable, type Payment } from "../payments/gateway.ts";
import { ProblemError } from "../problem.ts";
import { leaseWaiting, movePurchase, releaseLease } from "../store/leases.ts";
import type { PurchaseRow } from "../store/schema.ts";
import { BACKEND, type Failure } from "../store/settlement.ts";
import { nextCheck } from "./schedule.ts";
import {
  clocksOf,
  endWaiting,
  fulfil,
  holdLease,
  owe,
  readDeadline,
  type Step,
  type Turn,
  type WaitingEnd,
  type WorkerDeps,
} from "./turn.ts";

const AGAIN_MS = 60_000;
const LATE_MS = 24 * 3_600_000;

const LATE_FAILURES: Readonly<Record<"canceled" | "expired", Failure>> = {
  canceled: { code: "payment_late", message: "The payment arrived after the purchase was canceled; it is refunded." },
  expired: { code: "payment_late", message: "The payment arrived after the purchase expired; it is refunded." },
};

/**
 * Looks at a purchase that waits for a person: it goes where its payment went by itself, and expires at its deadline once
 * the provider has canceled the payment (purchase.md, Ends of time).
 */
export async function watchWaiting(turn: Turn, purchase: PurchaseRow, paymentId: string): Promise<Step> {
  const payment = await turn.gateway.read(paymentId);
  const isOver = turn.clock.now() >= (await readDeadline(turn, purchase));
  const end: WaitingEnd = { state: isOver ? "expired" : "canceled", actor: BACKEND };
  return followWaiting(turn, purchase, isOver ? await turn.gateway.cancel(payment.id) : payment, end);
}

/**
 * Looks for a payment that arrived although its purchase ended unpaid: it goes back (purchase.md, Ends of time). Looks end
 * with the first answer a day after the end.
 */
export async function watchEnded(turn: Turn, purchase: PurchaseRow, paymentId: string): Promise<Step> {
  const { status } = await turn.gateway.read(paymentId);
  if (status === "succeeded") return owe(turn, purchase, lateFailure(purchase));
  if (turn.clock.now() - (purchase.completed_at ?? 0) < LATE_MS) return "wait";
  await releaseLease(turn.database, purchase, null);
  return "settled";
}

function lateFailure({ state }: PurchaseRow): Failure {
  return state === "expired" ? LATE_FAILURES.expired : LATE_FAILURES.canceled;
}

/**
 * Cancels a purchase that waits for a person: at the provider first, then on its evidence. Does nothing to any other
 * purchase, and to one that somebody is at work on. Of paying and canceling at once, one happens.
 *
 * @param actor who cancels, for the audit log
 * @throws ProblemError `unavailable` when the provider does not answer: the sweep finds out what became of it
 */
export async function cancelWaiting(deps: WorkerDeps, purchaseId: string, actor: string): Promise<void> {
  const lease = await leaseWaiting(deps.database, purchaseId, clocksOf(deps));
  if (!lease) return;
  deps.reach("B2");
  await holdLease(deps, lease, async () => {
    const turn: Turn = { ...deps, hasConfirmed: false };
    const step = await cancelAtProvider(turn, lease, actor);
    if (step === "wait") await releaseLease(deps.database, lease, await nextWaitingLook(turn, lease));
  });
}

async function cancelAtProvider(turn: Turn, lease: PurchaseRow, actor: string): Promise<Step> {
  try {
    const payment = await turn.gateway.cancel(lease.payment_id ?? "");
    turn.reach("B7");
    return await followWaiting(turn, lease, payment, { state: "canceled", actor });
  } catch (error) {
    if (!(error instanceof GatewayUnavailable)) throw error;
    turn.log(`purchase ${lease.id}: ${error.message}`);
    await releaseLease(turn.database, lease, turn.clock.now());
    throw new ProblemError(
      "unavailable",
      "The payment provider does not answer, so the purchase may not be canceled yet; try again",
      {},
      { "Retry-After": "5" },
    );
  }
}

async function followWaiting(turn: Turn, purchase: PurchaseRow, payment: Payment, end: WaitingEnd): Promise<Step> {
  switch (payment.status) {
    case "succeeded":
      return fulfil(turn, purchase);
    case "canceled":
      return endWaiting(turn, purchase, end);
    case "processing":
      return movePurchase(turn.database, purchase, "processing", { spent_at: turn.clock.now() });
    default:
      return "wait";
  }
}

/** When to look at a purchase that waits again: at its deadline at the latest, and after it every minute (billing clock). */
export async function nextWaitingLook(turn: Turn, purchase: PurchaseRow): Promise<number> {
  const now = turn.clock.now();
  const deadline = await readDeadline(turn, purchase);
  return now < deadline ? Math.min(deadline, nextCheck(purchase.accepted_at, now)) : now + AGAIN_MS;
}
