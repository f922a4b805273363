import { type ColumnDefinitionBuilder, type Kysely, type Migration, sql } from "kysely";

/** Creates the first tables. */
export const billingMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await createOrganizations(db);
    await createIdentities(db);
    await createPurchases(db);
    await createRecords(db);
    for (const table of ["ledger", "events", "receipts", "credit_notes"]) await makeAppendOnly(db, table);
  },
};

const identity = (column: ColumnDefinitionBuilder) => column.primaryKey().autoIncrement();

async function createOrganizations(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("settings")
    .ifNotExists()
    .addColumn("name", "text", (c) => c.primaryKey())
    .addColumn("value", "text", (c) => c.notNull())
    .execute();
  await db.schema
    .createTable("organizations")
    .ifNotExists()
    .addColumn("id", "integer", (c) => c.primaryKey())
    .addColumn("name", "text", (c) => c.notNull())
    .addColumn("time_zone", "text", (c) => c.notNull())
    .execute();
  await db.schema
    .createTable("subscriptions")
    .ifNotExists()
    .addColumn("organization_id", "integer", (c) => c.primaryKey().references("organizations.id"))
    .addColumn("plan", "text", (c) => c.notNull())
    .addColumn("interval", "text", (c) => c.notNull())
    .addColumn("interval_count", "integer", (c) => c.notNull())
    .addColumn("anchor_date", "text", (c) => c.notNull())
    .addColumn("term_index", "integer", (c) => c.notNull())
    .addColumn("unit_price", "bigint", (c) => c.notNull())
    .addColumn("currency", "text", (c) => c.notNull())
    .addColumn("tax_rate", "text", (c) => c.notNull())
    .addColumn("licenses", "integer", (c) => c.notNull().check(sql`licenses >= 0`))
    .addColumn("used", "integer", (c) => c.notNull().check(sql`used >= 0`))
    .addColumn("auto_renew", "integer", (c) => c.notNull())
    .addColumn("payment_method", "text")
    .addColumn("version", "integer", (c) => c.notNull())
    .addColumn("receipt_count", "integer", (c) => c.notNull())
    .addColumn("credit_note_count", "integer", (c) => c.notNull())
    .execute();
}

async function createIdentities(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("users")
    .ifNotExists()
    .addColumn("id", "integer", identity)
    .addColumn("uuid", "text", (c) => c.notNull().unique())
    .addColumn("email", "text", (c) => c.notNull())
    .addColumn("email_key", "text", (c) => c.notNull().unique())
    .addColumn("first_name", "text")
    .addColumn("last_name", "text")
    .addColumn("password_hash", "text")
    .addColumn("totp_secret", "text")
    .execute();
  await db.schema
    .createTable("members")
    .ifNotExists()
    .addColumn("organization_id", "integer", (c) => c.notNull().references("organizations.id"))
    .addColumn("user_id", "integer", (c) => c.notNull().references("users.id"))
    .addColumn("role", "integer", (c) => c.notNull())
    .addColumn("admin_no_training", "integer", (c) => c.notNull())
    .addColumn("status", "text", (c) => c.notNull())
    .addColumn("joined_at", "bigint")
    .addColumn("assignment_strategy", "text", (c) => c.notNull())
    .addPrimaryKeyConstraint("members_key", ["organization_id", "user_id"] as never)
    .execute();
  await db.schema.createIndex("members_user").ifNotExists().on("members").column("user_id").execute();
  await db.schema
    .createTable("api_tokens")
    .ifNotExists()
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("organization_id", "integer", (c) => c.notNull().references("organizations.id"))
    .addColumn("user_id", "integer", (c) => c.notNull().references("users.id"))
    .addColumn("name", "text", (c) => c.notNull())
    .addColumn("token_hash", "text", (c) => c.notNull().unique())
    .addColumn("scopes_json", "text", (c) => c.notNull())
    .addColumn("expires_at", "bigint")
    .addColumn("revoked_at", "bigint")
    .addColumn("limit_amount", "bigint")
    .addColumn("limit_licenses", "integer")
    .execute();
  await db.schema
    .createTable("sessions")
    .ifNotExists()
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("user_id", "integer", (c) => c.notNull().references("users.id"))
    .addColumn("access_hash", "text", (c) => c.notNull().unique())
    .addColumn("access_expires_at", "bigint", (c) => c.notNull())
    .addColumn("refresh_hash", "text", (c) => c.notNull().unique())
    .addColumn("refresh_expires_at", "bigint", (c) => c.notNull())
    .addColumn("previous_refresh_hash", "text", (c) => c.unique())
    .addColumn("rotated_at", "bigint")
    .addColumn("revoked_at", "bigint")
    .execute();
  await db.schema
    .createTable("sign_in_attempts")
    .ifNotExists()
    .addColumn("email_key", "text", (c) => c.notNull())
    .addColumn("address", "text", (c) => c.notNull())
    .addColumn("at", "bigint", (c) => c.notNull())
    .execute();
  await db.schema
    .createIndex("sign_in_attempts_place")
    .ifNotExists()
    .on("sign_in_attempts")
    .columns(["address", "at"])
    .execute();
}

