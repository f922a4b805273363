import { BillingError } from "./errors.ts";

/** An integer amount in the currency's minor unit (ISO 4217): `{ amount: 24410, currency: "GBP" }` is £244.10. */
export interface Money {
  readonly amount: number;
  readonly currency: string;
}

// ISO 4217, list one, column "Mnr unit": the currencies that do not have two decimals.
const WITHOUT_DECIMALS = new Set("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(" "));
const WITH_THREE_DECIMALS = new Set("BHD IQD JOD KWD LYD OMR TND".split(" "));
const WITH_FOUR_DECIMALS = new Set("CLF UYW".split(" "));

/** Returns the number of decimals of a currency: 2 for GBP, 0 for JPY, 3 for KWD. */
export function currencyExponent(currency: string): number {
  if (WITHOUT_DECIMALS.has(currency)) return 0;
  if (WITH_THREE_DECIMALS.has(currency)) return 3;
  return WITH_FOUR_DECIMALS.has(currency) ? 4 : 2;
}

/** Reports whether this version of Node.js knows the code as a currency of ISO 4217. */
export function isCurrency(code: string): boolean {
  return Intl.supportedValuesOf("currency").includes(code);
}

/**
 * Creates an amount from an exact integer.
 *
 * @throws BillingError `amount_out_of_range` unless it is a safe integer: an error is better than a wrong number
 */
export function money(amount: bigint | number, currency: string): Money {
  const value = Number(amount);
  if (!Number.isSafeInteger(value)) {
    throw new BillingError("amount_out_of_range", `The amount ${amount} ${currency} is too large to be charged`);
  }
  return { amount: value, currency };
}

/**
 * Adds two amounts of the same currency.
 *
 * @throws BillingError `amount_out_of_range`; `invalid_amount` when the currencies differ
 */
export function addMoney(a: Money, b: Money): Money {
  if (a.currency !== b.currency) {
    throw new BillingError("invalid_amount", `Cannot add amounts in ${a.currency} and ${b.currency}`);
  }
  return money(BigInt(a.amount) + BigInt(b.amount), a.currency);
}

/** Formats an amount as a plain decimal in major units, without loss: 24410 GBP → `"244.10"`. */
export function toDecimalString({ amount, currency }: Money): string {
  const exponent = currencyExponent(currency);
  const digits = `${Math.abs(amount)}`.padStart(exponent + 1, "0");
  const sign = amount < 0 ? "-" : "";
  if (exponent === 0) return sign + digits;
  return `${sign}${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`;
}

/**
 * Formats an amount for people, in Latin digits and with an unambiguous currency: `£244.10`, `US$900.00`, `JP¥1,200`,
 * `KWD 1.250`. Formats decimal digits, never a float.
 */
export function formatMoney(value: Money, locale = "en-US"): string {
  const { format, symbol } = styleOf(value.currency, locale);
  return format
    .formatToParts(toDecimalString(value) as Intl.StringNumericLiteral)
    .map(({ type, value: part }) => (type === "currency" && symbol !== null ? symbol : part))
    .join("")
    .replaceAll(/[\u00a0\u202f]/g, " ")
    .replaceAll(/\p{Bidi_Control}/gu, "");
}

interface MoneyStyle {
  readonly format: Intl.NumberFormat;
  /** The symbol of the currency, `null` where only its code is unambiguous. */
  readonly symbol: string | null;
}

const styles = new Map<string, MoneyStyle>();

function styleOf(currency: string, locale: string): MoneyStyle {
  const key = `${locale} ${currency}`;
  let style = styles.get(key);
  if (!style) {
    style = createStyle(currency, locale);
    styles.set(key, style);
  }
  return style;
}

function createStyle(currency: string, locale: string): MoneyStyle {
  const symbol = symbolOf(currency);
  const exponent = currencyExponent(currency);
  const format = new Intl.NumberFormat(locale, {
    style: "currency",
    currency,
    currencyDisplay: symbol === null ? "code" : "symbol",
    numberingSystem: "latn",
    minimumFractionDigits: exponent,
    maximumFractionDigits: exponent,
  });
  return { format, symbol };
}

/** Asks world English (en-001), which tells dollars and yen apart; a local language has a bare $ or ¥ for its own. */
function symbolOf(currency: string): string | null {
  const parts = new Intl.NumberFormat("en-001", { style: "currency", currency }).formatToParts(1);
  return parts.find(({ value }) => /\p{Sc}/u.test(value))?.value ?? null;
}

/**
 * Parses an amount in major units as people type it, `500` or `500.00`.
 *
 * @throws BillingError `invalid_amount` for a sign, a separator, or more decimals than the currency has, unless they
 *   are zeros: `500.00` is 500 in every currency. `amount_out_of_range` for an amount that is too large
 */
export function parseMoney(text: string, currency: string): Money {
  const exponent = currencyExponent(currency);
  const [, whole, decimals = ""] = /^(\d{1,16})(?:\.(\d+))?$/.exec(text) ?? [];
  if (whole === undefined || /[1-9]/.test(decimals.slice(exponent))) {
    const example = exponent === 0 ? "500" : `500 or 500.${"0".repeat(exponent)}`;
    throw new BillingError("invalid_amount", `"${text}" is not an amount in ${currency}, such as ${example}`);
  }
  return money(BigInt(whole + decimals.slice(0, exponent).padEnd(exponent, "0")), currency);
}
