import { BillingError } from "./errors.ts";

/** An amount in the currency's minor unit (ISO 4217), always an integer: `{ amount: 24410, currency: "GBP" }` is £244.10. */
export interface Money {
  readonly amount: number;
  readonly currency: string;
}

/** ISO 4217 currencies whose minor unit is not a hundredth (list one, "Mnr unit"). */
const EXPONENTS: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(" ").map((c) => [c, 0]),
  ),
  ...Object.fromEntries("BHD IQD JOD KWD LYD OMR TND".split(" ").map((c) => [c, 3])),
  CLF: 4,
  UYW: 4,
};

/** How many decimals the currency's minor unit has: 2 for GBP, 0 for JPY, 3 for KWD. */
export function currencyExponent(currency: string): number {
  return Object.hasOwn(EXPONENTS, currency) ? (EXPONENTS[currency] as number) : 2;
}

/** Whether the code is a currency that this platform's ISO 4217 data knows. */
export function isCurrency(code: string): boolean {
  return Intl.supportedValuesOf("currency").includes(code);
}

/**
 * Makes an amount out of an exact integer.
 *
 * @throws BillingError `amount_out_of_range` where it does not fit a safe integer: an error, not a wrong number.
 */
export function money(amount: bigint | number, currency: string): Money {
  const value = Number(amount);
  if (!Number.isSafeInteger(value)) {
    throw new BillingError("amount_out_of_range", `The amount ${amount} ${currency} is too large to be charged`);
  }
  return { amount: value, currency };
}

/** The sum of two amounts of one currency. Throws `amount_out_of_range`, and `invalid_amount` for two currencies. */
export function addMoney(a: Money, b: Money): Money {
  if (a.currency !== b.currency) {
    throw new BillingError("invalid_amount", `Amounts in ${a.currency} and ${b.currency} cannot be added`);
  }
  return money(BigInt(a.amount) + BigInt(b.amount), a.currency);
}

/** The amount as a plain decimal string in major units, exactly: 24410 GBP → `"244.10"`. */
export function toDecimalString({ amount, currency }: Money): string {
  const exponent = currencyExponent(currency);
  const digits = Math.abs(amount)
    .toString()
    .padStart(exponent + 1, "0");
  const sign = amount < 0 ? "-" : "";
  if (exponent === 0) return sign + digits;
  return `${sign}${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`;
}

/**
 * The amount as people of a locale write it, in Latin digits and with a sign that no other currency has: `£244.10`,
 * `US$900.00`, `JP¥1,200`, `KWD 1.250`. Formatted from decimal digits, never from a float.
 */
export function formatMoney(value: Money, locale = "en-US"): string {
  const { format, sign } = styleOf(value.currency, locale);
  return format
    .formatToParts(toDecimalString(value) as Intl.StringNumericLiteral)
    .map(({ type, value: part }) => (type === "currency" && sign !== null ? sign : part))
    .join("")
    .replaceAll(/[\u00a0\u202f]/g, " ")
    .replaceAll(/\p{Bidi_Control}/gu, "");
}

interface MoneyStyle {
  readonly format: Intl.NumberFormat;
  /** What stands for the currency; `null` for its code. */
  readonly sign: string | null;
}

const styles = new Map<string, MoneyStyle>();

/** World English (en-001) tells the signs apart that a country's own language takes for its own: $, ¥. */
function styleOf(currency: string, locale: string): MoneyStyle {
  const known = styles.get(`${locale} ${currency}`);
  if (known) return known;
  const worldwide = new Intl.NumberFormat("en-001", { style: "currency", currency }).formatToParts(1);
  const sign = worldwide.find(({ type, value }) => type === "currency" && /\p{Sc}/u.test(value))?.value ?? null;
  const exponent = currencyExponent(currency);
  const format = new Intl.NumberFormat(locale, {
    style: "currency",
    currency,
    currencyDisplay: sign === null ? "code" : "symbol",
    numberingSystem: "latn",
    minimumFractionDigits: exponent,
    maximumFractionDigits: exponent,
  });
  styles.set(`${locale} ${currency}`, { format, sign });
  return { format, sign };
}

/**
 * Reads an amount in major units as a person types it, `500` or `500.00`, into minor units.
 *
 * @throws BillingError `invalid_amount` for signs, separators, too many decimals for the currency, or an empty text.
 */
export function parseMoney(text: string, currency: string): Money {
  const exponent = currencyExponent(currency);
  const match = /^(\d{1,16})(?:\.(\d+))?$/.exec(text);
  const fraction = (match?.[2] ?? "").slice(0, exponent);
  // `500.00` is 500 in every currency: decimals that a currency does not have may be zeros.
  if (!match || (match[2] ?? "").slice(exponent).replaceAll("0", "") !== "") {
    const example = exponent === 0 ? "500" : `500 or 500.${"0".repeat(exponent)}`;
    throw new BillingError("invalid_amount", `"${text}" is not an amount in ${currency}, such as ${example}`);
  }
  return money(BigInt(`${match[1]}${fraction.padEnd(exponent, "0")}`), currency);
}
