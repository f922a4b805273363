import { wrongRequest } from "./problems.ts";

/**
 * The smallest amounts that Stripe charges, in its units (Stripe's documentation, Minimum and maximum charge amounts).
 * Stripe converts the minimum of the settlement currency for others, so those have a small one here.
 */
const MINIMUMS: Readonly<Record<string, number>> = {
  usd: 50,
  eur: 50,
  aud: 50,
  cad: 50,
  chf: 50,
  sgd: 50,
  nzd: 50,
  brl: 50,
  inr: 50,
  gbp: 30,
  jpy: 50,
  dkk: 250,
  nok: 300,
  sek: 300,
  hkd: 400,
  mxn: 1_000,
  pln: 200,
  myr: 200,
  aed: 200,
  ron: 200,
  bgn: 100,
  czk: 1_500,
  thb: 1_000,
  huf: 17_500,
};

/** The largest amounts, in Stripe's units (Stripe's documentation, Minimum and maximum charge amounts). */
const MAXIMUMS: Readonly<Record<string, number>> = { cop: 999_999_999, idr: 999_999_999, inr: 999_999_999 };
const MAXIMUM = 99_999_999;

/** Currencies that Stripe charges beside those (Stripe's documentation, Supported currencies). */
const OTHERS = new Set(
  (
    "afn all amd ang aoa ars awg azn bam bbd bdt bhd bif bmd bnd bob bsd bwp byn bzd cdf clp cny cop crc cve djf dop dzd " +
    "egp etb fjd fkp gel gip gmd gnf gtq gyd hnl htg idr ils isk jmd jod kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd " +
    "lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mzn nad ngn nio npr omr pab pen pgk php pkr pyg qar rsd rub rwf sar sbd " +
    "scr shp sle sos srd std szl tjs tnd top try ttd twd tzs uah ugx uyu uzs vnd vuv wst xaf xcd xcg xof xpf yer zar zmw"
  ).split(" "),
);

/** Amounts of these end in zeros (Stripe's documentation, Special cases of zero-decimal and three-decimal currencies). */
const STEPS: Readonly<Record<string, number>> = { isk: 100, ugx: 100, bhd: 10, jod: 10, kwd: 10, omr: 10, tnd: 10 };

/**
 * Checks what is to be charged, in Stripe's units.
 *
 * @throws Problem for what cannot be charged in the currency
 */
export function checkAmount(amount: number, currency: string): void {
  const minimum = MINIMUMS[currency] ?? (OTHERS.has(currency) ? 1 : null);
  if (minimum === null) throw wrongRequest(`Invalid currency: ${currency}.`, "currency", "parameter_invalid_string");
  if (amount < minimum) {
    throw wrongRequest(`Amount must be at least ${minimum} ${currency}`, "amount", "amount_too_small");
  }
  const maximum = MAXIMUMS[currency] ?? MAXIMUM;
  if (amount > maximum) throw wrongRequest(`Amount must be no more than ${maximum}`, "amount", "amount_too_large");
  const step = STEPS[currency] ?? 1;
  if (amount % step !== 0) {
    throw wrongRequest(`Amounts in ${currency} must be multiples of ${step}`, "amount", "parameter_invalid_integer");
  }
}
