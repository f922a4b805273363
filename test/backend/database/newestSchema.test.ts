import { expect, test } from "vitest";
import { migrate } from "../../../src/backend/database/migrations/index.ts";
import { newestSchema } from "../../../src/backend/database/migrations/newest.ts";
import { openSqlite, sqliteStore } from "../../../src/backend/database/sqlite.ts";

async function opened() {
  const database = await openSqlite(":memory:");
  const list = (query: string) => database.prepare(query).pluck().all() as string[];
  const ours = "name not glob 'kysely_*' and name not glob 'sqlite_*'";
  return {
    database,
    store: sqliteStore(database),
    schema: () => list(`select sql from sqlite_master where sql > '' and ${ours} order by name`),
    rows: () =>
      list(`select name from sqlite_master where type = 'table' and ${ours}`).filter(
        (table) => list(`select 1 from "${table}"`).length > 0,
      ),
  };
}

test("the schema file of the build matches the migrated schema, and its tables are empty", async () => {
  const [migrated, prebuilt] = [await opened(), await opened()];
  await migrate(migrated.store, { dialect: "sqlite" });
  prebuilt.database.exec(await newestSchema());
  expect(prebuilt.schema()).toEqual(migrated.schema());
  expect(prebuilt.schema().length).toBeGreaterThan(20);
  expect(migrated.rows()).toEqual([]);
  await migrated.store.destroy();
  await prebuilt.store.destroy();
});
