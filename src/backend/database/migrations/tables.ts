import { type ColumnDefinitionBuilder, type CreateTableBuilder, type Kysely, sql } from "kysely";
import type { Dialect } from "./dialect.ts";

/** How to create the tables. */
export interface TableOptions {
  readonly dialect: Dialect;
  /** On PostgreSQL: into how many partitions each table of the organizations is split by its hash; 0 for none. */
  readonly partitions: number;
}

/** A table that is being created. */
export type Table = CreateTableBuilder<string, string>;

/** A column that is never null. */
export const required = (column: ColumnDefinitionBuilder) => column.notNull();

/** A column that counts from 0. */
export const counter = (column: ColumnDefinitionBuilder) => column.notNull().defaultTo(0);

/** Creates a table of the organizations, with its partitions. */
export async function createOf(
  db: Kysely<unknown>,
  { partitions }: TableOptions,
  name: string,
  build: (table: Table) => Table,
  by = "organization_id",
): Promise<void> {
  const table = build(db.schema.createTable(name) as Table);
  if (partitions === 0) return table.execute();
  await table.modifyEnd(sql`partition by hash (${sql.ref(by)})`).execute();
  for (let remainder = 0; remainder < partitions; remainder += 1) {
    const part = sql.table(`${name}_${remainder}`);
    const values = sql`with (modulus ${sql.lit(partitions)}, remainder ${sql.lit(remainder)})`;
    await sql`create table ${part} partition of ${sql.table(name)} for values ${values}`.execute(db);
  }
}

/**
 * Numbers rows across all organizations, beside their own key, which begins with the organization. SQLite numbers only a
 * primary key.
 */
export function numbered(table: Table, { dialect }: TableOptions, name: string, key: readonly string[]): Table {
  if (dialect === "sqlite") {
    return table
      .addColumn("id", "integer", (column) => column.primaryKey().autoIncrement())
      .addUniqueConstraint(`${name}_key`, key as never);
  }
  return table
    .addColumn("id", "bigint", (column) => column.notNull().generatedByDefaultAsIdentity())
    .addPrimaryKeyConstraint(`${name}_key`, key as never);
}

/** Creates an index. */
export async function createIndex(db: Kysely<unknown>, name: string, table: string, columns: string[]): Promise<void> {
  await db.schema.createIndex(name).on(table).columns(columns).execute();
}
