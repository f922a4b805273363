import { setTimeout as sleep } from "node:timers/promises";
import type { RefundOutcome } from "../stripe/cards.ts";
import type { RunningStandIn } from "../stripe/start.ts";
import type { Fleet } from "./serviceFleet.ts";

/** What the bank does with a payment that was processing: `late` is after the end of its term. */
export type BankOutcome = "succeeded" | "failed" | "late";

/** How the bank decides. */
interface Bank {
  outcome(): BankOutcome;
  /** What becomes of the refund of a late payment. */
  refund(): RefundOutcome;
}

/** A bank that pays and refunds everything. */
export const PROMPT_BANK: Bank = { outcome: () => "succeeded", refund: () => "succeeded" };

const PAUSE_MS = 400;

/** Ends the term of a purchase, so that a payment which arrives is refunded. */
export async function endTerm({ cluster }: Fleet, purchaseId: string): Promise<void> {
  const price = `jsonb_set(price_json::jsonb, '{term,renewalDate}', '"2020-01-01"')::text`;
  await cluster.query(`update purchases set price_json = ${price} where id = $1`, [purchaseId]);
}

/** Refunds a payment as an operator does in the Dashboard, unless that was done. */
async function refundByHand(standIn: RunningStandIn, payment: string): Promise<void> {
  const taken = (await standIn.control.captures()).find((capture) => capture.payment === payment);
  if (taken === undefined || taken.refunded > 0) return;
  await standIn.control.setRefund(payment, "succeeded");
  await standIn.client().refunds.create({ payment_intent: payment });
}

/** Lets the bank end refunds that are pending. */
async function endRefunds(standIn: RunningStandIn): Promise<void> {
  const { data } = await standIn.client().refunds.list({ limit: 100 });
  for (const { id, status } of data) if (status === "pending") await standIn.control.settleRefund(id, "succeeded");
}

/** Lets the bank and the operator do what they have to do, once. What fails is left for the next time. */
export async function workAtBank(fleet: Fleet, standIn: RunningStandIn, bank: Bank): Promise<void> {
  try {
    await endPayments(fleet, standIn, bank);
    await endRefunds(standIn);
  } catch {
    // The stand-in is away, or busy with the same payment.
  }
}

/** Lets the bank and the operator work until all orders have ended. */
export async function runBank(
  fleet: Fleet,
  standIn: RunningStandIn,
  bank: Bank,
  orders: Promise<unknown>,
): Promise<void> {
  let isOver = false;
  const end = () => {
    isOver = true;
  };
  orders.then(end, end);
  while (!isOver) {
    await workAtBank(fleet, standIn, bank);
    await sleep(PAUSE_MS);
  }
}

/** Ends what the bank is processing, and refunds by hand what could not be refunded. */
async function endPayments(fleet: Fleet, standIn: RunningStandIn, bank: Bank): Promise<void> {
  const { query } = fleet.cluster;
  const open = await query(`select id, payment_id, state from purchases
    where state = 'processing' or (state = 'needs_review' and failure_code in ('term_ended', 'payment_late'))`);
  for (const { id, payment_id, state } of open) {
    const payment = await standIn.client().paymentIntents.retrieve(String(payment_id));
    if (state === "needs_review") await refundByHand(standIn, payment.id);
    else if (payment.status === "processing") {
      const outcome = bank.outcome();
      if (outcome === "late") {
        await endTerm(fleet, String(id));
        await standIn.control.setRefund(payment.id, bank.refund());
      }
      await standIn.control.settlePayment(payment.id, outcome === "failed" ? "failed" : "succeeded");
    }
  }
}
