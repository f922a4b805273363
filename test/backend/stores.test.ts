import { describe, expect, test } from "vitest";
import { DIALECTS, openTestStore } from "./support/stores.ts";

describe.each(DIALECTS)("stores on %s", (dialect) => {
  test("stand beside one another, made at the same time, and can be brought up to date again", async () => {
    const first = await openTestStore(dialect);
    const stores = [first, ...(await Promise.all([1, 2, 3].map(() => openTestStore(dialect))))];
    for (const { database, migrate } of stores) {
      await migrate();
      await database.insertInto("settings").values({ name: "only here", value: "1" }).execute();
      expect(await database.selectFrom("settings").selectAll().execute()).toHaveLength(1);
      // Columns that came with a later migration are here, not only where another store has its tables.
      expect(await database.selectFrom("api_tokens").select("created_at").execute()).toEqual([]);
    }
    for (const store of stores) await store.close();
  });
});
