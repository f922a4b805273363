import type { ColumnDefinitionBuilder, Kysely } from "kysely";

/** The databases that the store speaks to. */
export type Dialect = "sqlite" | "postgres";

/**
 * Adds a column unless the table has it: on SQLite an earlier run may have died right after it. On PostgreSQL a migration
 * is all or nothing, and tables of the same name in other schemas are not to be taken for this one.
 */
export async function addColumn(
  db: Kysely<unknown>,
  [table, column]: readonly [string, string],
  type: "text" | "integer" | "bigint",
  build: (column: ColumnDefinitionBuilder) => ColumnDefinitionBuilder = (added) => added,
): Promise<void> {
  const isWhole = db.getExecutor().adapter.supportsTransactionalDdl;
  const tables = isWhole ? [] : await db.introspection.getTables();
  const known = tables.find(({ name }) => name === table)?.columns.some(({ name }) => name === column);
  if (!known) await db.schema.alterTable(table).addColumn(column, type, build).execute();
}
