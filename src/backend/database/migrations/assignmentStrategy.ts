import type { Kysely, Migration } from "kysely";
import { addColumn } from "./dialect.ts";

/** Adds the organization's assignment strategy, `NONE` by default. */
export const assignmentStrategyMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await addColumn(db, ["organizations", "assignment_strategy"], "text", (c) => c.notNull().defaultTo("NONE"));
  },
};
