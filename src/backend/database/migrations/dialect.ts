import { type ColumnDefinitionBuilder, type Kysely, sql } from "kysely";

/** The databases that the store supports. */
export type Dialect = "sqlite" | "postgres";

/**
 * Adds a column on SQLite unless the table has it, because an earlier run may have crashed right after adding it.
 */
export async function addColumn(
  db: Kysely<unknown>,
  [table, column]: readonly [string, string],
  type: "text" | "integer" | "bigint",
  build: (column: ColumnDefinitionBuilder) => ColumnDefinitionBuilder = (added) => added,
): Promise<void> {
  if (await hasColumn(db, [table, column])) return;
  await db.schema.alterTable(table).addColumn(column, type, build).execute();
}

/** Whether a table has a column, on SQLite. */
export async function hasColumn(db: Kysely<unknown>, [table, column]: readonly [string, string]): Promise<boolean> {
  const { rows } = await sql`select 1 from pragma_table_info(${table}) where name = ${column}`.execute(db);
  return rows.length > 0;
}
