/**
 * A second implementation of the rules, independent of `src/billing`: quotient and remainder instead of doubled sums, and
 * day numbers by arithmetic instead of a date library.
 */

/** `numerator / denominator` for non-negative numbers, halves up, by comparing the remainder with its complement. */
export function oracleRound(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const remainder = numerator - quotient * denominator;
  return remainder < denominator - remainder ? quotient : quotient + 1n;
}

/** A percentage such as `"8.875"` as an exact fraction of the whole. */
function oracleRate(text: string): { numerator: bigint; denominator: bigint } {
  const [whole = "", fraction = ""] = text.split(".");
  let denominator = 100n;
  for (const _ of fraction) denominator *= 10n;
  return { numerator: BigInt(whole + fraction), denominator };
}

/** Due now and tax in minor units. */
export function oracleCharge(line: {
  unitPrice: number;
  licenses: number;
  remainingDays: number;
  termDays: number;
  taxRate: string;
}): { dueNow: bigint; tax: bigint; total: bigint } {
  const { numerator, denominator } = oracleRate(line.taxRate);
  const exact = BigInt(line.unitPrice) * BigInt(line.licenses) * BigInt(line.remainingDays);
  const dueNow = oracleRound(exact, BigInt(line.termDays));
  const tax = oracleRound(dueNow * numerator, denominator);
  return { dueNow, tax, total: dueNow + tax };
}

/** Whether a year of the Gregorian calendar is a leap year. */
export function isLeapYear(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

/** How many days a month (1–12) has. */
export function daysInMonth(year: number, month: number): number {
  if (month === 2) return isLeapYear(year) ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

/** The day number of a date, from 0001-01-01 = 1, by adding up years and months. */
export function dayNumber(date: string): number {
  const [year = 0, month = 0, day = 0] = date.split("-").map(Number);
  const before = year - 1;
  let days = before * 365 + Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400);
  for (let past = 1; past < month; past += 1) days += daysInMonth(year, past);
  return days + day;
}

/** `anchor` plus so many months, the day clamped to the month's last. */
export function oracleBoundary(anchor: string, months: number): string {
  const [year = 0, month = 0, day = 0] = anchor.split("-").map(Number);
  const total = year * 12 + (month - 1) + months;
  const newYear = Math.floor(total / 12);
  const newMonth = (total % 12) + 1;
  return calendarDate(newYear, newMonth, Math.min(day, daysInMonth(newYear, newMonth)));
}

/** `YYYY-MM-DD` from its parts. */
export function calendarDate(year: number, month: number, day: number): string {
  return [String(year).padStart(4, "0"), String(month).padStart(2, "0"), String(day).padStart(2, "0")].join("-");
}
