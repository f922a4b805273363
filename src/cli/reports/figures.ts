import type { Money } from "../../billing/money.ts";
import { isTaxed } from "../../billing/proration.ts";
import type { Subscription } from "../../contract/billing.ts";
import type { ReportKey } from "../../contract/constants.ts";
import type { Report, ReportMonth } from "../../contract/report.ts";
import { licenses } from "../kit/words.ts";

/** A report for people, with the subscription as it was read beside it. */
export interface ShownReport {
  readonly report: Report;
  readonly subscription: Subscription;
  readonly by: ReportKey | null;
}

/** A month of which something is known. */
export type KnownMonth = ReportMonth & {
  [Name in "purchases" | "charged" | "tax" | "refunded" | "net"]: NonNullable<ReportMonth[Name]>;
};

/** The months from the first one of which anything is known. */
export function knownMonths({ months }: Report): KnownMonth[] {
  return months.filter((month): month is KnownMonth => month.net !== null);
}

/** What the groups of a report are. */
export const GROUP_HEADS: Readonly<Record<ReportKey, string>> = { buyer: "Buyer", token: "Token", po: "PO number" };

/** What a group without a key is. */
export const NO_KEY: Readonly<Record<ReportKey, string>> = { buyer: "Renewals", token: "No token", po: "No PO number" };

/** `1 day`, `270 days`. */
export function days(count: number): string {
  return count === 1 ? "1 day" : `${count} days`;
}

/** `270 days, at 0.0111 users a day in the last 90 days`. */
export function runwayWords({ runway }: Report, decimal: (text: string) => string): string {
  if (runway === null) return "no end: the number of users has not grown in the last 90 days";
  return `${days(runway.days)}, at ${decimal(String(runway.usersPerDay))} users a day in the last ${days(runway.basisDays)}`;
}

/** `3 licenses add £540.00 to the renewal, tax included`; `null` where there are none. */
export function unusedWords(
  { unused }: Report,
  { taxRate }: Subscription,
  amount: (value: Money) => string,
): string | null {
  if (unused === null || unused.licenses === 0) return null;
  const { renewalTotal } = unused;
  if (renewalTotal.amount === 0) return `${licenses(unused.licenses)}, which the renewal does not charge`;
  const verb = unused.licenses === 1 ? "adds" : "add";
  return `${licenses(unused.licenses)} ${verb} ${amount(renewalTotal)} to the renewal${isTaxed(taxRate) ? ", tax included" : ""}`;
}

/** The command that saves what unused licenses add to the renewal; `null` where nothing is to be saved. */
export function savingCommand({ unused }: Report, subscription: Subscription): string | null {
  if (unused === null || unused.renewalTotal.amount === 0) return null;
  return `secureflag-licenses licenses reduce ${subscription.licenses.used}`;
}
