import type { Kysely, Migration } from "kysely";

/** Adds when an organization was created, which is not known of those that exist: a report has nothing from before. */
export const reportsMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema.alterTable("organizations").addColumn("created_at", "bigint").execute();
  },
};
