import { type CalendarDate, dateInZone } from "../../billing/calendar.ts";
import { type Money, money } from "../../billing/money.ts";
import { recurringCharge } from "../../billing/proration.ts";
import type { PricedSubscription } from "../../billing/quote.ts";
import { type Term, termAt, termIndexOn, termOnDate } from "../../billing/term.ts";
import type { Subscription } from "../../contract/billing.ts";
import type { PaymentGateway } from "../payments/gateway.ts";
import { licenseCounts, type OrganizationSubscription } from "../store/subscriptions.ts";

/** A stored subscription seen at one instant of the billing clock. */
export interface SubscriptionPicture {
  readonly row: OrganizationSubscription;
  /** The calendar date in the billing time zone. */
  readonly today: CalendarDate;
  readonly term: Term;
  readonly state: Subscription["state"];
  readonly unitPrice: Money;
  readonly priced: PricedSubscription;
}

/**
 * Sees a stored subscription at one instant: with `autoRenew` the term is the one that contains today; without it the
 * subscription ends on the renewal date of the term that it was in (billing-rules.md, Renewal).
 *
 * @param now the billing clock, milliseconds
 */
export function pictureAt(row: OrganizationSubscription, now: number): SubscriptionPicture {
  const rule = { anchorDate: row.anchor_date, interval: row.interval, intervalCount: row.interval_count };
  const today = dateInZone(now, row.time_zone);
  const autoRenew = row.auto_renew === 1;
  const term = termAt(rule, autoRenew ? termIndexOn(rule, today) : row.term_index);
  const unitPrice = money(row.unit_price, row.currency);
  return {
    row,
    today,
    term,
    state: today >= term.renewalDate ? "ended" : "active",
    unitPrice,
    priced: {
      unitPrice,
      taxRate: row.tax_rate,
      term,
      purchased: row.licenses,
      used: row.used,
      reduction: null,
      autoRenew,
    },
  };
}

/** The subscription as the contract shows it (cli.md, JSON of `status`; details.md, 21). */
export function subscriptionView(
  { row, today, term, state, unitPrice, priced }: SubscriptionPicture,
  pending: Subscription["pending"],
  gateway: PaymentGateway,
  now: number,
): Subscription {
  const line = {
    unitPrice,
    licenses: row.licenses,
    taxRate: row.tax_rate,
    chargeStep: gateway.chargeStep(row.currency),
  };
  const recurring = priced.autoRenew ? recurringCharge(line) : null;
  return {
    organization: { id: row.organization_id, name: row.name, timeZone: row.time_zone },
    plan: { name: row.plan, interval: row.interval, intervalCount: row.interval_count, unitPrice },
    state,
    licenses: licenseCounts(row),
    term: termOnDate(term, today),
    renewal: {
      autoRenew: priced.autoRenew,
      licenses: recurring ? row.licenses : null,
      subtotal: recurring?.subtotal ?? null,
      tax: recurring?.tax ?? null,
      total: recurring?.total ?? null,
    },
    paymentMethod: row.payment_method === null ? null : gateway.describe(row.payment_method),
    taxRate: row.tax_rate,
    pending,
    reduction: null,
    version: row.version,
    asOf: new Date(now).toISOString(),
  };
}
