import { type CalendarDate, dateInZone } from "../../billing/calendar.ts";
import { formatMoney, type Money, money } from "../../billing/money.ts";
import { isTaxed, recurringCharge } from "../../billing/proration.ts";
import { licensesAtRenewal, type PricedSubscription } from "../../billing/quote.ts";
import { type Term, termAt, termIndexOn, termOnDate } from "../../billing/term.ts";
import type { Subscription } from "../../contract/billing.ts";
import { ProblemError } from "../errors.ts";
import type { PaymentGateway } from "../payments/gateway.ts";
import { licenseCounts, type OrganizationSubscription, termRuleOf } from "./store.ts";

/** A stored subscription seen at one instant of the billing clock. */
export interface SubscriptionPicture {
  readonly row: OrganizationSubscription;
  /** The calendar date in the billing time zone. */
  readonly today: CalendarDate;
  readonly termIndex: number;
  readonly term: Term;
  readonly state: Subscription["state"];
  readonly unitPrice: Money;
  readonly priced: PricedSubscription;
}

/**
 * Sees a stored subscription at one instant: with `autoRenew` the term is the one that contains today, whether or not its
 * renewal is paid; without it the subscription ends on the renewal date of the term that it was in (billing-rules.md,
 * Renewal).
 *
 * @param now the billing clock, milliseconds
 */
export function pictureAt(row: OrganizationSubscription, now: number): SubscriptionPicture {
  const rule = termRuleOf(row);
  const today = dateInZone(now, row.time_zone);
  const autoRenew = row.auto_renew === 1;
  const termIndex = autoRenew ? termIndexOn(rule, today) : row.term_index;
  const term = termAt(rule, termIndex);
  const unitPrice = money(row.unit_price, row.currency);
  return {
    row,
    today,
    termIndex,
    term,
    state: today >= term.renewalDate ? "ended" : renewalState(row, now),
    unitPrice,
    priced: {
      unitPrice,
      taxRate: row.tax_rate,
      term,
      purchased: row.licenses,
      used: row.used,
      reduction: row.reduction,
      autoRenew,
    },
  };
}

/** While the first attempt at a renewal is under way nothing has failed (billing-rules.md, Renewal). */
function renewalState(row: OrganizationSubscription, now: number): "active" | "past_due" | "suspended" {
  const hasFailed = row.renewal_state === "declined" || (row.renewal_attempts ?? 0) > 0;
  if (!hasFailed) return "active";
  return now < (row.renewal_grace_until ?? 0) ? "past_due" : "suspended";
}

/** The subscription as the contract shows it (cli.md, JSON of `status`; details.md, 21). */
export function subscriptionView(
  picture: SubscriptionPicture,
  pending: Subscription["pending"],
  gateway: PaymentGateway,
  now: number,
): Subscription {
  const { row, today, term, state, unitPrice, priced } = picture;
  const licenses = licensesAtRenewal(priced);
  const line = { unitPrice, licenses, taxRate: row.tax_rate, chargeStep: gateway.chargeStep(row.currency) };
  const recurring = priced.autoRenew ? recurringCharge(line) : null;
  return {
    organization: { id: row.organization_id, name: row.name, timeZone: row.time_zone },
    plan: { name: row.plan, interval: row.interval, intervalCount: row.interval_count, unitPrice },
    state,
    licenses: licenseCounts(row),
    term: termOnDate(term, today),
    renewal: {
      autoRenew: priced.autoRenew,
      licenses: recurring && licenses,
      subtotal: recurring?.subtotal ?? null,
      tax: recurring?.tax ?? null,
      total: recurring?.total ?? null,
    },
    paymentMethod: row.payment_method === null ? null : gateway.describe(row.payment_method),
    taxRate: row.tax_rate,
    pending,
    reduction: reductionView(row),
    unpaid: unpaidRenewal(picture),
    version: row.version,
    asOf: new Date(now).toISOString(),
  };
}

/**
 * The renewal that a past-due or suspended subscription has to pay: the oldest one, because no further renewal is made
 * before it is paid. Its deadline is the first day on which the subscription is suspended, whatever is retried meanwhile.
 */
function unpaidRenewal({ row, state }: SubscriptionPicture): Subscription["unpaid"] {
  const { unpaid_renewal: purchaseId, renewal_total: total, renewal_grace_until: graceUntil } = row;
  if (state !== "past_due" && state !== "suspended") return null;
  if (purchaseId === null || total === null || graceUntil === null) return null;
  return { purchaseId, total: money(total, row.currency), deadline: dateInZone(graceUntil, row.time_zone) };
}

/** What is scheduled, and from when on it counts; while renewals are missing, that may be a term that has begun already. */
function reductionView(row: OrganizationSubscription): Subscription["reduction"] {
  const { reduction, reduction_term } = row;
  if (reduction === null || reduction_term === null) return null;
  return { licenses: reduction, date: termAt(termRuleOf(row), reduction_term).start };
}

/**
 * Refuses to sell to a subscription that has ended or whose renewal is not paid (billing-rules.md, Renewal).
 *
 * @throws ProblemError `subscription_not_purchasable`, with the renewal to pay as `purchaseId`
 */
export function assertPurchasable(picture: SubscriptionPicture): void {
  if (picture.state !== "active") throw notPurchasable(picture, "No licenses can be bought");
}

/**
 * Refuses to give out a license when the subscription has ended or is suspended; while it is past due licenses stay usable.
 *
 * @throws ProblemError `subscription_not_purchasable`, with the renewal to pay as `purchaseId`
 */
export function assertUsable(picture: SubscriptionPicture): void {
  if (picture.state === "ended" || picture.state === "suspended")
    throw notPurchasable(picture, "Users cannot take licenses");
}

function notPurchasable(picture: SubscriptionPicture, consequence: string): ProblemError {
  const { row, term, state } = picture;
  const unpaid = unpaidRenewal(picture);
  if (unpaid === null) {
    return new ProblemError(
      "subscription_not_purchasable",
      `${consequence}: the subscription ended on ${term.renewalDate}`,
    );
  }
  const { purchaseId, total, deadline } = unpaid;
  const amount = `${formatMoney(total)}${isTaxed(row.tax_rate) ? " with tax" : ""}`;
  const suspension =
    state === "suspended"
      ? `the subscription has been suspended since ${deadline}`
      : `on ${deadline} the subscription is suspended`;
  return new ProblemError(
    "subscription_not_purchasable",
    `${consequence}: renewal ${purchaseId} (${amount}) is unpaid, and ${suspension}`,
    { purchaseId },
  );
}
