import { divideRounded, parseDecimal } from "./decimal.ts";
import { addMoney, currencyExponent, type Money, money } from "./money.ts";

/** A line with its tax: `total = subtotal + tax`. */
export interface Charge {
  readonly subtotal: Money;
  readonly tax: Money;
  readonly total: Money;
}

/** The input of a line. */
export interface LineInput {
  /** The price of one license for one whole term, without tax. */
  readonly unitPrice: Money;
  readonly licenses: number;
  /** A percentage as an exact decimal, `"20"` or `"8.875"`. */
  readonly taxRate: string;
  /** The provider's smallest step in minor units, 1 for most currencies. */
  readonly chargeStep?: number | undefined;
}

/**
 * Prices licenses for the rest of a term (README.md, Proration): exact integers, one rounding on the line and one on
 * the tax.
 *
 * @param input the line, the days from the purchase date (included) to the renewal date (excluded), and those of the
 *   whole term
 * @throws BillingError `amount_out_of_range`, `invalid_rate`
 */
export function prorate(input: LineInput & { remainingDays: number; termDays: number }): Charge {
  return chargeOf(input, BigInt(input.remainingDays), BigInt(input.termDays));
}

/** Prices licenses for one whole term: unit price × licenses, plus tax. Throws like `prorate`. */
export function recurringCharge(input: LineInput): Charge {
  return chargeOf(input, 1n, 1n);
}

/**
 * Computes the tax on an amount, rounded to a multiple of `chargeStep` (README.md, Rounding). Throws like `prorate`.
 */
export function taxOn(amount: Money, taxRate: string, chargeStep = 1): Money {
  const { coefficient, scale } = parseDecimal(taxRate);
  const hundredPercent = 100n * 10n ** BigInt(scale);
  return roundToStep(BigInt(amount.amount) * coefficient, hundredPercent, chargeStep, amount.currency);
}

/** Reports whether tax is added at a rate, a percentage as an exact decimal. */
export function isTaxed(taxRate: string): boolean {
  return /[1-9]/.test(taxRate);
}

/**
 * Returns the coarsest step, in minor units, in which a payment provider may charge a currency (README.md, Rounding). A
 * client rejects a quote with a coarser one.
 */
export function maxChargeStep(currency: string): number {
  // The ariary has no hundredths: it is divided by five.
  if (currency === "MGA") return 100;
  return currencyExponent(currency) === 3 ? 10 : 1;
}

function chargeOf({ unitPrice, licenses, taxRate, chargeStep = 1 }: LineInput, part: bigint, whole: bigint): Charge {
  const exact = BigInt(unitPrice.amount) * BigInt(licenses) * part;
  const subtotal = roundToStep(exact, whole, chargeStep, unitPrice.currency);
  const tax = taxOn(subtotal, taxRate, chargeStep);
  return { subtotal, tax, total: addMoney(subtotal, tax) };
}

/** Rounds a fraction of minor units to the nearest multiple of `chargeStep`. */
function roundToStep(numerator: bigint, denominator: bigint, chargeStep: number, currency: string): Money {
  const step = BigInt(chargeStep);
  return money(divideRounded(numerator, denominator * step) * step, currency);
}
