import { sql } from "kysely";
import { describe, expect, test } from "vitest";
import { preparedStatement } from "../../../src/backend/database/prepared.ts";
import { DIALECTS, openTestStore } from "../support/stores.ts";

describe.each(DIALECTS)("prepared statements on %s", (dialect) => {
  test("are built once, and take values by name, also repeatedly and null", async () => {
    let builds = 0;
    const echo = preparedStatement<{ one: string; other: string | null }, Record<string, unknown>>((value) => {
      builds += 1;
      return sql`select cast(${value("other")} as text) as a, cast(${value("one")} as text) as b,
        cast(${value("one")} as text) as c, cast(${"fixed"} as text) as d`;
    });
    const stores = [await openTestStore(dialect), await openTestStore(dialect)];
    for (const { database } of stores) {
      expect(await echo(database, { one: "1", other: "2" })).toEqual([{ a: "2", b: "1", c: "1", d: "fixed" }]);
      expect(await echo(database, { one: "3", other: null })).toEqual([{ a: null, b: "3", c: "3", d: "fixed" }]);
    }
    expect(builds).toBe(1);
    for (const store of stores) await store.close();
  });

  test("run in a transaction", async () => {
    const { database, close } = await openTestStore(dialect);
    const add = preparedStatement<{ name: string }, { name: string }>((value, on) =>
      on
        .insertInto("settings")
        .values({ name: value("name"), value: "1" })
        .returning("name"),
    );
    const failed = database.transaction().execute(async (tx) => {
      expect(await add(tx, { name: "lost" })).toEqual([{ name: "lost" }]);
      throw new RangeError("rolls back");
    });
    await expect(failed).rejects.toThrow("rolls back");
    expect(await add(database, { name: "kept" })).toEqual([{ name: "kept" }]);
    expect(await database.selectFrom("settings").select("name").execute()).toEqual([{ name: "kept" }]);
    await close();
  });
});
