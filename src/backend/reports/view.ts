import { type Money, money } from "../../billing/money.ts";
import { addMonths, type CalendarMonth, countMonths } from "../../billing/months.ts";
import { countsAtEnds, runwayOf, subtract, unusedLicenses } from "../../billing/report.ts";
import { takesLicense } from "../../billing/roles.ts";
import type { Report, ReportMonth } from "../../contract/report.ts";
import type { SubscriptionSnapshot } from "../subscriptions/view.ts";
import type { Happened, Payments, Period, ReportFacts, UserChanges } from "./store.ts";

/** The months of a report. */
export interface ReportMonths {
  readonly from: CalendarMonth;
  readonly to: CalendarMonth;
}

/** What a report is about. */
export interface ReportSubject {
  readonly snapshot: SubscriptionSnapshot;
  readonly months: ReportMonths;
  /** Of each month, of the time after the last one, and of the days that a runway is measured on. */
  readonly periods: readonly Period[];
  readonly isGrouped: boolean;
  /** The provider's smallest step in minor units. */
  readonly chargeStep: number;
  /** The billing clock, milliseconds. */
  readonly now: number;
}

/**
 * The contract's view of a report.
 *
 * @throws BillingError `amount_out_of_range` for a sum that is too large
 */
export function reportView(subject: ReportSubject, facts: ReportFacts): Report {
  const { snapshot, months, isGrouped, chargeStep, now } = subject;
  const { row, priced, state } = snapshot;
  const { licenses: purchased, used } = facts;
  const inMonths = facts.periods.slice(0, countMonths(months.from, months.to));
  const recent = facts.periods.at(-1);
  const all = mergeAll(inMonths);
  const autoRenew = priced.autoRenew && state !== "ended";
  return {
    organization: { id: row.organization_id, name: row.name },
    currency: row.currency,
    ...months,
    months: monthsOf(subject, facts),
    total: spendOf(all, row.currency),
    by: isGrouped ? groupsOf(all, row.currency) : null,
    runway: runwayOf(purchased - used, recent ? usersTaking(recent) : null),
    unused: unusedLicenses({ ...priced, purchased, used, autoRenew }, chargeStep),
    asOf: new Date(now).toISOString(),
  };
}

function monthsOf({ snapshot, months, periods }: ReportSubject, facts: ReportFacts): ReportMonth[] {
  const upToNow = facts.periods.slice(0, -1);
  const purchased = countsAtEnds(facts.licenses, upToNow.map(licensesAdded));
  const used = countsAtEnds(facts.used, upToNow.map(usersTaking));
  return upToNow.slice(0, -1).map((happened, index) => {
    const month = addMonths(months.from, index);
    if (facts.since === null || (periods[index]?.until ?? 0) <= facts.since) return { month, ...NOTHING_KNOWN };
    return {
      month,
      purchased: purchased[index] ?? null,
      used: used[index] ?? null,
      usersAdded: countOf(happened.added),
      usersRemoved: countOf(happened.removed),
      ...spendOf(happened, snapshot.row.currency),
    };
  });
}

/** Of a month before the organization's data. */
const NOTHING_KNOWN = {
  purchased: null,
  used: null,
  usersAdded: null,
  usersRemoved: null,
  purchases: null,
  charged: null,
  tax: null,
  refunded: null,
  net: null,
} as const satisfies Omit<ReportMonth, "month">;

/** Licenses that purchases added, without those that reductions took away. */
function licensesAdded({ charged, reduced }: Happened): number {
  return charged.reduce((sum, { licenses }) => sum + licenses, 0) - reduced;
}

function countOf(changes: readonly UserChanges[]): number {
  return changes.reduce((sum, { count }) => sum + count, 0);
}

/** How many licenses users took, without those that they gave back; `null` if the audit log does not tell. */
function usersTaking({ added, removed, changed, changedFrom }: Happened): number | null {
  const [taken, freed] = [takenBy([...added, ...changed]), takenBy([...removed, ...changedFrom])];
  return taken === null || freed === null ? null : taken - freed;
}

function takenBy(changes: readonly UserChanges[]): number | null {
  let taken = 0;
  for (const { count, role, adminNoTraining } of changes) {
    const [withTraining, without] = [false, true].map((flag) => takesLicense({ role, adminNoTraining: flag }));
    if (adminNoTraining === null && withTraining !== without) return null;
    if (takesLicense({ role, adminNoTraining: adminNoTraining ?? false })) taken += count;
  }
  return taken;
}

type Spent = Pick<Happened, "charged" | "refunded">;

function mergeAll(periods: readonly Spent[]): Spent {
  return {
    charged: periods.flatMap(({ charged }) => charged),
    refunded: periods.flatMap(({ refunded }) => refunded),
  };
}

function spendOf({ charged, refunded }: Spent, currency: string): Report["total"] {
  const [paid, returned] = [sumOf(charged, "total", currency), sumOf(refunded, "total", currency)];
  return {
    purchases: charged.reduce((sum, { purchases }) => sum + purchases, 0),
    charged: paid,
    tax: sumOf(charged, "tax", currency),
    refunded: returned,
    net: subtract(paid, returned),
  };
}

function sumOf(payments: readonly Payments[], what: "total" | "tax", currency: string): Money {
  return money(
    payments.reduce((sum, payment) => sum + payment[what], 0n),
    currency,
  );
}

/** Groups by key: largest net first, then by key. */
function groupsOf({ charged, refunded }: Spent, currency: string): NonNullable<Report["by"]> {
  const groups = new Map<string | null, { charged: Payments[]; refunded: Payments[] }>();
  for (const what of ["charged", "refunded"] as const) {
    for (const payment of what === "charged" ? charged : refunded) {
      const group = groups.get(payment.key) ?? { charged: [], refunded: [] };
      group[what].push(payment);
      groups.set(payment.key, group);
    }
  }
  const rows = Array.from(groups, ([key, group]) => ({
    key,
    purchases: group.charged.reduce((sum, { purchases }) => sum + purchases, 0),
    licenses: group.charged.reduce((sum, { licenses }) => sum + licenses, 0),
    net: spendOf(group, currency).net,
  }));
  return rows.sort((one, other) => other.net.amount - one.net.amount || ((one.key ?? "") < (other.key ?? "") ? -1 : 1));
}
