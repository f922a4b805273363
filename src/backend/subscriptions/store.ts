import { type Kysely, sql } from "kysely";
import { PENDING_STATES } from "../../billing/purchase.ts";
import type { TermRule } from "../../billing/term.ts";
import type { LicenseCounts } from "../../contract/basics.ts";
import { preparedInsert } from "../database/prepared.ts";
import type { Database, OrganizationSubscription, QuoteRow, SubscriptionRow } from "../database/schema.ts";
import { BackendError } from "../errors.ts";

/**
 * Reads the subscription of an organization.
 *
 * @throws BackendError `not_found`
 */
export async function readSubscription(
  database: Kysely<Database>,
  organizationId: number,
): Promise<OrganizationSubscription> {
  const row = await database
    .selectFrom("subscriptions")
    .innerJoin("organizations", "organizations.id", "subscriptions.organization_id")
    .leftJoin("purchases as renewal", (join) =>
      join
        .onRef("renewal.organization_id", "=", "subscriptions.organization_id")
        .onRef("renewal.id", "=", "subscriptions.unpaid_renewal"),
    )
    .selectAll("subscriptions")
    .select(["organizations.name", "organizations.time_zone"])
    .select([
      "renewal.state as renewal_state",
      "renewal.total as renewal_total",
      "renewal.confirm_count as renewal_attempts",
      "renewal.grace_until as renewal_grace_until",
    ])
    .where("subscriptions.organization_id", "=", organizationId)
    .executeTakeFirst();
  if (!row) throw new BackendError("not_found", `There is no organization ${organizationId} here`);
  return row;
}

/** The rule that the terms of a stored subscription follow. */
export function termRuleOf(row: Pick<SubscriptionRow, "anchor_date" | "interval" | "interval_count">): TermRule {
  return { anchorDate: row.anchor_date, interval: row.interval, intervalCount: row.interval_count };
}

/**
 * Whether a renewal has to be made now: it is due, and the one before it is paid.
 *
 * @param now the billing clock, milliseconds
 */
export function isRenewalDue(row: Pick<SubscriptionRow, "renew_at" | "unpaid_renewal">, now: number): boolean {
  return row.renew_at !== null && row.renew_at <= now && row.unpaid_renewal === null;
}

/** Reads the current license counts of an organization. */
export async function readLicenseCounts(database: Kysely<Database>, organizationId: number): Promise<LicenseCounts> {
  return licenseCounts(await readSubscription(database, organizationId));
}

/** The license counts of a stored subscription. */
export function licenseCounts({ licenses, used }: Pick<SubscriptionRow, "licenses" | "used">): LicenseCounts {
  return { purchased: licenses, used, available: licenses - used };
}

/**
 * Takes licenses, or frees them with a negative count, and locks the subscription. With a reduction scheduled, the used
 * licenses affect the renewal, so the version changes (src/billing/README.md, Reductions).
 */
export async function changeUsed(tx: Kysely<Database>, organizationId: number, count: number): Promise<void> {
  const { reduction } = await tx
    .updateTable("subscriptions")
    .set((expression) => ({
      used: expression("used", "+", count),
      version: expression
        .case()
        .when("reduction", "is", null)
        .then(expression.ref("version"))
        .else(expression("version", "+", 1))
        .end(),
    }))
    .where("organization_id", "=", organizationId)
    .returning("reduction")
    .executeTakeFirstOrThrow();
  if (reduction !== null) await makeProviderDue(tx, organizationId);
}

/** Makes the subscription at the provider due, if the organization has one, so that its quantity follows the count. */
export async function makeProviderDue(tx: Kysely<Database>, organizationId: number): Promise<void> {
  await tx
    .updateTable("provider_objects")
    .set({ check_at: 0 })
    .where("organization_id", "=", organizationId)
    .where("kind", "=", "subscription")
    .execute();
}

/**
 * Counts the purchases that are accepted but not settled with the licenses that they will add, and the licenses of users
 * who have been idle since an instant, in one statement.
 *
 * @param idleSince billing clock, milliseconds
 */
export async function readCounts(database: Kysely<Database>, organizationId: number, idleSince: number) {
  const row = await database
    .selectFrom("purchases")
    .select((expression) => [
      expression.fn.countAll<string | number>().as("purchases"),
      expression.fn.sum<string | number | null>("licenses").as("licenses"),
      idleLicenses(organizationId, idleSince).as("idle"),
    ])
    .where("organization_id", "=", organizationId)
    .where("kind", "=", "purchase")
    // Lets the index of open purchases answer.
    .where("completed_at", "is", null)
    .where("state", "in", PENDING_STATES)
    .executeTakeFirstOrThrow();
  const pending = { purchases: Number(row.purchases), licenses: Number(row.licenses ?? 0) };
  return { pending, idleLicenses: Number(row.idle) };
}

/** The conditions are those of the index `members_idle`, to the letter, so that it answers. */
function idleLicenses(organizationId: number, idleSince: number) {
  return sql<string | number>`(
    select count(*) from members where organization_id = ${organizationId}
      and (case when last_login > coalesce(joined_at, added_at) then last_login else coalesce(joined_at, added_at) end)
        <= ${idleSince}
      and status <> 'REMOVED' and not (admin_no_training = 1 and role < 7))`;
}

/** Stores a quote. */
export async function saveQuote(database: Kysely<Database>, quote: QuoteRow): Promise<void> {
  await insertQuote(database, quote);
}

const insertQuote = preparedInsert("quotes", [
  "id",
  "organization_id",
  "licenses",
  "subscription_version",
  "purchase_date",
  "expires_at",
  "quote_json",
]);

/**
 * Reads a quote of an organization.
 *
 * @throws BackendError `not_found`, also for a quote of another organization
 */
export async function readQuote(
  database: Kysely<Database>,
  organizationId: number,
  quoteId: string,
): Promise<QuoteRow> {
  const row = await database
    .selectFrom("quotes")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .where("id", "=", quoteId)
    .executeTakeFirst();
  if (!row) throw new BackendError("not_found", `There is no quote ${quoteId} for organization ${organizationId}`);
  return row;
}

/** The states of a purchase that a renewal waits for. A review by an operator may take days, so it is not one. */
export const OPEN_STATES = PENDING_STATES.filter((state) => state !== "needs_review");
