import fc from "fast-check";
import { calendarDate, daysInMonth } from "./oracle.ts";

/** Any date of the calendar between two years. */
export function anyDate(firstYear = 2000, lastYear = 2100): fc.Arbitrary<string> {
  return fc
    .record({ year: fc.integer({ min: firstYear, max: lastYear }), month: fc.integer({ min: 1, max: 12 }) })
    .chain(({ year, month }) =>
      fc.integer({ min: 1, max: daysInMonth(year, month) }).map((day) => calendarDate(year, month, day)),
    );
}

/** Dates on which clamping happens: the 29th to the 31st of any month, 29 February among them. */
export function lateDate(firstYear = 2000, lastYear = 2100): fc.Arbitrary<string> {
  return anyDate(firstYear, lastYear).filter((date) => Number(date.slice(8)) >= 29);
}

/** A currency of each exponent: 2, 0 and 3 decimals. */
export const anyCurrency = fc.constantFrom("USD", "GBP", "EUR", "JPY", "CLP", "KRW", "KWD", "BHD", "TND");

/** A tax rate as an exact decimal, up to 99 with up to nine decimals. */
export const anyTaxRate = fc.oneof(
  fc.constantFrom("0", "20", "8.875", "10", "7.5", "100"),
  fc
    .tuple(fc.integer({ min: 0, max: 99 }), fc.integer({ min: 0, max: 999_999_999 }), fc.integer({ min: 0, max: 9 }))
    .map(([whole, fraction, digits]) => {
      const decimals = String(fraction).padStart(9, "0").slice(0, digits);
      return decimals ? `${whole}.${decimals}` : String(whole);
    }),
);

/** A line to prorate, the price in minor units. */
export interface Line {
  readonly unitPrice: number;
  readonly currency: string;
  readonly licenses: number;
  readonly remainingDays: number;
  readonly termDays: number;
  readonly taxRate: string;
}

/** Any line: small and large prices, and any day of a term. */
export const anyLine: fc.Arbitrary<Line> = fc
  .record({
    unitPrice: fc.oneof(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 0, max: 10_000_000_000 })),
    currency: anyCurrency,
    licenses: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 10_000 })),
    termDays: fc.oneof(fc.constantFrom(28, 29, 30, 31, 365, 366), fc.integer({ min: 28, max: 3653 })),
    taxRate: anyTaxRate,
  })
  .chain((line) => fc.integer({ min: 0, max: line.termDays }).map((remainingDays) => ({ ...line, remainingDays })));
