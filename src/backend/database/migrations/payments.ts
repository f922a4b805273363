import type { Kysely, Migration } from "kysely";
import { addColumn } from "./dialect.ts";

/** Adds payments by a person on the payment page. */
export const paymentsMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await addColumn(db, ["purchases", "by_person"], "integer", (c) => c.notNull().defaultTo(0));
    await addColumn(db, ["purchases", "on_decline"], "text", (c) => c.notNull().defaultTo("declined"));
  },
};
