import type Stripe from "stripe";
import type { Store } from "./store.ts";

/** What a bank answers with a decline. */
export interface Decline {
  /** `card_error` by default. */
  readonly type?: "invalid_request_error";
  readonly code: string;
  readonly declineCode?: string;
  readonly message: string;
}

/** When the cardholder has to be asked: never, always, or unless the method was set up for off-session payments. */
type Authentication = "never" | "always" | "unless_set_up" | "on_session";

/** What a test payment method does. */
export interface Card {
  readonly brand: string;
  readonly last4: string;
  readonly authentication: Authentication;
  readonly decline: Decline | null;
  /** Whether it can be attached to a customer although it is declined. */
  readonly canAttach: boolean;
  /** Whether its payments are processed for days, as those of bank debits. No card of Stripe's is. */
  readonly isSlow: boolean;
  /** What becomes of its refunds. */
  readonly refund: RefundOutcome;
}

/** What becomes of a refund: at once, or (`later`) when the clock is moved ahead. */
export type RefundOutcome = "succeeded" | "pending" | "failed" | "succeeds_later" | "fails_later";

const declined = (declineCode: string, message = "Your card was declined."): Decline => ({
  code: "card_declined",
  declineCode,
  message,
});

const DECLINES = {
  generic: declined("generic_decline"),
  funds: declined("insufficient_funds", "Your card has insufficient funds."),
  lost: declined("lost_card"),
  stolen: declined("stolen_card"),
  velocity: declined("card_velocity_exceeded", "Your card was declined for making repeated attempts too frequently."),
  fraud: declined("fraudulent"),
  expired: { code: "expired_card", message: "Your card has expired." },
  cvc: { code: "incorrect_cvc", message: "Your card's security code is incorrect." },
  processing: {
    code: "processing_error",
    message: "An error occurred while processing your card. Try again in a little bit.",
  },
} satisfies Record<string, Decline>;

function card(last4: string, traits: Partial<Card> = {}): Card {
  return {
    brand: "visa",
    last4,
    authentication: "never",
    decline: null,
    canAttach: traits.decline == null,
    isSlow: false,
    refund: "succeeded",
    ...traits,
  };
}

/** Stripe's test payment methods (Stripe's documentation, Test card numbers), and one of the stand-in's own at the end. */
export const CARDS: Readonly<Record<string, Card>> = {
  pm_card_visa: card("4242"),
  pm_card_visa_debit: card("5556"),
  pm_card_mastercard: card("4444", { brand: "mastercard" }),
  pm_card_amex: card("8431", { brand: "amex" }),
  pm_card_discover: card("1117", { brand: "discover" }),
  pm_card_diners: card("0004", { brand: "diners" }),
  pm_card_jcb: card("0505", { brand: "jcb" }),
  pm_card_unionpay: card("0005", { brand: "unionpay" }),
  pm_card_visa_chargeDeclined: card("0002", { decline: DECLINES.generic }),
  pm_card_visa_chargeDeclinedInsufficientFunds: card("9995", { decline: DECLINES.funds }),
  pm_card_visa_chargeDeclinedLostCard: card("9987", { decline: DECLINES.lost }),
  pm_card_visa_chargeDeclinedStolenCard: card("9979", { decline: DECLINES.stolen }),
  pm_card_visa_chargeDeclinedVelocityLimitExceeded: card("6975", { decline: DECLINES.velocity }),
  pm_card_chargeDeclined: card("0002", { decline: DECLINES.generic }),
  pm_card_chargeDeclinedInsufficientFunds: card("9995", { decline: DECLINES.funds }),
  pm_card_chargeDeclinedLostCard: card("9987", { decline: DECLINES.lost }),
  pm_card_chargeDeclinedStolenCard: card("9979", { decline: DECLINES.stolen }),
  pm_card_chargeDeclinedExpiredCard: card("0069", { decline: DECLINES.expired }),
  pm_card_chargeDeclinedIncorrectCvc: card("0127", { decline: DECLINES.cvc }),
  pm_card_chargeDeclinedProcessingError: card("0119", { decline: DECLINES.processing }),
  pm_card_radarBlock: card("0019", { decline: DECLINES.fraud }),
  pm_card_chargeCustomerFail: card("0341", { decline: DECLINES.generic, canAttach: true }),
  pm_card_authenticationRequired: card("3184", { authentication: "always" }),
  pm_card_authenticationRequiredOnSetup: card("3155", { authentication: "unless_set_up" }),
  pm_card_authenticationRequiredSetupForOffSession: card("0446", { authentication: "on_session" }),
  pm_card_authenticationRequiredChargeDeclinedInsufficientFunds: card("3178", {
    authentication: "always",
    decline: DECLINES.funds,
    canAttach: true,
  }),
  pm_card_threeDSecure2Required: card("3220", { authentication: "always" }),
  pm_card_threeDSecureRequiredChargeDeclined: card("1629", {
    authentication: "always",
    decline: DECLINES.generic,
    canAttach: true,
  }),
  pm_card_pendingRefund: card("7726", { refund: "succeeds_later" }),
  pm_card_refundFail: card("5126", { refund: "fails_later" }),
  pm_stand_in_processing: card("0000", { isSlow: true }),
};

const GENERIC = card("4242");

/** What a test payment method does by its name. */
export function cardOf(name: string | null): Card {
  return CARDS[name ?? ""] ?? GENERIC;
}

/** The name under which the behavior of the next attempts of a payment method, or of a payment, is noted. */
export const NEXT = "next";

/**
 * Takes the card that an attempt is made with: the next one that a test has set for the payment or the method, or the
 * method's own.
 */
export function takeCard(store: Store, payment: string, method: string): Card {
  for (const id of [payment, method]) {
    const [next, ...rest] = store.note<string[]>(id, NEXT) ?? [];
    if (next === undefined) continue;
    store.setNote(id, NEXT, rest.length === 0 ? null : rest);
    return cardOf(next);
  }
  return cardOf(store.note<string>(method, "card"));
}

/** The error of a decline, as in `last_payment_error` and in the body of a 402. */
export function declineError(
  { type, code, declineCode, message }: Decline,
  fields: { readonly charge?: string; readonly payment_method: Stripe.PaymentMethod },
) {
  return {
    type: type ?? ("card_error" as const),
    code,
    ...(declineCode !== undefined && { decline_code: declineCode }),
    doc_url: `https://docs.stripe.com/error-codes/${code.replaceAll("_", "-")}`,
    message,
    ...fields,
  };
}
