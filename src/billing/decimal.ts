import { BillingError } from "./errors.ts";

/** An exact decimal number: `coefficient / 10^scale`. */
export interface Decimal {
  readonly coefficient: bigint;
  readonly scale: number;
}

/**
 * Parses a non-negative decimal such as `"8.875"` without loss.
 *
 * @throws BillingError `invalid_rate` unless the text is up to 15 digits, optionally a point and up to nine decimals
 */
export function parseDecimal(text: string): Decimal {
  const [, whole, fraction = ""] = /^(\d{1,15})(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  if (whole === undefined)
    throw new BillingError("invalid_rate", `"${text}" is not a decimal number such as 20 or 8.875`);
  return { coefficient: BigInt(whole + fraction), scale: fraction.length };
}

/**
 * Divides and rounds to the nearest integer, halves away from zero (README.md, Rounding).
 *
 * @param denominator greater than zero
 */
export function divideRounded(numerator: bigint, denominator: bigint): bigint {
  const half = numerator < 0n ? -denominator : denominator;
  return (2n * numerator + half) / (2n * denominator);
}
