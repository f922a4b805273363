import { divideRoundHalfUp, parseDecimal } from "./decimal.ts";
import { addMoney, currencyExponent, type Money, money } from "./money.ts";

/** One charged line with its tax: `total = subtotal + tax`. */
export interface Charge {
  readonly subtotal: Money;
  readonly tax: Money;
  readonly total: Money;
}

/** What a line is made of. `chargeStep` is the provider's smallest step in minor units, 1 for most currencies. */
export interface LineInput {
  readonly unitPrice: Money;
  readonly licenses: number;
  readonly taxRate: string;
  readonly chargeStep?: number | undefined;
}

/**
 * The prorated line and its tax (billing-rules.md, Proration): one rounding on the line, one on the tax, halves away
 * from zero, exact integers only.
 *
 * @param unitPrice the price of one license for one whole term, without tax
 * @param remainingDays from the purchase date, counted, to the renewal date, not counted
 * @throws BillingError `amount_out_of_range`, `invalid_rate`
 */
export function prorate(input: LineInput & { remainingDays: number; termDays: number }): Charge {
  return lineOf(input, BigInt(input.remainingDays), BigInt(input.termDays));
}

/** The recurring charge of whole terms: unit price × licenses, plus tax. Throws as `prorate`. */
export function recurringCharge(input: LineInput): Charge {
  return lineOf(input, 1n, 1n);
}

/**
 * The tax on an amount, rounded half up to a step.
 *
 * @param taxRate a percentage as an exact decimal, `"20"` or `"8.875"`
 */
export function taxOn(amount: Money, taxRate: string, chargeStep = 1): Money {
  const rate = parseDecimal(taxRate);
  const step = BigInt(chargeStep);
  const hundredfold = 100n * 10n ** BigInt(rate.scale);
  return money(divideRoundHalfUp(BigInt(amount.amount) * rate.coefficient, hundredfold * step) * step, amount.currency);
}

/** Whether tax is added to amounts at a rate, an exact decimal percentage. */
export function isTaxed(taxRate: string): boolean {
  return /[1-9]/.test(taxRate);
}

/**
 * The coarsest step that a provider may charge a currency in, in ISO 4217 minor units (billing-rules.md, Proration):
 * Stripe takes three-decimal currencies in tens; ISK and UGX have no minor unit here, so their step is 1.
 */
export function largestChargeStep(currency: string): number {
  return currencyExponent(currency) === 3 ? 10 : 1;
}

function lineOf({ unitPrice, licenses, taxRate, chargeStep = 1 }: LineInput, part: bigint, whole: bigint): Charge {
  const step = BigInt(chargeStep);
  const exact = BigInt(unitPrice.amount) * BigInt(licenses) * part;
  const subtotal = money(divideRoundHalfUp(exact, whole * step) * step, unitPrice.currency);
  const tax = taxOn(subtotal, taxRate, chargeStep);
  return { subtotal, tax, total: addMoney(subtotal, tax) };
}
