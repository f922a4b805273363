import { dayNumber, oracleBoundary, oracleCharge } from "./oracle.ts";

/** The billing of a subscription. */
export interface BilledSubscription {
  readonly anchorDate: string;
  readonly interval: "month" | "year";
  readonly intervalCount: number;
  readonly timeZone: string;
  /** In minor units. */
  readonly unitPrice: number;
  readonly taxRate: string;
}

/** An expected renewal. */
export interface ExpectedRenewal {
  readonly start: string;
  readonly renewalDate: string;
  readonly days: number;
  readonly licenses: number;
  readonly dueNow: number;
  readonly tax: number;
  readonly total: number;
}

/** The calendar date of an instant in a time zone. */
export function wallDate(instant: number, timeZone: string): string {
  // Swedish dates are `YYYY-MM-DD`.
  return new Intl.DateTimeFormat("sv-SE", { timeZone }).format(instant);
}

/**
 * A second implementation of terms and charges (src/billing/README.md, Renewal), independent of `src/billing`: boundaries
 * by counting months, amounts by quotient and remainder, and a reduction by the date it takes effect.
 */
export class RenewalOracle {
  readonly renewals: ExpectedRenewal[] = [];
  reduction: { licenses: number; readonly date: string } | null = null;
  /** Whether renewals are paid. After an unpaid one no further renewal is made until it is paid. */
  isPaying = true;
  /** Whether the last renewal is unpaid. */
  isOwing = false;
  /** The last renewed term. */
  #index: number;

  constructor(
    readonly billed: BilledSubscription,
    public licenses: number,
    public used: number,
    now: number,
  ) {
    this.#index = this.#indexOn(now);
  }

  /** Moves time forward and renews at every boundary on the way. */
  advanceTo(now: number): void {
    const last = this.#indexOn(now);
    while (!this.isOwing && this.#index < last) {
      this.#index += 1;
      const term = this.#term(this.#index);
      if (this.reduction !== null && this.reduction.date <= term.start) {
        this.licenses = this.renewsFor();
        this.reduction = null;
      }
      this.renewals.push({ ...term, licenses: this.licenses, ...this.#charge(this.licenses, 1, 1) });
      this.isOwing = !this.isPaying;
    }
  }

  /** Pays the unpaid renewal, and makes the missed ones. */
  pay(now: number): void {
    this.isPaying = true;
    this.isOwing = false;
    this.advanceTo(now);
  }

  /** Whether a reduction can be scheduled, changed or canceled, which is until its date. */
  isReducible(now: number): boolean {
    return this.reduction === null || this.reduction.date > this.#today(now);
  }

  /** Schedules fewer licenses from the next boundary on. */
  reduce(licenses: number, now: number): void {
    this.reduction = { licenses, date: this.#term(this.#indexOn(now)).renewalDate };
  }

  /** The price of N more licenses now. */
  price(licenses: number, now: number): { dueNow: number; tax: number; total: number } {
    const { days, renewalDate } = this.#term(this.#indexOn(now));
    return this.#charge(licenses, dayNumber(renewalDate) - dayNumber(this.#today(now)), days);
  }

  /** Buys N more licenses. */
  bought(licenses: number): void {
    this.licenses += licenses;
    if (this.reduction !== null) this.reduction.licenses += licenses;
  }

  /** The licenses of the next renewal. */
  renewsFor(bought = 0): number {
    return this.reduction === null ? this.licenses + bought : Math.max(this.reduction.licenses + bought, this.used);
  }

  /** The expected fields of the subscription. */
  snapshot(now: number) {
    const { start, renewalDate, days } = this.#term(this.#indexOn(now));
    const licenses = this.renewsFor();
    const daysRemaining = dayNumber(renewalDate) - dayNumber(this.#today(now));
    return {
      term: { start, renewalDate, days, daysRemaining },
      licenses: { purchased: this.licenses, used: this.used, available: this.licenses - this.used },
      renewal: { licenses, total: { amount: this.#charge(licenses, 1, 1).total } },
      reduction: this.reduction,
    };
  }

  #today(now: number): string {
    return wallDate(now, this.billed.timeZone);
  }

  /** The index of the term that contains an instant. */
  #indexOn(now: number): number {
    const today = this.#today(now);
    let index = 0;
    while (this.#boundary(index + 1) <= today) index += 1;
    return index;
  }

  #boundary(index: number): string {
    const { anchorDate, interval, intervalCount } = this.billed;
    return oracleBoundary(anchorDate, index * intervalCount * (interval === "year" ? 12 : 1));
  }

  #term(index: number) {
    const [start, renewalDate] = [this.#boundary(index), this.#boundary(index + 1)];
    return { start, renewalDate, days: dayNumber(renewalDate) - dayNumber(start) };
  }

  #charge(licenses: number, remainingDays: number, termDays: number) {
    const { unitPrice, taxRate } = this.billed;
    const { dueNow, tax, total } = oracleCharge({ unitPrice, taxRate, licenses, remainingDays, termDays });
    return { dueNow: Number(dueNow), tax: Number(tax), total: Number(total) };
  }
}
