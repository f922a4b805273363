import type { Kysely, Migration } from "kysely";
import { addColumn } from "./dialect.ts";

/** What an organization assigns to everybody who is added; nothing until it is set. */
export const assignmentStrategyMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await addColumn(db, ["organizations", "assignment_strategy"], "text", (c) => c.notNull().defaultTo("NONE"));
  },
};
