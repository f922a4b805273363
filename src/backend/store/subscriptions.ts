import type { Kysely } from "kysely";
import { PENDING_STATES } from "../../billing/purchase.ts";
import type { LicenseCounts } from "../../contract/basics.ts";
import { ProblemError } from "../problem.ts";
import type { Database, QuoteRow, SubscriptionRow } from "./schema.ts";

/** A subscription with its organization's name and billing time zone. */
export interface OrganizationSubscription extends SubscriptionRow {
  readonly name: string;
  readonly time_zone: string;
}

/**
 * The subscription of an organization.
 *
 * @throws ProblemError `not_found`
 */
export async function readSubscription(
  database: Kysely<Database>,
  organizationId: number,
): Promise<OrganizationSubscription> {
  const row = await database
    .selectFrom("subscriptions")
    .innerJoin("organizations", "organizations.id", "subscriptions.organization_id")
    .selectAll("subscriptions")
    .select(["organizations.name", "organizations.time_zone"])
    .where("organization_id", "=", organizationId)
    .executeTakeFirst();
  if (!row) throw new ProblemError("not_found", `There is no organization ${organizationId} here`);
  return row;
}

/** The license counts of an organization now. */
export async function readLicenseCounts(database: Kysely<Database>, organizationId: number): Promise<LicenseCounts> {
  return licenseCounts(await readSubscription(database, organizationId));
}

/** Purchased, used and available licenses of a stored subscription. */
export function licenseCounts({ licenses, used }: Pick<SubscriptionRow, "licenses" | "used">): LicenseCounts {
  return { purchased: licenses, used, available: licenses - used };
}

/** How many purchases were accepted and not settled yet, and how many licenses they will bring. */
export async function readPending(database: Kysely<Database>, organizationId: number) {
  const row = await database
    .selectFrom("purchases")
    .select((expression) => [
      expression.fn.countAll<string | number>().as("purchases"),
      expression.fn.sum<string | number | null>("licenses").as("licenses"),
    ])
    .where("organization_id", "=", organizationId)
    .where("kind", "=", "purchase")
    .where("state", "in", PENDING_STATES)
    .executeTakeFirstOrThrow();
  return { purchases: Number(row.purchases), licenses: Number(row.licenses ?? 0) };
}

/** Stores a quote. */
export async function saveQuote(database: Kysely<Database>, quote: QuoteRow): Promise<void> {
  await database.insertInto("quotes").values(quote).execute();
}

/**
 * A quote of an organization.
 *
 * @throws ProblemError `not_found`, for another organization's too
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
  if (!row) throw new ProblemError("not_found", `There is no quote ${quoteId} for organization ${organizationId}`);
  return row;
}
