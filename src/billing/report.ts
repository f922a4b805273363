import { type Money, money } from "./money.ts";
import { recurringCharge } from "./proration.ts";
import { licensesAtRenewal, type PricedSubscription } from "./quote.ts";

/** How many days of the past the pace of a runway is measured on. */
export const RUNWAY_BASIS_DAYS = 90;

/** How long the available licenses last (README.md, Report). */
export interface Runway {
  /** Whole days until none is available. */
  readonly days: number;
  /** To four decimals. */
  readonly usersPerDay: number;
  readonly basisDays: number;
}

/**
 * Returns how long licenses last at the pace of the last 90 days.
 *
 * @param available licenses available now
 * @param added users who took a license in those days, without those who gave one back; `null` if that is not known
 * @returns `null` if no users were added in net, or that is not known
 */
export function runwayOf(available: number, added: number | null): Runway | null {
  if (added === null || added <= 0) return null;
  return {
    days: Math.max(0, Math.floor((available * RUNWAY_BASIS_DAYS) / added)),
    usersPerDay: Math.round((added * 10_000) / RUNWAY_BASIS_DAYS) / 10_000,
    basisDays: RUNWAY_BASIS_DAYS,
  };
}

/** The licenses that nobody uses, and what the renewal costs more because of them, tax included. */
export interface Unused {
  readonly licenses: number;
  readonly renewalTotal: Money;
}

/**
 * Returns what the licenses that are available add to the renewal: nothing, if a reduction takes them away (README.md,
 * Report).
 *
 * @param chargeStep the provider's smallest step in minor units
 * @returns `null` without a renewal
 * @throws BillingError `amount_out_of_range`
 */
export function unusedLicenses(subscription: Omit<PricedSubscription, "term">, chargeStep: number): Unused | null {
  const { unitPrice, taxRate, purchased, used, autoRenew } = subscription;
  if (!autoRenew) return null;
  const totalOf = (licenses: number) => recurringCharge({ unitPrice, licenses, taxRate, chargeStep }).total;
  const renewed = licensesAtRenewal(subscription);
  return {
    licenses: Math.max(0, purchased - used),
    renewalTotal: subtract(totalOf(renewed), totalOf(Math.min(renewed, used))),
  };
}

/** Subtracts an amount from one of the same currency; the difference may be negative. Throws like `money`. */
export function subtract(a: Money, b: Money): Money {
  return money(BigInt(a.amount) - BigInt(b.amount), a.currency);
}

/**
 * Returns a count as it was at the end of each of several periods, which end now.
 *
 * @param now the count at the end of the last one
 * @param changes what was added to the count in each, without what was taken away; `null` if that is not known
 * @returns the counts in the same order; `null` before a period whose change is not known
 */
export function countsAtEnds(now: number, changes: readonly (number | null)[]): (number | null)[] {
  let count: number | null = now;
  return changes
    .toReversed()
    .map((change) => {
      const end = count;
      count = count === null || change === null ? null : count - change;
      return end;
    })
    .toReversed();
}
