import type { Kysely } from "kysely";
import { daysBetween } from "../../billing/calendar.ts";
import { formatMoney } from "../../billing/money.ts";
import { renewalReminder } from "../../billing/renewal.ts";
import type { Subscription } from "../../contract/billing.ts";
import type { Database, SubscriptionRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { BackendDeps, Notification } from "../deps.ts";
import { queueNotification } from "../events/outbox.ts";
import { countOf } from "../receipts/content.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { type SubscriptionSnapshot, snapshotAt, subscriptionView } from "../subscriptions/view.ts";

/** A subscription whose reminder is due. */
export type DueReminder = Pick<SubscriptionRow, "organization_id" | "remind_at">;

/**
 * Lists organizations with a reminder to send or to plan, the longest overdue first.
 *
 * @param page `after` is the last one of the page before
 */
export async function dueReminders(
  database: Kysely<Database>,
  billingNow: number,
  { limit, after }: { limit: number; after: DueReminder | null },
): Promise<DueReminder[]> {
  let due = database
    .selectFrom("subscriptions")
    .select(["organization_id", "remind_at"])
    .where("remind_at", "<=", billingNow);
  if (after?.remind_at != null) {
    const { remind_at, organization_id } = after;
    due = due.where(({ eb, refTuple, tuple }) =>
      eb(refTuple("remind_at", "organization_id"), ">", tuple(remind_at ?? 0, organization_id)),
    );
  }
  return due.orderBy("remind_at").orderBy("organization_id").limit(limit).execute();
}

type ReminderDeps = Pick<BackendDeps, "database" | "clock" | "gateway" | "reach">;

/**
 * Queues the reminder of a renewal that is due, and plans the next one, in one transaction that locks the subscription, so
 * that each is sent once (src/backend/README.md, Reminders). The first call for an organization only plans. Safe to repeat,
 * at any time, by any number of workers.
 */
export async function remindOfRenewal(deps: ReminderDeps, organizationId: number): Promise<void> {
  const now = deps.clock.now();
  await inTransaction(deps.database, async (tx) => {
    if (!(await lockDue(tx, organizationId, now))) return;
    const row = await readSubscription(tx, organizationId);
    const snapshot = snapshotAt(row, now);
    const { renewalDate } = snapshot.term;
    // Reminders of the time before the first call were not missed by anybody.
    const since = row.remind_at === 0 ? Number.POSITIVE_INFINITY : (row.remind_at ?? 0);
    const { days, nextAt } = renewalReminder(renewalDate, row.time_zone, { since, now });
    const hasEnded = snapshot.state === "ended";
    await tx
      .updateTable("subscriptions")
      .set({ remind_at: hasEnded ? null : nextAt })
      .where("organization_id", "=", organizationId)
      .execute();
    if (days !== null && isReminded(snapshot)) {
      await queueNotification(tx, reminderOf(snapshot, days, deps, now), now);
    }
    deps.reach("B17");
  });
}

/** Locks a subscription without changing it if it has a reminder to send or to plan. Returns whether it has. */
async function lockDue(tx: Kysely<Database>, organizationId: number, now: number): Promise<boolean> {
  const locked = await tx
    .updateTable("subscriptions")
    .set((expression) => ({ remind_at: expression.ref("remind_at") }))
    .where("organization_id", "=", organizationId)
    .where("remind_at", "<=", now)
    .executeTakeFirst();
  return Number(locked.numUpdatedRows) === 1;
}

/**
 * Whether a subscription has reminders. One that is past due does not: it does not renew before that is paid. One that the
 * provider renews has those of the provider, which knows what its invoice will charge, unless it ends.
 */
function isReminded({ row, state, priced }: SubscriptionSnapshot): boolean {
  return state === "active" && !(row.provider_subscription !== null && priced.autoRenew);
}

/** What a reminder says nothing of. */
const NO_COUNTS = { pending: { purchases: 0, licenses: 0 }, idleLicenses: 0, budget: null };

/** Puts a reminder into words. Its ID is that of the renewal and the days, so that it can be recognized. */
function reminderOf(snapshot: SubscriptionSnapshot, days: number, deps: ReminderDeps, now: number): Notification {
  const { row, today, term } = snapshot;
  const { renewal, paymentMethod } = subscriptionView(snapshot, NO_COUNTS, deps.gateway, now);
  const type = renewal.autoRenew ? "renewal.reminder" : "subscription.ending";
  const about = {
    renewalDate: term.renewalDate,
    daysLeft: daysBetween(today, term.renewalDate),
    paymentMethod,
    expires: row.payment_method_expires,
    expiresBefore: row.payment_method_expires !== null && row.payment_method_expires < term.renewalDate.slice(0, 7),
  };
  return {
    id: `organization_${row.organization_id}:${type}:${term.renewalDate}:${days}`,
    type,
    organizationId: row.organization_id,
    purchaseId: null,
    to: null,
    text: renewal.autoRenew ? renewalText(about, renewal) : endingText(about, row),
    data: { ...about, ...renewal },
  };
}

/** What a reminder says beside the amounts. */
interface Reminded {
  readonly renewalDate: string;
  readonly daysLeft: number;
  readonly paymentMethod: Subscription["paymentMethod"];
  readonly expires: string | null;
  readonly expiresBefore: boolean;
}

function renewalText(about: Reminded, { licenses, total, tax }: Subscription["renewal"]): string {
  const { renewalDate, paymentMethod, expires, expiresBefore } = about;
  const amount = total ? ` for ${formatMoney(total)}${tax && tax.amount > 0 ? " with tax" : ""}` : "";
  const payment = !paymentMethod
    ? "No payment method is stored."
    : `It is charged to ${paymentMethod.label}${expiresBefore ? `, which expires before the renewal (${expires})` : ""}.`;
  const change =
    !paymentMethod || expiresBefore ? " Change it with `secureflag-licenses organizations payment-method`." : "";
  return `The subscription renews ${daysText(about)}, on ${renewalDate}, with ${countOf(licenses ?? 0)}${amount}. ${payment}${change}`;
}

function endingText(about: Reminded, { licenses }: Pick<SubscriptionRow, "licenses">): string {
  return `The subscription ends ${daysText(about)}, on ${about.renewalDate}, without a renewal. Its ${countOf(licenses)} can then no longer be used.`;
}

function daysText({ daysLeft }: Reminded): string {
  return daysLeft === 1 ? "in 1 day" : `in ${daysLeft} days`;
}
