import { parseDecimal } from "../../../billing/decimal.ts";
import { currencyExponent, formatMoney, type Money } from "../../../billing/money.ts";
import type { Quote, Subscription } from "../../../contract/billing.ts";
import { clean } from "../../kit/text.ts";
import { decimalText, interval, moneyText } from "../../kit/words.ts";

const EXTRA_DIGITS = 4;

/** What the arithmetic is explained from. */
type Explained = Omit<Quote, "id" | "licensesAfter" | "subscriptionVersion" | "createdAt" | "expiresAt">;

/** How amounts and other decimals are written. */
interface NumberStyle {
  money(value: Money): string;
  decimal(text: string): string;
}

/** The style of quote files, the same in every locale: it is part of their format. */
const PLAIN: NumberStyle = { money: (value) => formatMoney(value), decimal: clean };

/** Writes amounts and decimals for people, by default in the locale of the environment. */
export function localized(locale?: string): NumberStyle {
  return { money: (value) => moneyText(value, locale), decimal: (text) => decimalText(text, locale) };
}

/** Explains a quote, one step a line, with the exact value before each rounding (src/billing/README.md, Rounding). */
export function explanation(quote: Explained, plan: Subscription["plan"], style = PLAIN): string[] {
  const { unitPrice, licenses, term, dueNow, tax, total, taxRate, renewsAt } = quote;
  const { money, decimal } = style;
  const subtotal = exact(
    BigInt(unitPrice.amount) * BigInt(licenses) * BigInt(term.daysRemaining),
    BigInt(term.days),
    dueNow.currency,
    style,
  );
  const lines = [
    `Days: ${quote.purchaseDate} (counted) to ${term.renewalDate} (not counted) = ${term.daysRemaining} of the term's ${term.days}`,
    `Subtotal: ${money(unitPrice)} × ${licenses} × ${term.daysRemaining} / ${term.days} = ${subtotal}, rounded ${money(dueNow)}`,
    `Tax: ${money(dueNow)} × ${decimal(taxRate)} % = ${exactTax(dueNow, taxRate, style)}, rounded ${money(tax)}`,
    `Due now: ${money(dueNow)} + ${money(tax)} = ${money(total)}`,
  ];
  if ((quote.chargeStep ?? 1) > 1) lines.push(`Amounts are rounded to steps of ${quote.chargeStep} minor units.`);
  lines.push(
    renewsAt === null
      ? `Renewal: none on ${term.renewalDate}, automatic renewal is off`
      : `Renewal: from ${renewsAt.date} ${money(unitPrice)} × ${renewsAt.licenses} = ${money(renewsAt.subtotal)}, + ${money(renewsAt.tax)} tax = ${money(renewsAt.total)} ${interval(plan)}`,
  );
  return lines;
}

function exactTax(amount: Money, taxRate: string, style: NumberStyle): string {
  const rate = parseDecimal(taxRate);
  return exact(BigInt(amount.amount) * rate.coefficient, 100n * 10n ** BigInt(rate.scale), amount.currency, style);
}

/** A fraction of minor units in major units, four digits beyond the minor unit, `…` where more would follow. */
function exact(numerator: bigint, denominator: bigint, currency: string, { decimal }: NumberStyle): string {
  const shortest = currencyExponent(currency);
  const digits = shortest + EXTRA_DIGITS;
  const scaled = numerator * 10n ** BigInt(EXTRA_DIGITS);
  const text = (scaled / denominator).toString().padStart(digits + 1, "0");
  const number = `${text.slice(0, -digits)}.${text.slice(-digits)}`;
  if (scaled % denominator !== 0n) return `${decimal(number)}…`;
  return decimal(number.replace(new RegExp(`(\\.\\d{${shortest}}\\d*?)0+$`), "$1").replace(/\.$/, ""));
}
