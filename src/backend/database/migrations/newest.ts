import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Kysely } from "kysely";
import type Libsql from "libsql";
import type { Database } from "../schema.ts";
import { openSqlite, sqliteStore } from "../sqlite.ts";
import { migrate } from "./index.ts";

/**
 * Gives a database in memory the newest schema: at once from the file that the build writes beside the bundle, because
 * the migrations take a fifth of a sandbox's start, or by the migrations where the sources run.
 *
 * @param store the same database, which is new
 */
export async function createSchema(database: Libsql.Database, store: Kysely<Database>): Promise<void> {
  const prebuilt = new URL("schema.sql", import.meta.url);
  if (existsSync(prebuilt)) database.exec(await readFile(prebuilt, "utf8"));
  else await migrate(store, "sqlite");
}

/** The statements of the newest schema for `createSchema`. They leave out what the migrator keeps of itself. */
export async function newestSchema(): Promise<string> {
  const database = await openSqlite(":memory:");
  const store = sqliteStore(database);
  try {
    await migrate(store, "sqlite");
    const statements = database
      .prepare(
        "select sql from sqlite_master where sql > '' and name not glob 'sqlite_*' and name not glob 'kysely_*' order by rowid",
      )
      .pluck()
      .all();
    return `begin;\n${statements.join(";\n")};\ncommit;\n`;
  } finally {
    await store.destroy();
  }
}
