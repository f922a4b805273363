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

/** The amount as people write it: `£244.10`, `¥1,200`, `KWD 1.250`. Formatted from decimal digits, never from a float. */
export function formatMoney(value: Money, locale = "en-US"): string {
  const exponent = currencyExponent(value.currency);
  const format = new Intl.NumberFormat(locale, {
    style: "currency",
    currency: value.currency,
    minimumFractionDigits: exponent,
    maximumFractionDigits: exponent,
  });
  return format.format(toDecimalString(value) as Intl.StringNumericLiteral).replaceAll("\u00a0", " ");
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
