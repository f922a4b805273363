import type { PaymentStatus } from "./gateway.ts";

/** How a test card behaves when it is charged. */
interface TestCard {
  readonly label: string;
  readonly status: PaymentStatus;
  readonly failure?: { readonly code: string; readonly message: string };
}

/** The sandbox's test cards. */
export const CARDS: Readonly<Record<string, TestCard>> = {
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
