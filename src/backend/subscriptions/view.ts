import { type CalendarDate, dateInZone } from "../../billing/calendar.ts";
import { IDLE_DAYS } from "../../billing/idle.ts";
import { formatMoney, type Money, money } from "../../billing/money.ts";
import { isTaxed, recurringCharge } from "../../billing/proration.ts";
import { licensesAtRenewal, type PricedSubscription } from "../../billing/quote.ts";
import { type Term, termAt, termIndexOn, termOnDate } from "../../billing/term.ts";
import type { Subscription } from "../../contract/billing.ts";
import { modeFields } from "../../contract/mode.ts";
import type { OrganizationSubscription } from "../database/schema.ts";
import { BackendError } from "../errors.ts";
import { chargeStepOf, type PaymentGateway } from "../payments/gateway.ts";
import { licenseCounts, termRuleOf } from "./store.ts";

/** A stored subscription at an instant of the billing clock. */
export interface SubscriptionSnapshot {
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
 * Computes the state of a stored subscription at an instant. With `autoRenew` its term is the one that contains today, even
 * if its renewal is unpaid; without it, the subscription ends on the renewal date of its last term
 * (src/billing/README.md, Renewal).
 *
 * @param now the billing clock, milliseconds
 */
export function snapshotAt(row: OrganizationSubscription, now: number): SubscriptionSnapshot {
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

/** A renewal makes a subscription past due once its first attempt has failed (src/billing/README.md, Renewal). */
function renewalState(row: OrganizationSubscription, now: number): "active" | "past_due" | "suspended" {
  if (row.provider_status === "past_due") return "past_due";
  if (row.provider_status === "unpaid") return "suspended";
  const hasFailed = row.renewal_state === "declined" || (row.renewal_attempts ?? 0) > 0;
  if (!hasFailed) return "active";
  return now < (row.renewal_grace_until ?? 0) ? "past_due" : "suspended";
}

/**
 * The contract's view of a subscription.
 *
 * @param counts its purchases in progress, the licenses of users who have been idle for `IDLE_DAYS`, and its budget
 * @param now the billing clock, milliseconds
 */
export function subscriptionView(
  snapshot: SubscriptionSnapshot,
  { pending, idleLicenses, budget }: Pick<Subscription, "pending" | "budget"> & { readonly idleLicenses: number },
  gateway: PaymentGateway,
  now: number,
): Subscription {
  const { row, today, term, state, unitPrice, priced } = snapshot;
  const licenses = licensesAtRenewal(priced);
  const line = { unitPrice, licenses, taxRate: row.tax_rate, chargeStep: chargeStepOf(gateway, row.currency) };
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
    paymentMethod: row.payment_method === null ? null : gateway.describe(row.payment_method, row.payment_method_label),
    taxRate: row.tax_rate,
    pending,
    reduction: reductionView(row),
    unpaid: unpaidView(snapshot, line.chargeStep),
    idle: { days: IDLE_DAYS, licenses: idleLicenses },
    budget,
    version: row.version,
    asOf: new Date(now).toISOString(),
    ...modeFields(gateway.account.mode),
  };
}

function unpaidView(snapshot: SubscriptionSnapshot, chargeStep: number): Subscription["unpaid"] {
  const unpaid = unpaidRenewal(snapshot);
  return unpaid && { ...unpaid, missed: missedRenewals(snapshot, chargeStep) };
}

/**
 * The renewals of terms that have begun since the unpaid one, and their sum: they are charged in order once it is paid.
 *
 * @param chargeStep the provider's smallest step in minor units
 */
export function missedRenewals(
  { row, termIndex, unitPrice, priced }: SubscriptionSnapshot,
  chargeStep: number,
): NonNullable<Subscription["unpaid"]>["missed"] {
  const renewals = termIndex - row.term_index;
  if (renewals <= 0) return null;
  const chargeFor = (licenses: number) =>
    recurringCharge({ unitPrice, licenses, taxRate: priced.taxRate, chargeStep }).total.amount;
  // A term that began before the reduction was scheduled has all licenses.
  const reduced =
    row.reduction === null ? 0 : Math.min(renewals, Math.max(0, termIndex - (row.reduction_term ?? 0) + 1));
  const sum =
    chargeFor(row.licenses) * (renewals - reduced) + (reduced && chargeFor(licensesAtRenewal(priced)) * reduced);
  return { renewals, total: money(sum, row.currency) };
}

/**
 * The unpaid renewal of a past-due or suspended subscription: the oldest one, because no further renewal is made before it
 * is paid. The deadline is the first day on which the subscription is suspended; retries do not move it.
 */
function unpaidRenewal({ row, state }: SubscriptionSnapshot) {
  const { unpaid_renewal: purchaseId, renewal_total: total, renewal_grace_until: graceUntil } = row;
  if (state !== "past_due" && state !== "suspended") return null;
  if (purchaseId === null || total === null || graceUntil === null) return null;
  return { purchaseId, total: money(total, row.currency), deadline: dateInZone(graceUntil, row.time_zone) };
}

/** The scheduled reduction and when it takes effect, which is in the past while renewals are unpaid. */
function reductionView(row: OrganizationSubscription): Subscription["reduction"] {
  const { reduction, reduction_term } = row;
  if (reduction === null || reduction_term === null) return null;
  return { licenses: reduction, date: termAt(termRuleOf(row), reduction_term).start };
}

/**
 * Refuses to sell licenses to a subscription that has ended or whose renewal is unpaid (src/billing/README.md, Renewal).
 *
 * @throws BackendError `subscription_not_purchasable`, with the renewal to pay as `purchaseId`
 */
export function assertPurchasable(snapshot: SubscriptionSnapshot): void {
  if (snapshot.state !== "active") throw notPurchasable(snapshot, "No licenses can be bought");
}

/**
 * Refuses to assign licenses of a subscription that has ended or is suspended. While it is past due, they stay usable.
 *
 * @throws BackendError `subscription_not_purchasable`, with the renewal to pay as `purchaseId`
 */
export function assertUsable(snapshot: SubscriptionSnapshot): void {
  if (snapshot.state === "ended" || snapshot.state === "suspended")
    throw notPurchasable(snapshot, "Users cannot take licenses");
}

function notPurchasable(snapshot: SubscriptionSnapshot, consequence: string): BackendError {
  const { row, term, state } = snapshot;
  const unpaid = unpaidRenewal(snapshot);
  if (unpaid === null && state !== "ended") {
    return new BackendError(
      "subscription_not_purchasable",
      `${consequence}: the invoice of the last renewal is unpaid. Pay it from the email that it came with`,
    );
  }
  if (unpaid === null) {
    return new BackendError(
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
  return new BackendError(
    "subscription_not_purchasable",
    `${consequence}: renewal ${purchaseId} (${amount}) is unpaid, and ${suspension}`,
    { purchaseId },
  );
}
