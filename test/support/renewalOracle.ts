import { dayNumber, oracleBoundary, oracleCharge } from "./oracle.ts";

/** What a subscription is billed by, as a test writes it down. */
export interface BilledSubscription {
  readonly anchorDate: string;
  readonly interval: "month" | "year";
  readonly intervalCount: number;
  readonly timeZone: string;
  /** In minor units. */
  readonly unitPrice: number;
  readonly taxRate: string;
}

/** One renewal that is expected. */
export interface ExpectedRenewal {
  readonly start: string;
  readonly renewalDate: string;
  readonly days: number;
  readonly licenses: number;
  readonly dueNow: number;
  readonly tax: number;
  readonly total: number;
}

/** The date that a wall calendar shows in a zone. */
export function wallDate(instant: number, timeZone: string): string {
  // Swedish dates are written like ours.
  return new Intl.DateTimeFormat("sv-SE", { timeZone }).format(instant);
}

/**
 * The terms and charges of a subscription a second time (billing-rules.md, Renewal), written another way than
 * `src/billing`: boundaries by counting months, amounts by quotient and remainder.
 */
export class RenewalOracle {
  readonly renewals: ExpectedRenewal[] = [];
  reduction: number | null = null;
  #index: number;

  constructor(
    readonly billed: BilledSubscription,
    public licenses: number,
    public used: number,
    now: number,
  ) {
    this.#index = 0;
    while (this.#boundary(this.#index + 1) <= this.#today(now)) this.#index += 1;
  }

  /** Time passes: every boundary on the way is a renewal. */
  advanceTo(now: number): void {
    while (this.#boundary(this.#index + 1) <= this.#today(now)) {
      this.#index += 1;
      this.licenses = this.renewsFor();
      this.reduction = null;
      this.renewals.push({ ...this.#term(), licenses: this.licenses, ...this.#charge(this.licenses, 1, 1) });
    }
  }

  /** What N more cost now. */
  price(licenses: number, now: number): { dueNow: number; tax: number; total: number } {
    const { days, renewalDate } = this.#term();
    return this.#charge(licenses, dayNumber(renewalDate) - dayNumber(this.#today(now)), days);
  }

  /** N more were bought. */
  bought(licenses: number): void {
    this.licenses += licenses;
    if (this.reduction !== null) this.reduction += licenses;
  }

  /** How many licenses the next renewal is for. */
  renewsFor(bought = 0): number {
    return this.reduction === null ? this.licenses + bought : Math.max(this.reduction + bought, this.used);
  }

  /** The subscription, as far as it follows from all this. */
  picture(now: number) {
    const { start, renewalDate, days } = this.#term();
    const licenses = this.renewsFor();
    const daysRemaining = dayNumber(renewalDate) - dayNumber(this.#today(now));
    return {
      term: { start, renewalDate, days, daysRemaining },
      licenses: { purchased: this.licenses, used: this.used, available: this.licenses - this.used },
      renewal: { licenses, total: { amount: this.#charge(licenses, 1, 1).total } },
      reduction: this.reduction === null ? null : { licenses: this.reduction, date: renewalDate },
    };
  }

  #today(now: number): string {
    return wallDate(now, this.billed.timeZone);
  }

  #boundary(index: number): string {
    const { anchorDate, interval, intervalCount } = this.billed;
    return oracleBoundary(anchorDate, index * intervalCount * (interval === "year" ? 12 : 1));
  }

  #term() {
    const [start, renewalDate] = [this.#boundary(this.#index), this.#boundary(this.#index + 1)];
    return { start, renewalDate, days: dayNumber(renewalDate) - dayNumber(start) };
  }

  #charge(licenses: number, remainingDays: number, termDays: number) {
    const { unitPrice, taxRate } = this.billed;
    const { dueNow, tax, total } = oracleCharge({ unitPrice, taxRate, licenses, remainingDays, termDays });
    return { dueNow: Number(dueNow), tax: Number(tax), total: Number(total) };
  }
}