async function createPurchases(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("quotes")
    .ifNotExists()
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("organization_id", "integer", (c) => c.notNull().references("organizations.id"))
    .addColumn("licenses", "integer", (c) => c.notNull())
    .addColumn("subscription_version", "integer", (c) => c.notNull())
    .addColumn("purchase_date", "text", (c) => c.notNull())
    .addColumn("expires_at", "bigint", (c) => c.notNull())
    .addColumn("quote_json", "text", (c) => c.notNull())
    .execute();
  await db.schema
    .createTable("purchases")
    .ifNotExists()
    .addColumn("sequence", "integer", identity)
    .addColumn("id", "text", (c) => c.notNull().unique())
    .addColumn("organization_id", "integer", (c) => c.notNull().references("organizations.id"))
    .addColumn("kind", "text", (c) => c.notNull())
    .addColumn("state", "text", (c) => c.notNull())
    .addColumn("epoch", "integer", (c) => c.notNull())
    .addColumn("lease_until", "bigint", (c) => c.notNull())
    .addColumn("quote_id", "text", (c) => c.unique().references("quotes.id"))
    .addColumn("idempotency_key", "text")
    .addColumn("licenses", "integer", (c) => c.notNull())
    .addColumn("total", "bigint", (c) => c.notNull().check(sql`total >= 0`))
    .addColumn("currency", "text", (c) => c.notNull())
    .addColumn("price_json", "text", (c) => c.notNull())
    .addColumn("purchase_order", "text")
    .addColumn("note", "text")
    .addColumn("buyer_email", "text")
    .addColumn("buyer_token_id", "text", (c) => c.references("api_tokens.id"))
    .addColumn("buyer_token_name", "text")
    .addColumn("payment_method", "text")
    .addColumn("payment_id", "text", (c) => c.unique())
    .addColumn("confirm_count", "integer", (c) => c.notNull())
    .addColumn("failure_code", "text")
    .addColumn("failure_message", "text")
    .addColumn("accepted_at", "bigint", (c) => c.notNull())
    .addColumn("completed_at", "bigint")
    .addColumn("next_check_at", "bigint")
    .execute();
  await db.schema
    .createIndex("purchases_list")
    .ifNotExists()
    .on("purchases")
    .columns(["organization_id", "sequence"])
    .execute();
  await db.schema.createIndex("purchases_due").ifNotExists().on("purchases").column("next_check_at").execute();
  await db.schema
    .createIndex("purchases_token")
    .ifNotExists()
    .on("purchases")
    .columns(["buyer_token_id", "accepted_at"])
    .execute();
  await db.schema
    .createTable("idempotency_keys")
    .ifNotExists()
    .addColumn("organization_id", "integer", (c) => c.notNull().references("organizations.id"))
    .addColumn("key", "text", (c) => c.notNull())
    .addColumn("request_hash", "text")
    .addColumn("purchase_id", "text", (c) => c.unique())
    .addColumn("created_at", "bigint", (c) => c.notNull())
    .addPrimaryKeyConstraint("idempotency_keys_key", ["organization_id", "key"] as never)
    .execute();
}

async function createRecords(db: Kysely<unknown>): Promise<void> {
  const numbered = (table: string) =>
    db.schema
      .createTable(table)
      .ifNotExists()
      .addColumn("organization_id", "integer", (c) => c.notNull().references("organizations.id"))
      .addColumn("number", "integer", (c) => c.notNull())
      .addColumn("purchase_id", "text", (c) => c.notNull().unique().references("purchases.id"))
      .addColumn("issued_at", "bigint", (c) => c.notNull())
      .addPrimaryKeyConstraint(`${table}_key`, ["organization_id", "number"] as never);
  await numbered("receipts")
    .addColumn("licenses_after", "integer", (c) => c.notNull())
    .execute();
  await numbered("credit_notes").execute();
  await db.schema
    .createTable("ledger")
    .ifNotExists()
    .addColumn("id", "integer", identity)
    .addColumn("organization_id", "integer", (c) => c.notNull().references("organizations.id"))
    .addColumn("purchase_id", "text", (c) => c.notNull().references("purchases.id"))
    .addColumn("kind", "text", (c) => c.notNull())
    .addColumn("amount", "bigint", (c) => c.notNull().check(sql`amount >= 0`))
    .addColumn("currency", "text", (c) => c.notNull())
    .addColumn("at", "bigint", (c) => c.notNull())
    .addUniqueConstraint("ledger_once", ["purchase_id", "kind"] as never)
    .execute();
  await db.schema
    .createTable("events")
    .ifNotExists()
    .addColumn("id", "integer", identity)
    .addColumn("organization_id", "integer", (c) => c.notNull().references("organizations.id"))
    .addColumn("at", "bigint", (c) => c.notNull())
    .addColumn("type", "text", (c) => c.notNull())
    .addColumn("actor", "text", (c) => c.notNull())
    .addColumn("purchase_id", "text")
    .addColumn("data_json", "text", (c) => c.notNull())
    .execute();
  await db.schema.createIndex("events_list").ifNotExists().on("events").columns(["organization_id", "id"]).execute();
  await db.schema
    .createTable("outbox")
    .ifNotExists()
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("payload_json", "text", (c) => c.notNull())
    .addColumn("created_at", "bigint", (c) => c.notNull())
    .addColumn("sent_at", "bigint")
    .execute();
  await db.schema.createIndex("outbox_unsent").ifNotExists().on("outbox").column("sent_at").execute();
}

/** Makes the database itself refuse to update or delete rows of a table. */
async function makeAppendOnly(db: Kysely<unknown>, table: string): Promise<void> {
  for (const change of ["update", "delete"]) {
    await sql`create trigger if not exists ${sql.ref(`${table}_no_${change}`)} before ${sql.raw(change)} on ${sql.table(table)}
      begin select raise(abort, 'append-only'); end`.execute(db);
  }
}
