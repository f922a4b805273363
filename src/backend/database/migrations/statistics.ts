import { type Kysely, type Migration, sql } from "kysely";

/** Columns that several indexes begin with, and how many rows to assume for each of their values. */
const ROWS_OF_A_VALUE = [
  ["purchases", "organization_id", 100],
  ["receipts", "organization_id", 100],
  ["members", "organization_id", 100],
  ["members", "user_id", 100],
] as const;

/**
 * Makes PostgreSQL assume that organizations and people have many rows, whatever it has counted. Where most have one, it
 * finds a row of the others by reading all of theirs: an index of which it uses one column seems as good as the key.
 */
export const statisticsMigration: Migration = {
  async up(db: Kysely<unknown>) {
    for (const [table, column, rows] of ROWS_OF_A_VALUE) {
      await sql`alter table ${sql.table(table)} alter column ${sql.ref(column)} set (n_distinct = ${sql.lit(-1 / rows)})`.execute(
        db,
      );
    }
  },
};
