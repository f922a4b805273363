import type { Kysely, Migration } from "kysely";
import { addColumn } from "./dialect.ts";

/** Adds the instant that decides in which month a purchase counts against a spending limit. */
export const spendingMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await addColumn(db, ["purchases", "spent_at"], "bigint", (c) => c.notNull().defaultTo(0));
    await db
      .withTables<{ purchases: { spent_at: number; attempted_at: number | null; accepted_at: number } }>()
      .updateTable("purchases")
      .set((expression) => ({ spent_at: expression.fn.coalesce("attempted_at", "accepted_at") }))
      .where("spent_at", "=", 0)
      .execute();
    await db.schema
      .createIndex("purchases_spent")
      .ifNotExists()
      .on("purchases")
      .columns(["buyer_token_id", "spent_at"])
      .execute();
    await db.schema.dropIndex("purchases_token").ifExists().execute();
  },
};
