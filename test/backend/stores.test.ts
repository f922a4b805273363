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

  test("take a null that comes alone", async () => {
    const { database, close } = await openTestStore(dialect);
    const outbox = { id: "1", payload_json: "{}", created_at: 1, sent_at: 1 };
    await database.insertInto("outbox").values(outbox).execute();
    await database.updateTable("outbox").set({ sent_at: null }).execute();
    expect(await database.selectFrom("outbox").select("sent_at").execute()).toEqual([{ sent_at: null }]);
    await close();
  });
});
