import type { Kysely } from "kysely";
import { formatMoney, type Money, money } from "../../billing/money.ts";
import { type Budget, type BudgetPeriod, budgetPeriodOf, spentPart } from "../../billing/policy.ts";
import type { BudgetState } from "../../contract/policy.ts";
import type { Database, OrganizationSubscription, SubscriptionRow } from "../database/schema.ts";
import { BackendError } from "../errors.ts";
import { BACKEND } from "../events/events.ts";
import { GIVEN_BACK } from "../identity/spending.ts";
import { policyOf, tellAdministrators } from "./changes.ts";
import { budgetText } from "./waitingChange.ts";

/** A subscription with what its budget is made of. */
type Budgeted = Pick<
  SubscriptionRow,
  "organization_id" | "approval_above" | "budget_amount" | "budget_period" | "budget_told" | "currency"
>;

/** A purchase that is to be within the budget, its billing time zone, and when it was accepted, billing clock. */
interface BudgetedPurchase {
  readonly id: string;
  readonly total: Money;
  readonly timeZone: string;
  readonly acceptedAt: number;
}

/** A budget, its period, and what is spent of it, in minor units. */
export interface SpentBudget {
  readonly budget: Budget;
  readonly period: BudgetPeriod;
  readonly spent: number;
}

/**
 * Asserts that a purchase is within the organization's budget for the period of its acceptance. The subscription's row must
 * be locked, so that parallel orders and payments wait for each other.
 *
 * @returns what is spent with the purchase; `null` without a budget
 * @throws BackendError `budget_exceeded`
 */
export async function assertWithinBudget(
  tx: Kysely<Database>,
  subscription: Budgeted,
  { id, total, timeZone, acceptedAt }: BudgetedPurchase,
): Promise<SpentBudget | null> {
  const { budget } = policyOf(subscription);
  if (budget === null) return null;
  const period = budgetPeriodOf(acceptedAt, budget.period, timeZone);
  const spent = await readBudgetSpent(tx, subscription.organization_id, period, id);
  if (total.amount <= budget.amount - spent) return { budget, period, spent: spent + total.amount };
  const left = formatMoney(money(Math.max(0, budget.amount - spent), total.currency));
  throw new BackendError(
    "budget_exceeded",
    `The purchase costs ${formatMoney(total)}, but the organization has ${left} left of its budget of ${budgetText(budget, total.currency)}`,
  );
}

/** Tells the administrators that 80 or 100 percent of a budget are reached, each once a period until the budget is raised. */
export async function tellBudget(
  tx: Kysely<Database>,
  { organization_id: organizationId, currency, budget_told: told }: Budgeted,
  { budget, period, spent }: SpentBudget,
  now: number,
): Promise<void> {
  const percent = spentPart(spent, budget);
  const [toldPeriod, toldPercent, toldAmount] = told?.split(" ") ?? [];
  const isNoMore = toldPeriod === period.name && budget.amount <= Number(toldAmount);
  if (percent === 0 || (isNoMore && Number(toldPercent) >= percent)) return;
  await tx
    .updateTable("subscriptions")
    .set({ budget_told: `${period.name} ${percent} ${budget.amount}` })
    .where("organization_id", "=", organizationId)
    .execute();
  const amounts = { spent: money(spent, currency), budget: money(budget.amount, currency) };
  await tellAdministrators(
    tx,
    organizationId,
    { actor: BACKEND, at: now },
    {
      type: "budget.reached",
      text: `${percent}% of the budget of ${budgetText(budget, currency)} is spent: ${formatMoney(amounts.spent)} in ${period.name}.`,
      data: { percent, period: period.name, ...amounts },
    },
  );
}

/** Sums up the purchases of an organization that were accepted in a period, without failed ones and the purchase `except`. */
export async function readBudgetSpent(
  database: Kysely<Database>,
  organizationId: number,
  { start, end }: BudgetPeriod,
  except = "",
): Promise<number> {
  const { amount } = await database
    .selectFrom("purchases")
    .select((expression) => expression.fn.sum<string | number | null>("total").as("amount"))
    .where("organization_id", "=", organizationId)
    .where("kind", "=", "purchase")
    .where("accepted_at", ">=", start)
    .where("accepted_at", "<", end)
    .where("state", "not in", GIVEN_BACK)
    .where("id", "<>", except)
    .executeTakeFirstOrThrow();
  return Number(amount ?? 0);
}

/**
 * Returns the budget of an organization with what is spent of it; `null` without a budget.
 *
 * @param now the billing clock, milliseconds
 */
export async function budgetStateOf(
  database: Kysely<Database>,
  subscription: OrganizationSubscription,
  now: number,
): Promise<BudgetState | null> {
  const { budget } = policyOf(subscription);
  if (budget === null) return null;
  const { organization_id: organizationId, time_zone: timeZone, currency } = subscription;
  const spent = await readBudgetSpent(database, organizationId, budgetPeriodOf(now, budget.period, timeZone));
  return {
    amount: money(budget.amount, currency),
    period: budget.period,
    spent: money(spent, currency),
    left: money(Math.max(0, budget.amount - spent), currency),
  };
}
