import { type Kysely, sql } from "kysely";
import { counter, createIndex, createOf, numbered, required, type Table, type TableOptions } from "./tables.ts";

/** Creates quotes, purchases and what is recorded of them (src/backend/README.md, Keys). */
export async function createPurchaseTables(db: Kysely<unknown>, options: TableOptions): Promise<void> {
  await createPurchases(db, options);
  await createRecords(db, options);
}

async function createPurchases(db: Kysely<unknown>, options: TableOptions): Promise<void> {
  await createOf(db, options, "quotes", (table) =>
    table
      .addColumn("organization_id", "bigint", (c) => c.notNull().references("organizations.id"))
      .addColumn("id", "text", required)
      .addColumn("licenses", "bigint", required)
      .addColumn("subscription_version", "bigint", required)
      .addColumn("purchase_date", "text", required)
      .addColumn("expires_at", "bigint", required)
      .addColumn("quote_json", "text", required)
      .addPrimaryKeyConstraint("quotes_key", ["organization_id", "id"] as never),
  );
  await createIndex(db, "quotes_expiry", "quotes", ["expires_at"]);
  // Foreign keys that follow from another are left out: each one costs every purchase a look and a lock.
  await createOf(db, options, "purchases", (table) =>
    table
      .addColumn("organization_id", "bigint", required)
      .addColumn("id", "text", required)
      .addColumn("sequence", "bigint", required)
      .addColumn("kind", "text", required)
      .addColumn("state", "text", required)
      .addColumn("epoch", "bigint", required)
      .addColumn("lease_until", "bigint", required)
      .addColumn("quote_id", "text")
      .addColumn("idempotency_key", "text")
      .addColumn("licenses", "bigint", required)
      .addColumn("total", "bigint", (c) => c.notNull().check(sql`total >= 0`))
      .addColumn("currency", "text", required)
      .addColumn("price_json", "text", required)
      .addColumn("time_zone", "text", required)
      .addColumn("purchase_order", "text")
      .addColumn("note", "text")
      .addColumn("buyer_email", "text")
      .addColumn("buyer_token_id", "text")
      .addColumn("buyer_token_name", "text")
      .addColumn("payment_method", "text")
      .addColumn("payment_id", "text")
      .addColumn("confirm_count", "integer", required)
      .addColumn("failure_code", "text")
      .addColumn("failure_message", "text")
      .addColumn("accepted_at", "bigint", required)
      .addColumn("spent_at", "bigint", required)
      .addColumn("attempted_at", "bigint")
      .addColumn("completed_at", "bigint")
      .addColumn("next_check_at", "bigint")
      .addColumn("by_person", "integer", counter)
      .addColumn("on_decline", "text", (c) => c.notNull().defaultTo("declined"))
      .addColumn("renewal_term", "integer")
      .addColumn("grace_until", "bigint")
      .addPrimaryKeyConstraint("purchases_key", ["organization_id", "id"] as never)
      .addUniqueConstraint("purchases_sequence", ["organization_id", "sequence"] as never)
      .addForeignKeyConstraint("purchases_quote", ["organization_id", "quote_id"] as never, "quotes", [
        "organization_id",
        "id",
      ]),
  );
  for (const column of ["payment_id", "quote_id", "renewal_term"]) {
    await sql`create unique index ${sql.id(`purchases_${column}`)} on purchases (organization_id, ${sql.ref(column)})
      where ${sql.ref(column)} is not null`.execute(db);
  }
  await sql`create index purchases_due on purchases (next_check_at) where next_check_at is not null`.execute(db);
  await sql`create index purchases_open on purchases (organization_id) where completed_at is null`.execute(db);
  await sql`create index purchases_spent on purchases (organization_id, buyer_token_id, spent_at)
    where buyer_token_id is not null`.execute(db);
  await createOf(db, options, "idempotency_keys", (table) =>
    table
      .addColumn("organization_id", "bigint", required)
      .addColumn("key", "text", required)
      .addColumn("request_hash", "text")
      .addColumn("purchase_id", "text")
      .addColumn("created_at", "bigint", required)
      .addPrimaryKeyConstraint("idempotency_keys_key", ["organization_id", "key"] as never),
  );
}

async function createRecords(db: Kysely<unknown>, options: TableOptions): Promise<void> {
  const ofPurchase = (table: Table, name: string) =>
    table.addForeignKeyConstraint(`${name}_of`, ["organization_id", "purchase_id"] as never, "purchases", [
      "organization_id",
      "id",
    ]);
  const document = (table: Table, name: string) =>
    ofPurchase(table, name)
      .addColumn("organization_id", "bigint", required)
      .addColumn("number", "bigint", required)
      .addColumn("purchase_id", "text", required)
      .addColumn("issued_at", "bigint", required)
      .addPrimaryKeyConstraint(`${name}_key`, ["organization_id", "number"] as never)
      .addUniqueConstraint(`${name}_purchase`, ["organization_id", "purchase_id"] as never);
  await createOf(db, options, "receipts", (table) =>
    document(table, "receipts").addColumn("licenses_after", "bigint", required),
  );
  await createOf(db, options, "credit_notes", (table) => document(table, "credit_notes"));
  await createOf(db, options, "ledger", (table) =>
    numbered(table, options, "ledger", ["organization_id", "purchase_id", "kind"])
      .addColumn("organization_id", "bigint", required)
      .addColumn("purchase_id", "text", required)
      .addColumn("kind", "text", required)
      .addColumn("amount", "bigint", (c) => c.notNull().check(sql`amount >= 0`))
      .addColumn("currency", "text", required)
      .addColumn("at", "bigint", required),
  );
  await createOf(db, options, "events", (table) =>
    table
      .addColumn("organization_id", "bigint", required)
      .addColumn("number", "bigint", required)
      .addColumn("at", "bigint", required)
      .addColumn("type", "text", required)
      .addColumn("actor", "text", required)
      .addColumn("purchase_id", "text")
      .addColumn("data_json", "text", required)
      .addPrimaryKeyConstraint("events_key", ["organization_id", "number"] as never),
  );
  await createOf(db, options, "outbox", (table) =>
    table
      .addColumn("organization_id", "bigint", required)
      .addColumn("id", "text", required)
      .addColumn("payload_json", "text", required)
      .addColumn("created_at", "bigint", required)
      .addColumn("claimed_until", "bigint", counter)
      .addColumn("sent_at", "bigint")
      .addPrimaryKeyConstraint("outbox_key", ["organization_id", "id"] as never),
  );
  await sql`create index outbox_unsent on outbox (created_at) where sent_at is null`.execute(db);
  await sql`create index outbox_sent on outbox (sent_at) where sent_at is not null`.execute(db);
  if (options.dialect === "sqlite") {
    for (const table of ["ledger", "events", "receipts", "credit_notes"]) await makeAppendOnly(db, table);
  }
}

/** Makes SQLite refuse to update or delete rows of a table. On PostgreSQL the service's role may not. */
export async function makeAppendOnly(db: Kysely<unknown>, table: string): Promise<void> {
  for (const change of ["update", "delete"]) {
    await sql`create trigger ${sql.ref(`${table}_no_${change}`)} before ${sql.raw(change)} on ${sql.table(table)}
      begin select raise(abort, 'append-only'); end`.execute(db);
  }
}
