import { type ColumnDefinitionBuilder, type Kysely, sql } from "kysely";

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
  if (!isWhole && (await hasColumn(db, [table, column]))) return;
  await db.schema.alterTable(table).addColumn(column, type, build).execute();
}

/** Whether a table has a column, on SQLite. */
export async function hasColumn(db: Kysely<unknown>, [table, column]: readonly [string, string]): Promise<boolean> {
  const { rows } = await sql`select 1 from pragma_table_info(${table}) where name = ${column}`.execute(db);
  return rows.length > 0;
}
