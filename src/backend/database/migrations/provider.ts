import type { Kysely, Migration } from "kysely";

/**
 * Adds what a payment provider with customers of its own needs: who pays, labels, the attempt before the current one, keys
 * that cannot be used any more, pages that ask for a card, and subscriptions that renew at the provider. SQLite adds one
 * column a statement.
 */
export const providerMigration: Migration = {
  async up(db: Kysely<unknown>) {
    for (const column of ["customer_id", "payment_method_label", "provider_subscription", "provider_item"]) {
      await db.schema.alterTable("subscriptions").addColumn(column, "text").execute();
    }
    await db.schema.alterTable("subscriptions").addColumn("provider_quantity", "bigint").execute();
    for (const column of ["customer_id", "payment_method_label", "attempt_before", "return_url", "card_entry"]) {
      await db.schema.alterTable("purchases").addColumn(column, "text").execute();
    }
    for (const column of ["noted_attempt", "key_retries", "card_entries"]) {
      await db.schema
        .alterTable("purchases")
        .addColumn(column, "integer", (c) => c.notNull().defaultTo(0))
        .execute();
    }
    await db.schema.alterTable("purchases").addColumn("key_retry_at", "bigint").execute();
  },
};
