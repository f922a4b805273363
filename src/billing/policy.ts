import { dateInZone, type Interval, startOfDateInZone } from "./calendar.ts";
import { addMonths, type CalendarMonth, firstDayOf, monthOf } from "./months.ts";
import { canBuy } from "./roles.ts";

/** What an organization may spend in each calendar month or year of its billing time zone, in minor units, with tax. */
export interface Budget {
  readonly amount: number;
  readonly period: Interval;
}

/** Who may spend what in an organization (README.md, Policy). */
export interface Policy {
  /** The total with tax, in minor units, above which another administrator approves a purchase; `null` for never. */
  readonly approvalAbove: number | null;
  /** `null` without a budget. */
  readonly budget: Budget | null;
}

/** A change of a policy. What is left out stays. */
export type PolicyChange = Partial<Policy>;

/** How long a change waits in an organization with one administrator, milliseconds (README.md, Policy). */
export const LOOSENING_WAIT_MS = 86_400_000;

/** Reports whether anything is restricted. */
export function isPolicySet({ approvalAbove, budget }: Policy): boolean {
  return approvalAbove !== null || budget !== null;
}

/**
 * Splits a change of a policy: what tightens it, or changes nothing, applies at once, and what loosens it has to wait.
 *
 * @returns the policy from now on, and the rest of the change; `null` if nothing waits
 */
export function splitChange(
  before: Policy,
  change: PolicyChange,
): { readonly policy: Policy; readonly waiting: PolicyChange | null } {
  const { approvalAbove = before.approvalAbove, budget = before.budget } = change;
  const raises = before.approvalAbove !== null && (approvalAbove === null || approvalAbove > before.approvalAbove);
  const loosens = isLooser(before.budget, budget);
  const policy = {
    approvalAbove: raises ? before.approvalAbove : approvalAbove,
    budget: loosens ? before.budget : budget,
  };
  if (!raises && !loosens) return { policy, waiting: null };
  return { policy, waiting: { ...(raises && { approvalAbove }), ...(loosens && { budget }) } };
}

/** Another period is looser whatever the amounts: no amount of a year compares with one of a month. */
function isLooser(before: Budget | null, after: Budget | null): boolean {
  if (before === null) return false;
  return after === null || after.period !== before.period || after.amount > before.amount;
}

/** Reports whether somebody becomes an administrator or ceases to be one; `null` is the role of nobody. */
export function changesAdministrators(before: number | null, after: number | null): boolean {
  return isAdministrative(before) !== isAdministrative(after);
}

function isAdministrative(role: number | null): boolean {
  return role !== null && canBuy(role);
}

/**
 * Reports whether an administrator may approve what another one asked for: they were an administrator before that.
 *
 * @param approver their user ID, and since when they are an administrator, milliseconds
 * @param asked the user ID of who asked, and when, milliseconds
 */
export function mayApprove(
  approver: { readonly userId: number; readonly since: number },
  asked: { readonly userId: number; readonly at: number },
): boolean {
  return approver.userId !== asked.userId && approver.since < asked.at;
}

/** A calendar month or year: its name, and from when until when it is, milliseconds; the end is not part of it. */
export interface BudgetPeriod {
  /** `2026-11` or `2026`. */
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** Returns the calendar month or year of a time zone that contains an instant, in milliseconds. */
export function budgetPeriodOf(at: number, period: Interval, timeZone: string): BudgetPeriod {
  const month = monthOf(dateInZone(at, timeZone));
  const startOf = (first: CalendarMonth) => startOfDateInZone(firstDayOf(first), timeZone);
  if (period === "month") return { name: month, start: startOf(month), end: startOf(addMonths(month, 1)) };
  const year = month.slice(0, 4);
  return { name: year, start: startOf(`${year}-01`), end: startOf(addMonths(`${year}-01`, 12)) };
}

/** Returns which part of a budget is spent, of those that administrators are told about: 100, 80 or 0 percent. */
export function spentPart(spent: number, { amount }: Pick<Budget, "amount">): 0 | 80 | 100 {
  if (spent === 0) return 0;
  if (spent >= amount) return 100;
  return BigInt(spent) * 100n >= BigInt(amount) * 80n ? 80 : 0;
}
