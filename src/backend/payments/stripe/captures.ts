import type Stripe from "stripe";
import type { Capture, PaymentGateway, RefundStatus } from "../gateway.ts";
import { ask, call } from "./errors.ts";
import { idOf } from "./lookups.ts";
import { refundStatusOf } from "./payments.ts";
import { fromStripeAmount } from "./units.ts";

/** The largest page of a list at Stripe. */
const PAGE = 100;

/** How long after its creation a payment may take money: bank debits and renewals take days. Milliseconds. */
const LOOKBACK_MS = 31 * 24 * 3_600_000;

/** What is listed: payments first, then the refunds of older payments. */
const [PAYMENTS, REFUNDS] = ["payments", "refunds"] as const;

/** Reads what the payments of a Stripe account captured. Payments whose metadata is not ours are left out. */
export function stripeCaptures(stripe: Stripe): Pick<PaymentGateway, "listCaptures" | "findCapture"> {
  const findCapture = async (paymentId: string) => {
    const intent = await ask(() => stripe.paymentIntents.retrieve(paymentId, { expand: ["latest_charge"] }));
    return intent && captureOf(stripe, intent);
  };

  const listPayments = async (from: number, after: string | undefined) => {
    const page = await call(() =>
      stripe.paymentIntents.list({
        ...range(from - LOOKBACK_MS, after),
        expand: ["data.latest_charge"],
      }),
    );
    const captures = await Promise.all(page.data.map((intent) => captureOf(stripe, intent)));
    return { last: page.data.at(-1)?.id, hasMore: page.has_more, captures };
  };

  const listRefunds = async (from: number, after: string | undefined) => {
    const page = await call(() => stripe.refunds.list(range(from, after)));
    const payments = new Set(page.data.flatMap(({ payment_intent }) => idOf(payment_intent) ?? []));
    const captures = [];
    for (const payment of payments) captures.push(await findCapture(payment));
    return { last: page.data.at(-1)?.id, hasMore: page.has_more, captures };
  };

  return {
    findCapture,

    async listCaptures(from, cursor) {
      const [kind = PAYMENTS, after] = cursor?.split(":") ?? [];
      const list = kind === PAYMENTS ? listPayments : listRefunds;
      const { last, hasMore, captures } = await list(from, after || undefined);
      const next = hasMore && last ? `${kind}:${last}` : kind === PAYMENTS ? `${REFUNDS}:` : null;
      return { captures: captures.filter((capture) => isSince(capture, from, kind)), next };
    },
  };
}

function range(from: number, after: string | undefined) {
  return {
    created: { gte: Math.floor(Math.max(0, from) / 1_000) },
    limit: PAGE,
    ...(after && { starting_after: after }),
  };
}

/** Whether a capture belongs in a list: since `from` among the payments, before it among the refunds. */
function isSince(capture: Capture | null, from: number, kind: string): capture is Capture {
  return capture !== null && capture.capturedAt >= from === (kind === PAYMENTS);
}

/** What a payment of ours captured; `null` for a payment that is not ours or captured nothing. */
async function captureOf(stripe: Stripe, intent: Stripe.PaymentIntent): Promise<Capture | null> {
  const { purchaseId, kind } = intent.metadata;
  if (intent.status !== "succeeded" || !purchaseId) return null;
  const charge = typeof intent.latest_charge === "string" ? null : intent.latest_charge;
  const isRefunded = charge === null || charge.amount_refunded > 0;
  const refunds = isRefunded ? await refundsOf(stripe, intent.id) : [];
  return {
    paymentId: intent.id,
    purchaseId,
    kind: kind === "purchase" || kind === "renewal" ? kind : null,
    ...fromStripeAmount(intent.amount_received, intent.currency),
    refunded: fromStripeAmount(refundedOf(refunds), intent.currency).amount,
    refundPending: fromStripeAmount(refundedOf(refunds, "pending"), intent.currency).amount,
    capturedAt: (charge?.created ?? intent.created) * 1_000,
  };
}

/** The refunds of a payment. */
export async function refundsOf(stripe: Stripe, paymentId: string): Promise<Stripe.Refund[]> {
  const { data } = await call(() => stripe.refunds.list({ payment_intent: paymentId, limit: PAGE }));
  return data;
}

/** The sum of the refunds of a status, by default of those that succeeded, in Stripe's units. */
export function refundedOf(refunds: readonly Stripe.Refund[], status: RefundStatus = "succeeded"): number {
  return refunds.filter((refund) => refundStatusOf(refund) === status).reduce((sum, { amount }) => sum + amount, 0);
}
