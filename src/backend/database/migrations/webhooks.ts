import { type Kysely, type Migration, sql } from "kysely";
import { createIndex, required } from "./tables.ts";

/**
 * Adds the provider's events that were received, and the directory of its customers and subscriptions, which says when
 * each is looked at next.
 */
export const webhooksMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema
      .createTable("webhook_events")
      .addColumn("id", "text", (c) => c.primaryKey())
      .addColumn("type", "text", required)
      .addColumn("object_id", "text")
      .addColumn("received_at", "bigint", required)
      .addColumn("check_at", "bigint")
      .execute();
    await createIndex(db, "webhook_events_age", "webhook_events", ["received_at"]);
    await sql`create index webhook_events_due on webhook_events (check_at) where check_at is not null`.execute(db);
    await db.schema
      .createTable("provider_objects")
      .addColumn("id", "text", (c) => c.primaryKey())
      .addColumn("kind", "text", required)
      .addColumn("organization_id", "bigint", required)
      .addColumn("check_at", "bigint")
      .execute();
    await createIndex(db, "provider_objects_of", "provider_objects", ["organization_id"]);
    await sql`create index provider_objects_due on provider_objects (check_at) where check_at is not null`.execute(db);
    await db.schema.alterTable("subscriptions").addColumn("provider_status", "text").execute();
  },
};
