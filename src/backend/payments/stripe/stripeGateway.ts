import Stripe from "stripe";
import type { Payment, PaymentAttempt, PaymentGateway, PaymentRequest } from "../gateway.ts";
import { stripeCaptures } from "./captures.ts";
import { stripeCustomers } from "./cardEntry.ts";
import { call, gatewayErrorOf } from "./errors.ts";
import { labelOf } from "./labels.ts";
import { findDispute } from "./lookups.ts";
import { paymentOf } from "./payments.ts";
import { refund } from "./refunds.ts";
import { stripeSubscriptions } from "./subscriptions.ts";
import { stripeLimits, toStripeAmount } from "./units.ts";

/** What follows the seller's own name on a card statement. */
const STATEMENT_SUFFIX = "LICENSES";

interface StripeGatewayOptions {
  readonly account: PaymentGateway["account"];
  /** Minimum charges of currencies for which Stripe documents none, minor units. */
  readonly minimums?: Readonly<Record<string, number>>;
  /** The machine's clock, milliseconds. */
  readonly now: () => number;
}

/**
 * Stripe as the payment provider. A purchase or renewal has one PaymentIntent for its whole life, which is created
 * unconfirmed and captured at once when it is confirmed (src/backend/README.md, Life of a purchase).
 */
export function stripeGateway(stripe: Stripe, { account, minimums, now }: StripeGatewayOptions): PaymentGateway {
  const read = async (paymentId: string) => paymentOf(await call(() => stripe.paymentIntents.retrieve(paymentId)));

  /** Changes a payment. One that can no longer be changed is read instead: its status says why. */
  const change = async (paymentId: string, work: () => Promise<Stripe.PaymentIntent>): Promise<Payment> => {
    try {
      return paymentOf(await work());
    } catch (error) {
      const declined = declinedIn(error, paymentId);
      if (declined) return paymentOf(declined);
      if (isAnswered(error)) return read(paymentId);
      throw gatewayErrorOf(error);
    }
  };

  return {
    account,
    limits: (currency) => stripeLimits(currency, minimums),
    describe: (paymentMethod, label) => ({ type: "card", label: label ?? paymentMethod }),
    readLabel: async (paymentMethod) => labelOf(await call(() => stripe.paymentMethods.retrieve(paymentMethod))),
    choices: () => [],
    customers: stripeCustomers(stripe, now),
    subscriptions: stripeSubscriptions(stripe),
    ...stripeCaptures(stripe),

    create: async (request) =>
      paymentOf(
        await call(() => stripe.paymentIntents.create(intentOf(request), { idempotencyKey: request.idempotencyKey })),
      ),
    confirm: (paymentId, attempt) =>
      change(paymentId, () =>
        stripe.paymentIntents.confirm(paymentId, attemptOf(attempt), { idempotencyKey: attempt.idempotencyKey }),
      ),
    read,
    cancel: (paymentId) => change(paymentId, () => stripe.paymentIntents.cancel(paymentId)),
    refund: (paymentId, idempotencyKey) => refund(stripe, paymentId, idempotencyKey),
    // A PaymentIntent that was never confirmed moves no money, and only one whose ID was saved is ever confirmed.
    unconfirmed: async () => [],
    findDispute: (id) => findDispute(stripe, id),
  };
}

function intentOf(request: PaymentRequest): Stripe.PaymentIntentCreateParams {
  const { organizationId, purchaseId, kind, description, amount, customer, paymentMethod } = request;
  return {
    amount: toStripeAmount(amount),
    currency: amount.currency.toLowerCase(),
    ...(customer !== null && { customer }),
    ...(paymentMethod !== null && { payment_method: paymentMethod }),
    allowed_payment_method_types: ["card"],
    description,
    statement_descriptor_suffix: STATEMENT_SUFFIX,
    metadata: { organizationId: String(organizationId), purchaseId, kind },
  };
}

/** With no person present, the bank must not ask for approval; with one, the bank's page leads back to ours. */
function attemptOf({ paymentMethod, approvedByPerson, returnUrl }: PaymentAttempt): Stripe.PaymentIntentConfirmParams {
  const presence = approvedByPerson && returnUrl !== null ? { return_url: returnUrl } : { off_session: true };
  return { payment_method: paymentMethod, ...presence };
}

/** The payment of an attempt that the bank declined, which Stripe reports with the error. */
function declinedIn(error: unknown, paymentId: string): Stripe.PaymentIntent | null {
  const intent = error instanceof Stripe.errors.StripeCardError ? error.payment_intent : undefined;
  return intent?.id === paymentId ? intent : null;
}

/** Whether the payment itself says what happened: the bank declined it, or it is paid or canceled already. */
function isAnswered(error: unknown): boolean {
  if (!(error instanceof Stripe.errors.StripeError)) return false;
  return error instanceof Stripe.errors.StripeCardError || error.code === "payment_intent_unexpected_state";
}
