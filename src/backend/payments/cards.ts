import { currencyExponent } from "../../billing/money.ts";
import type { Seller } from "../../contract/billingDetails.ts";
import type { Mode } from "../../contract/mode.ts";
import type { Capture, PaidKind, Payment, PaymentAttempt, PaymentGateway, PaymentStatus } from "./gateway.ts";

/** How a test card behaves when it is charged. */
interface TestCard {
  readonly label: string;
  readonly status: PaymentStatus;
  readonly failure?: { readonly code: string; readonly message: string };
}

/** The sandbox's test cards. */
const CARDS: Readonly<Record<string, TestCard>> = {
  card_ok: { label: "Visa ending in 4242 (test card)", status: "succeeded" },
  card_declined: {
    label: "Visa ending in 0002 (test card, declined)",
    status: "requires_payment_method",
    failure: { code: "card_declined", message: "The bank declined the card." },
  },
  card_insufficient_funds: {
    label: "Visa ending in 9995 (test card, insufficient funds)",
    status: "requires_payment_method",
    failure: { code: "insufficient_funds", message: "The card has insufficient funds." },
  },
  card_expired: {
    label: "Visa ending in 0069 (test card, expired)",
    status: "requires_payment_method",
    failure: { code: "expired_card", message: "The card has expired." },
  },
  card_requires_approval: { label: "Visa ending in 3220 (test card, asks for approval)", status: "requires_action" },
  card_processing: { label: "Bank debit ending in 6789 (test, settles after 2 seconds)", status: "processing" },
  card_timeout: { label: "Visa ending in 0119 (test card, answers get lost)", status: "succeeded" },
};

/** The payment methods that a seed can name. */
export const SANDBOX_PAYMENT_METHODS = Object.keys(CARDS);

/** Who is paid with test cards. */
export const SANDBOX_SELLER: Seller = {
  name: "Example Seller Ltd (made up)",
  address: ["1 Example Street", "London EC1A 1AA"],
  country: "GB",
  vatNumber: "GB999999973",
};

/** The stored method of a payment without one. */
const NO_METHOD = "";

/** How long a `card_processing` payment takes to settle, billing clock, so that moving the clock settles it. */
const SETTLE_MS = 2_000;

/** A payment as both records of test cards keep it. */
export interface CardPayment {
  readonly id: string;
  readonly purchase_id: string;
  readonly amount: number;
  readonly currency: string;
  readonly method: string;
  readonly status: PaymentStatus;
  /** The key of the last attempt that was made. */
  readonly confirm_key: string | null;
}

/** A payment that took money, as both records keep it. */
export interface CapturedCardPayment extends CardPayment {
  readonly kind: PaidKind | null;
  readonly refunded: number;
  /** `null` for payments of an earlier version. */
  readonly captured_at: number | null;
  readonly created_at: number;
}

/** How many captures a page has. */
export const CAPTURES_PAGE = 1_000;

/** What does not depend on where a provider of test cards keeps its record. */
export const CARD_RULES: Pick<
  PaymentGateway,
  "limits" | "choices" | "describe" | "readLabel" | "customers" | "subscriptions" | "findDispute"
> = {
  // The smallest charge: 30 minor units of a two-decimal currency, 50 of JPY, none otherwise (src/billing/README.md, Quotes).
  limits: (currency) => ({
    minimum: currency === "JPY" ? 50 : currencyExponent(currency) === 2 ? 30 : 0,
    maximum: null,
    step: 1,
  }),
  customers: null,
  subscriptions: null,
  findDispute: async () => null,
  choices: () => Object.entries(CARDS).map(([id, { label }]) => ({ id, label })),
  describe: (method) => ({ type: "card", label: labelOf(method) }),
  readLabel: async (method) => labelOf(method),
};

function labelOf(method: string): string {
  return CARDS[method]?.label ?? method;
}

/** The columns of a new payment that depend on its method. */
export function unconfirmedColumns(paymentMethod: string | null): Pick<CardPayment, "method" | "status"> {
  return {
    method: paymentMethod ?? NO_METHOD,
    status: paymentMethod === null ? "requires_payment_method" : "requires_confirmation",
  };
}

/**
 * Decides what an attempt to charge a test card comes to.
 *
 * @param now the billing clock, milliseconds
 * @returns the status of the payment, and when it settles by itself, or `null`
 */
export function outcomeOf(
  { paymentMethod, approvedByPerson }: PaymentAttempt,
  now: number,
): { status: PaymentStatus; settlesAt: number | null } {
  const usual = CARDS[paymentMethod]?.status ?? "requires_payment_method";
  const status = usual === "requires_action" && approvedByPerson ? "succeeded" : usual;
  return { status, settlesAt: status === "processing" ? now + SETTLE_MS : null };
}

/** Whether the answer to the first attempt under a key gets lost. */
export function losesAnswer({ paymentMethod }: PaymentAttempt): boolean {
  return paymentMethod === "card_timeout";
}

/** A payment as the provider reports it. */
export function reportOf(payment: CardPayment, mode: Mode): Payment {
  const { id, purchase_id, status, amount, currency, method, confirm_key } = payment;
  const failure = status === "requires_payment_method" ? CARDS[method]?.failure : undefined;
  return {
    id,
    purchaseId: purchase_id,
    status,
    amount: { amount, currency },
    mode,
    customer: null,
    paymentMethod: method === NO_METHOD ? null : method,
    lastAttempt: confirm_key,
    failure: failure ?? null,
    approvalUrl: null,
  };
}

/** What a payment took. */
export function captureOf(payment: CapturedCardPayment): Capture {
  const { id, purchase_id, kind, amount, currency, refunded, captured_at, created_at } = payment;
  return {
    paymentId: id,
    purchaseId: purchase_id,
    kind,
    amount,
    currency,
    refunded,
    refundPending: 0,
    capturedAt: captured_at ?? created_at,
  };
}
