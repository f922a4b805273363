import { type Kysely, sql } from "kysely";
import { createIndex, required, type TableOptions } from "./tables.ts";

/** Creates the directory: the tables that belong to no organization (src/backend/README.md, Keys). */
export async function createDirectory(db: Kysely<unknown>, { dialect }: TableOptions): Promise<void> {
  // On PostgreSQL the migrator needs it before the first step.
  await db.schema
    .createTable("settings")
    .ifNotExists()
    .addColumn("name", "text", (c) => c.primaryKey())
    .addColumn("value", "text", required)
    .execute();
  await db.schema
    .createTable("users")
    .addColumn("id", dialect === "sqlite" ? "integer" : "bigint", (c) =>
      dialect === "sqlite" ? c.primaryKey().autoIncrement() : c.primaryKey().generatedByDefaultAsIdentity(),
    )
    .addColumn("uuid", "text", (c) => c.notNull().unique())
    .addColumn("email", "text", required)
    .addColumn("email_key", "text", (c) => c.notNull().unique())
    .addColumn("password_hash", "text")
    .addColumn("totp_secret", "text")
    .execute();
  await db.schema
    .createTable("token_index")
    .addColumn("token_hash", "text", (c) => c.primaryKey())
    .addColumn("organization_id", "bigint", required)
    .addColumn("token_id", "text", required)
    .execute();
  await createSessions(db);
}

async function createSessions(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("sessions")
    .addColumn("id", "text", (c) => c.primaryKey())
    .addColumn("user_id", "bigint", (c) => c.notNull().references("users.id"))
    .addColumn("access_hash", "text", (c) => c.notNull().unique())
    .addColumn("access_expires_at", "bigint", required)
    .addColumn("refresh_hash", "text", (c) => c.notNull().unique())
    .addColumn("refresh_expires_at", "bigint", required)
    .addColumn("previous_refresh_hash", "text", (c) => c.unique())
    .addColumn("rotated_at", "bigint")
    .addColumn("revoked_at", "bigint")
    .addColumn("mfa_at", "bigint")
    .execute();
  await createIndex(db, "sessions_expiry", "sessions", ["refresh_expires_at"]);
  await sql`create index sessions_revoked on sessions (revoked_at) where revoked_at is not null`.execute(db);
  await db.schema
    .createTable("sign_in_attempts")
    .addColumn("id", "text")
    .addColumn("email_key", "text", required)
    .addColumn("address", "text", required)
    .addColumn("at", "bigint", required)
    .execute();
  await createIndex(db, "sign_in_attempts_place", "sign_in_attempts", ["address", "at"]);
  await createIndex(db, "sign_in_attempts_id", "sign_in_attempts", ["id"]);
  await createIndex(db, "sign_in_attempts_age", "sign_in_attempts", ["at"]);
  await db.schema
    .createTable("used_codes")
    .addColumn("user_id", "bigint", (c) => c.notNull().references("users.id"))
    .addColumn("step", "bigint", required)
    .addPrimaryKeyConstraint("used_codes_key", ["user_id", "step"] as never)
    .execute();
  await createIndex(db, "used_codes_age", "used_codes", ["step"]);
  await db.schema
    .createTable("sign_in_tickets")
    .addColumn("ticket_hash", "text", (c) => c.primaryKey())
    .addColumn("user_id", "bigint", (c) => c.notNull().references("users.id"))
    .addColumn("kind", "text", required)
    .addColumn("tries", "integer", required)
    .addColumn("mfa_at", "bigint")
    .addColumn("expires_at", "bigint", required)
    .execute();
  await createIndex(db, "sign_in_tickets_expiry", "sign_in_tickets", ["expires_at"]);
  await db.schema
    .createTable("device_grants")
    .addColumn("device_code_hash", "text", (c) => c.primaryKey())
    .addColumn("user_code_hash", "text", (c) => c.notNull().unique())
    .addColumn("client_id", "text", required)
    .addColumn("address", "text", required)
    .addColumn("created_at", "bigint", required)
    .addColumn("expires_at", "bigint", required)
    .addColumn("interval_seconds", "integer", required)
    .addColumn("polled_at", "bigint")
    .addColumn("tries", "integer", required)
    .addColumn("state", "text", required)
    .addColumn("user_id", "bigint", (c) => c.references("users.id"))
    .addColumn("mfa_at", "bigint")
    .execute();
  await createIndex(db, "device_grants_expiry", "device_grants", ["expires_at"]);
  await createIndex(db, "device_grants_address", "device_grants", ["address", "created_at"]);
}
