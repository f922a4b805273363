import { type Kysely, sql } from "kysely";
import { counter, createIndex, createOf, numbered, required, type Table, type TableOptions } from "./tables.ts";

/** Creates organizations with their subscriptions, members and API tokens (src/backend/README.md, Keys). */
export async function createOrganizations(db: Kysely<unknown>, options: TableOptions): Promise<void> {
  const organizations = (table: Table) =>
    table
      .addColumn("id", "bigint", (c) => c.primaryKey())
      .addColumn("name", "text", required)
      .addColumn("time_zone", "text", required)
      .addColumn("assignment_strategy", "text", (c) => c.notNull().defaultTo("NONE"));
  await createOf(db, options, "organizations", organizations, "id");
  await createOf(db, options, "subscriptions", (table) =>
    table
      .addColumn("organization_id", "bigint", (c) => c.primaryKey().references("organizations.id"))
      .addColumn("plan", "text", required)
      .addColumn("interval", "text", required)
      .addColumn("interval_count", "integer", required)
      .addColumn("anchor_date", "text", required)
      .addColumn("term_index", "integer", required)
      .addColumn("unit_price", "bigint", required)
      .addColumn("currency", "text", required)
      .addColumn("tax_rate", "text", required)
      .addColumn("licenses", "bigint", (c) => c.notNull().check(sql`licenses >= 0`))
      .addColumn("used", "bigint", (c) => c.notNull().check(sql`used >= 0`))
      .addColumn("auto_renew", "integer", required)
      .addColumn("payment_method", "text")
      .addColumn("version", "bigint", required)
      .addColumn("receipt_count", "bigint", required)
      .addColumn("credit_note_count", "bigint", required)
      .addColumn("purchase_count", "bigint", counter)
      .addColumn("event_count", "bigint", counter)
      .addColumn("renew_at", "bigint")
      .addColumn("reduction", "bigint")
      .addColumn("reduction_term", "integer")
      .addColumn("unpaid_renewal", "text"),
  );
  await sql`create index subscriptions_due on subscriptions (renew_at)
    where renew_at is not null and unpaid_renewal is null`.execute(db);
  await createOf(db, options, "members", (table) =>
    numbered(table, options, "members", ["organization_id", "user_id"])
      .addColumn("organization_id", "bigint", (c) => c.notNull().references("organizations.id"))
      .addColumn("user_id", "bigint", (c) => c.notNull().references("users.id"))
      .addColumn("uuid", "text", required)
      .addColumn("email", "text", required)
      .addColumn("first_name", "text")
      .addColumn("last_name", "text")
      .addColumn("role", "integer", required)
      .addColumn("admin_no_training", "integer", required)
      .addColumn("status", "text", required)
      .addColumn("joined_at", "bigint")
      .addColumn("assignment_strategy", "text", required)
      .addColumn("accepted", "integer", required),
  );
  await createIndex(db, "members_user", "members", ["user_id"]);
  await createIndex(db, "members_id", "members", ["organization_id", "id"]);
  await createOf(db, options, "api_tokens", (table) =>
    table
      .addColumn("organization_id", "bigint", (c) => c.notNull().references("organizations.id"))
      .addColumn("id", "text", required)
      .addColumn("user_id", "bigint", (c) => c.notNull().references("users.id"))
      .addColumn("name", "text", required)
      .addColumn("scopes_json", "text", required)
      .addColumn("expires_at", "bigint")
      .addColumn("revoked_at", "bigint")
      .addColumn("limit_amount", "bigint")
      .addColumn("limit_licenses", "bigint")
      .addColumn("created_at", "bigint")
      .addColumn("last4", "text")
      .addPrimaryKeyConstraint("api_tokens_key", ["organization_id", "id"] as never),
  );
}
