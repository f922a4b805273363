import type { Kysely } from "kysely";
import { dateInZone, startOfDateInZone } from "../../billing/calendar.ts";
import { formatMoney, type Money, money } from "../../billing/money.ts";
import { addMonths, firstDayOf, monthOf } from "../../billing/months.ts";
import type { ApiTokenRow, Database } from "../database/schema.ts";
import { BackendError } from "../errors.ts";

/** The states in which a purchase counts against no spending limit, no budget and no threshold for approvals. */
export const GIVEN_BACK = ["declined", "canceled", "expired", "refund_due", "refunded"] as const;

/** Reports whether two instants (billing clock, milliseconds) are in the same calendar month of the billing time zone. */
export function isSameSpendingMonth(first: number, second: number, timeZone: string): boolean {
  return monthOf(dateInZone(first, timeZone)) === monthOf(dateInZone(second, timeZone));
}

/**
 * Asserts that a purchase is within its token's spending limit for the month. The subscription's row must be locked, so
 * that parallel orders and payments wait for each other.
 *
 * @throws BackendError `spend_limit_exceeded`
 */
export async function assertWithinSpendLimit(
  tx: Kysely<Database>,
  token: ApiTokenRow | null,
  { purchaseId, licenses, total }: { purchaseId: string; licenses: number; total: Money },
  month: Month,
): Promise<void> {
  if (!token || (token.limit_amount === null && token.limit_licenses === null)) return;
  const spent = await readSpent(tx, token, month, purchaseId);
  const amountLeft = token.limit_amount === null ? null : token.limit_amount - spent.amount;
  const licensesLeft = token.limit_licenses === null ? null : token.limit_licenses - spent.licenses;
  if (amountLeft !== null && total.amount > amountLeft) {
    const left = formatMoney(money(Math.max(0, amountLeft), total.currency));
    throw new BackendError(
      "spend_limit_exceeded",
      `The purchase costs ${formatMoney(total)}, but the token "${token.name}" has ${left} left of its ${formatMoney(money(token.limit_amount ?? 0, total.currency))} this month`,
    );
  }
  if (licensesLeft !== null && licenses > licensesLeft) {
    throw new BackendError(
      "spend_limit_exceeded",
      `The purchase is for ${inLicenses(licenses)}, but the token "${token.name}" has ${Math.max(0, licensesLeft)} left of its ${token.limit_licenses} this month`,
    );
  }
}

function inLicenses(count: number): string {
  return count === 1 ? "1 license" : `${count} licenses`;
}

/** A calendar month: the billing time zone, and an instant of the month by the billing clock, milliseconds. */
export interface Month {
  readonly timeZone: string;
  readonly at: number;
}

/** What was bought in a month: an amount in minor units of the subscription's currency, and licenses. */
export interface Spent {
  readonly amount: number;
  readonly licenses: number;
}

function spentIn(database: Kysely<Database>, organizationId: number, { timeZone, at }: Month) {
  const month = monthOf(dateInZone(at, timeZone));
  return database
    .selectFrom("purchases")
    .select((expression) => [
      expression.fn.sum<string | number | null>("total").as("amount"),
      expression.fn.sum<string | number | null>("licenses").as("licenses"),
    ])
    .where("organization_id", "=", organizationId)
    .where("spent_at", ">=", startOfDateInZone(firstDayOf(month), timeZone))
    .where("spent_at", "<", startOfDateInZone(firstDayOf(addMonths(month, 1)), timeZone))
    .where("state", "not in", GIVEN_BACK);
}

/** Sums up what a token bought in a month, without failed purchases and the purchase `except`. */
export async function readSpent(
  database: Kysely<Database>,
  token: Pick<ApiTokenRow, "organization_id" | "id">,
  month: Month,
  except = "",
): Promise<Spent> {
  const row = await spentIn(database, token.organization_id, month)
    .where("buyer_token_id", "=", token.id)
    .where("id", "<>", except)
    .executeTakeFirstOrThrow();
  return { amount: Number(row.amount ?? 0), licenses: Number(row.licenses ?? 0) };
}

/** Sums up what each token of an organization bought in a month, without failed purchases, by the token's ID. */
export async function readSpentByToken(
  database: Kysely<Database>,
  organizationId: number,
  month: Month,
): Promise<ReadonlyMap<string, Spent>> {
  const rows = await spentIn(database, organizationId, month)
    .select("buyer_token_id")
    .where("buyer_token_id", "is not", null)
    .groupBy("buyer_token_id")
    .execute();
  return new Map(
    rows.map(({ buyer_token_id: id, amount, licenses }) => [
      id ?? "",
      { amount: Number(amount ?? 0), licenses: Number(licenses ?? 0) },
    ]),
  );
}
