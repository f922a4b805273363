import type { Kysely } from "kysely";
import { readShipped } from "../../shipped.ts";
import type { Database } from "../schema.ts";
import { openSqlite, type SqliteConnection, sqliteStore } from "../sqlite.ts";
import { migrate } from "./index.ts";

/**
 * Creates the newest schema in an empty database in memory: from the file that the build writes next to the bundle, because
 * migrations would take a fifth of a sandbox's start, or by migrations when running from the sources.
 *
 * @param store the store on the same database
 */
export async function createSchema(database: SqliteConnection, store: Kysely<Database>): Promise<void> {
  const prebuilt = readShipped("schema.sql");
  if (prebuilt !== null) database.exec(prebuilt.toString());
  else await migrate(store, { dialect: "sqlite" });
}

/** Generates the statements of the newest schema for `createSchema`, without the migrator's own tables. */
export async function newestSchema(): Promise<string> {
  const database = await openSqlite(":memory:");
  const store = sqliteStore(database);
  try {
    await migrate(store, { dialect: "sqlite" });
    const statements = database
      .prepare(
        "select sql from sqlite_master where sql > '' and name not glob 'sqlite_*' and name not glob 'kysely_*' order by rowid",
      )
      .all()
      .map((row) => (row as { sql: string }).sql);
    return `begin;\n${statements.join(";\n")};\ncommit;\n`;
  } finally {
    await store.destroy();
  }
}
