import { parseDecimal } from "../../../billing/decimal.ts";
import { currencyExponent, formatMoney, type Money } from "../../../billing/money.ts";
import type { Quote, Subscription } from "../../../contract/billing.ts";
import { clean } from "../../kit/text.ts";
import { interval } from "../../kit/words.ts";

const EXTRA_DIGITS = 4;

/** What the arithmetic is told from. */
type Explained = Omit<Quote, "id" | "licensesAfter" | "subscriptionVersion" | "createdAt" | "expiresAt">;

/** What the lines of the amounts begin with. */
const NAMES = { subtotal: "Subtotal", total: "Due now" };

/** What they began with in quote files that were written before the amounts had one name everywhere. */
export const EARLIER_NAMES: typeof NAMES = { subtotal: "Due now", total: "Total" };

/** The arithmetic of a quote, one step a line, with the exact value before each rounding (billing-rules.md, Proration). */
export function explanation(quote: Explained, plan: Subscription["plan"], names = NAMES): string[] {
  const { unitPrice, licenses, term, dueNow, tax, total, taxRate, renewsAt } = quote;
  const lines = [
    `Days: ${quote.purchaseDate} (counted) to ${term.renewalDate} (not counted) = ${term.daysRemaining} of the term's ${term.days}`,
    `${names.subtotal}: ${formatMoney(unitPrice)} × ${licenses} × ${term.daysRemaining} / ${term.days} = ${exact(
      BigInt(unitPrice.amount) * BigInt(licenses) * BigInt(term.daysRemaining),
      BigInt(term.days),
      dueNow.currency,
    )}, rounded ${formatMoney(dueNow)}`,
    `Tax: ${formatMoney(dueNow)} × ${clean(taxRate)} % = ${exactTax(dueNow, taxRate)}, rounded ${formatMoney(tax)}`,
    `${names.total}: ${formatMoney(dueNow)} + ${formatMoney(tax)} = ${formatMoney(total)}`,
  ];
  if ((quote.chargeStep ?? 1) > 1) lines.push(`Amounts are rounded to steps of ${quote.chargeStep} minor units.`);
  lines.push(
    renewsAt === null
      ? `Renewal: none on ${term.renewalDate}, automatic renewal is off`
      : `Renewal: from ${renewsAt.date} ${formatMoney(unitPrice)} × ${renewsAt.licenses} = ${formatMoney(renewsAt.subtotal)}, + ${formatMoney(renewsAt.tax)} tax = ${formatMoney(renewsAt.total)} ${interval(plan)}`,
  );
  return lines;
}

function exactTax(amount: Money, taxRate: string): string {
  const rate = parseDecimal(taxRate);
  return exact(BigInt(amount.amount) * rate.coefficient, 100n * 10n ** BigInt(rate.scale), amount.currency);
}

/** A fraction of minor units in major units, four digits beyond the minor unit, `…` where more would follow. */
function exact(numerator: bigint, denominator: bigint, currency: string): string {
  const digits = currencyExponent(currency) + EXTRA_DIGITS;
  const scaled = numerator * 10n ** BigInt(EXTRA_DIGITS);
  const text = (scaled / denominator).toString().padStart(digits + 1, "0");
  const number = `${text.slice(0, -digits)}.${text.slice(-digits)}`;
  if (scaled % denominator !== 0n) return `${number}…`;
  const shortest = currencyExponent(currency);
  return number.replace(new RegExp(`(\\.\\d{${shortest}}\\d*?)0+$`), "$1").replace(/\.$/, "");
}
