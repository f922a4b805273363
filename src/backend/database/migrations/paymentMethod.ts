import { type Kysely, type Migration, sql } from "kysely";

/**
 * Adds when a payment method expires, the page that asks for another, and renewal reminders, whose instants the sweep
 * finds out.
 */
export const paymentMethodMigration: Migration = {
  async up(db: Kysely<unknown>) {
    for (const column of ["payment_method_expires", "card_entry"]) {
      await db.schema.alterTable("subscriptions").addColumn(column, "text").execute();
    }
    await db.schema
      .alterTable("subscriptions")
      .addColumn("card_entries", "integer", (c) => c.notNull().defaultTo(0))
      .execute();
    await db.schema
      .alterTable("subscriptions")
      .addColumn("remind_at", "bigint", (c) => c.defaultTo(0))
      .execute();
    await sql`create index subscriptions_remind on subscriptions (remind_at, organization_id)
      where remind_at is not null`.execute(db);
  },
};
