import type { Kysely, Migration } from "kysely";

/**
 * Adds the record of the sandbox's payment provider, for a service that takes its cards. Nothing of the backend refers to
 * it, as to the record of a real provider.
 */
export const sandboxPaymentsMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable("sandbox_payments")
      .addColumn("id", "text", (c) => c.primaryKey())
      .addColumn("purchase_id", "text", (c) => c.notNull())
      .addColumn("create_key", "text", (c) => c.notNull().unique())
      .addColumn("confirm_key", "text")
      .addColumn("amount", "bigint", (c) => c.notNull())
      .addColumn("currency", "text", (c) => c.notNull())
      .addColumn("method", "text", (c) => c.notNull())
      .addColumn("status", "text", (c) => c.notNull())
      .addColumn("settles_at", "bigint")
      .addColumn("refunded", "bigint", (c) => c.notNull().defaultTo(0))
      .addColumn("refund_key", "text", (c) => c.unique())
      .addColumn("created_at", "bigint", (c) => c.notNull())
      .execute();
    await db.schema
      .createIndex("sandbox_payments_status")
      .on("sandbox_payments")
      .columns(["status", "created_at"])
      .execute();
    await db.schema
      .createTable("sandbox_attempts")
      .addColumn("key", "text", (c) => c.primaryKey())
      .addColumn("payment_id", "text", (c) => c.notNull())
      .execute();
  },
};

/**
 * Adds what a payment pays, and when it took money and was refunded, so that captures can be listed by time. Payments from
 * before are listed by when they were created.
 */
export const sandboxCapturesMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .alterTable("sandbox_payments")
      .addColumn("kind", "text")
      .addColumn("captured_at", "bigint")
      .addColumn("refunded_at", "bigint")
      .execute();
  },
};
