import { type Money, money } from "../../../billing/money.ts";
import { maxChargeStep } from "../../../billing/proration.ts";
import type { ChargeLimits } from "../gateway.ts";

/** Currencies that Stripe supports (Stripe's documentation, Supported currencies) and ISO 4217 still lists. */
const CURRENCIES = new Set(
  (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CLP CNY COP " +
    "CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK JMD JOD " +
    "JPY KES KGS KHR KMF KRW KWD KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN " +
    "NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SEK SGD SHP SLE SOS SRD SZL THB TJS " +
    "TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW"
  ).split(" "),
);

/** Currencies without decimals in ISO 4217 that Stripe takes in hundredths. */
const IN_HUNDREDTHS = new Set(["ISK", "UGX"]);

/** Currencies with two decimals in ISO 4217 that Stripe takes whole. */
const WHOLE = new Set(["MGA"]);

/** The smallest charges, minor units (Stripe's documentation, Minimum and maximum charge amounts). */
const MINIMUM: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    "ARS AUD BRL CAD CHF COP EUR IDR ILS INR NZD PHP RUB SGD USD ZAR".split(" ").map((code) => [code, 50]),
  ),
  AED: 200,
  CZK: 1_500,
  DKK: 250,
  GBP: 30,
  HKD: 400,
  HUF: 17_500,
  JPY: 50,
  KRW: 50,
  MXN: 1_000,
  MYR: 200,
  NOK: 300,
  PLN: 200,
  RON: 200,
  SEK: 300,
  THB: 1_000,
};

/** The largest charge in Stripe's units: eight digits, nine for some currencies (the same page). */
const [MAXIMUM, LARGER_MAXIMUM] = [99_999_999, 999_999_999];
const WITH_LARGER_MAXIMUM = new Set(["COP", "IDR", "INR"]);

/**
 * What Stripe can charge in a currency, in minor units.
 *
 * @param minimums minimum charges of currencies for which Stripe documents none, minor units
 * @returns `null` for a currency that Stripe does not support
 */
export function stripeLimits(currency: string, minimums: Readonly<Record<string, number>> = {}): ChargeLimits | null {
  if (!CURRENCIES.has(currency)) return null;
  const most = WITH_LARGER_MAXIMUM.has(currency) ? LARGER_MAXIMUM : MAXIMUM;
  const step = maxChargeStep(currency);
  const maximum = fromStripeAmount(most, currency).amount;
  return { minimum: MINIMUM[currency] ?? minimums[currency] ?? 0, maximum: maximum - (maximum % step), step };
}

/**
 * Converts an amount to Stripe's units.
 *
 * @throws RangeError for an amount that Stripe cannot represent, which the limits of the currency exclude
 */
export function toStripeAmount({ amount, currency }: Money): number {
  if (IN_HUNDREDTHS.has(currency)) return amount * 100;
  if (!WHOLE.has(currency)) return amount;
  if (amount % 100 !== 0)
    throw new RangeError(`Stripe charges ${currency} without decimals, not ${amount} minor units`);
  return amount / 100;
}

/**
 * Converts an amount from Stripe's units; the currency may be in either case. Fractions of a minor unit are dropped.
 */
export function fromStripeAmount(amount: number, currency: string): Money {
  const code = currency.toUpperCase();
  return money(Math.trunc(minorUnits(amount, code)), code);
}

function minorUnits(amount: number, currency: string): number {
  if (IN_HUNDREDTHS.has(currency)) return amount / 100;
  return WHOLE.has(currency) ? amount * 100 : amount;
}
