import type Stripe from "stripe";
import type { PaymentChoice } from "../gateway.ts";

/** Names of card brands, as their owners write them. */
const BRANDS: Readonly<Record<string, string>> = {
  amex: "American Express",
  cartes_bancaires: "Cartes Bancaires",
  diners: "Diners Club",
  eftpos_au: "eftpos",
  jcb: "JCB",
  mastercard: "Mastercard",
  unionpay: "UnionPay",
  visa: "Visa",
};

/** Names a payment method for people: `Visa ending in 4242`, `SEPA debit ending in 3000`. */
export function labelOf(method: Pick<Stripe.PaymentMethod, "type" | "card">): string {
  const { type, card } = method;
  if (card) return ending(brandOf(card.display_brand ?? card.brand), card.last4);
  const details = (method as unknown as Readonly<Record<string, { readonly last4?: string | null } | undefined>>)[type];
  return ending(wordsOf(type), details?.last4);
}

/** A payment method as it is stored. */
export function choiceOf(method: Stripe.PaymentMethod): PaymentChoice {
  const { id, card } = method;
  const expires = card ? `${card.exp_year}-${String(card.exp_month).padStart(2, "0")}` : null;
  return { id, label: labelOf(method), expires };
}

function brandOf(brand: string): string {
  return brand === "unknown" ? "Card" : (BRANDS[brand] ?? wordsOf(brand));
}

function wordsOf(name: string): string {
  const words = name.replaceAll("_", " ").replace(/^(sepa|us|au|bacs|acss)\b/, (code) => code.toUpperCase());
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function ending(name: string, last4: string | null | undefined): string {
  return last4 ? `${name} ending in ${last4}` : name;
}
