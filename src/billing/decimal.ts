import { BillingError } from "./errors.ts";

/** An exact decimal: `coefficient / 10^scale`. */
export interface Decimal {
  readonly coefficient: bigint;
  readonly scale: number;
}

/**
 * Reads a non-negative decimal such as `"8.875"`, exactly.
 *
 * @throws BillingError `invalid_rate` for anything but digits with at most one point and nine decimals.
 */
export function parseDecimal(text: string): Decimal {
  const match = /^(\d{1,15})(?:\.(\d{1,9}))?$/.exec(text);
  if (!match) throw new BillingError("invalid_rate", `"${text}" is not a decimal number such as 20 or 8.875`);
  const fraction = match[2] ?? "";
  return { coefficient: BigInt(`${match[1]}${fraction}`), scale: fraction.length };
}

/**
 * `numerator / denominator` to the nearest integer, halves away from zero (billing-rules.md, Proration).
 *
 * @param denominator above zero
 */
export function divideRoundHalfUp(numerator: bigint, denominator: bigint): bigint {
  const doubled = 2n * (numerator < 0n ? -numerator : numerator);
  const rounded = (doubled + denominator) / (2n * denominator);
  return numerator < 0n ? -rounded : rounded;
}
