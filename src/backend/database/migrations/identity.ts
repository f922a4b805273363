import type { Kysely, Migration } from "kysely";
import { addColumn } from "./dialect.ts";

/** Adds one-time codes, sign-in with a browser, and the displayed columns of API tokens. */
export const identityMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await addColumn(db, ["sessions", "mfa_at"], "bigint");
    await addColumn(db, ["api_tokens", "created_at"], "bigint");
    await addColumn(db, ["api_tokens", "last4"], "text");
    await addColumn(db, ["sign_in_attempts", "id"], "text");
    await db.schema
      .createTable("used_codes")
      .ifNotExists()
      .addColumn("user_id", "integer", (c) => c.notNull().references("users.id"))
      .addColumn("step", "bigint", (c) => c.notNull())
      .addPrimaryKeyConstraint("used_codes_key", ["user_id", "step"] as never)
      .execute();
    await db.schema
      .createTable("sign_in_tickets")
      .ifNotExists()
      .addColumn("ticket_hash", "text", (c) => c.primaryKey())
      .addColumn("user_id", "integer", (c) => c.notNull().references("users.id"))
      .addColumn("kind", "text", (c) => c.notNull())
      .addColumn("tries", "integer", (c) => c.notNull())
      .addColumn("mfa_at", "bigint")
      .addColumn("expires_at", "bigint", (c) => c.notNull())
      .execute();
    await db.schema
      .createTable("device_grants")
      .ifNotExists()
      .addColumn("device_code_hash", "text", (c) => c.primaryKey())
      .addColumn("user_code_hash", "text", (c) => c.notNull().unique())
      .addColumn("client_id", "text", (c) => c.notNull())
      .addColumn("address", "text", (c) => c.notNull())
      .addColumn("created_at", "bigint", (c) => c.notNull())
      .addColumn("expires_at", "bigint", (c) => c.notNull())
      .addColumn("interval_seconds", "integer", (c) => c.notNull())
      .addColumn("polled_at", "bigint")
      .addColumn("tries", "integer", (c) => c.notNull())
      .addColumn("state", "text", (c) => c.notNull())
      .addColumn("user_id", "integer", (c) => c.references("users.id"))
      .addColumn("mfa_at", "bigint")
      .execute();
  },
};
