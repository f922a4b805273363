import { expect, test } from "vitest";
import { migrate } from "../../../src/backend/database/migrations/index.ts";
import { newestSchema } from "../../../src/backend/database/migrations/newest.ts";
import { openSqlite, sqliteStore } from "../../../src/backend/database/sqlite.ts";

async function opened() {
  const database = await openSqlite(":memory:");
  const list = (query: string) =>
    database
      .prepare(query)
      .all()
      .flatMap((row) => Object.values(row as object)) as string[];
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

/** One migration for each of its statements. */
const CUT_OFF_MS = 300_000;

test(
  "a migration that is cut off at any statement is completed by the next one",
  async () => {
    const whole = await opened();
    const count = await cutOff(whole, Number.POSITIVE_INFINITY);
    expect(count).toBeGreaterThan(100);
    for (let statement = 1; statement <= count; statement += 1) {
      const cut = await opened();
      await expect(cutOff(cut, statement), `statement ${statement}`).rejects.toThrow("cut off");
      await expect(migrate(cut.store, { dialect: "sqlite" }), `after statement ${statement}`).resolves.toBeDefined();
      expect(cut.schema()).toEqual(whole.schema());
      await cut.store.destroy();
    }
    await whole.store.destroy();
  },
  CUT_OFF_MS,
);

/** Migrates, but throws instead of the statement of a number. Returns how many there were. */
async function cutOff({ database, store }: Awaited<ReturnType<typeof opened>>, statement: number): Promise<number> {
  const prepare = database.prepare.bind(database);
  let count = 0;
  database.prepare = (text) => {
    count += 1;
    if (count === statement) throw new Error("cut off");
    return prepare(text);
  };
  try {
    await migrate(store, { dialect: "sqlite" });
  } finally {
    database.prepare = prepare;
  }
  return count;
}
