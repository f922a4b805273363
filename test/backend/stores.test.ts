import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { seedRows } from "../../src/backend/sandbox/seedRows.ts";
import { renewalsMigration } from "../../src/backend/store/migrations/renewals.ts";
import { seedStore } from "../../src/backend/store/seeding.ts";
import { NOON, organization } from "./support/backend.ts";
import { DIALECTS, openTestStore } from "./support/stores.ts";

/** The columns that came with renewals. */
const ADDED = {
  subscriptions: ["renew_at", "reduction", "reduction_term", "unpaid_renewal"],
  purchases: ["attempted_at", "renewal_term", "grace_until"],
};

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

  test("from before there were renewals renew after the term that they are known to be in", async () => {
    const { database, close } = await openTestStore(dialect);
    const anchored = { interval: "month", anchorDate: "2026-01-31" } as const;
    const made = organization({ timeZone: "America/New_York", usedLicenses: 0 });
    const renewing = { ...made, subscription: { ...made.subscription, ...anchored } };
    const ending = organization({ subscription: { ...made.subscription, autoRenew: false } });
    await seedStore(
      database,
      [renewing, ending].map((one) => seedRows(one, NOON, randomBytes)),
      {},
    );
    for (const index of ["subscriptions_due", "purchases_renewal"]) await database.schema.dropIndex(index).execute();
    for (const [table, columns] of Object.entries(ADDED)) {
      for (const column of columns) await database.schema.alterTable(table).dropColumn(column).execute();
    }
    await renewalsMigration.up(database);
    const rows = await database.selectFrom("subscriptions").select("renew_at").orderBy("organization_id").execute();
    expect(rows.map(({ renew_at }) => renew_at)).toEqual([Date.parse("2026-11-30T05:00:00Z"), null]);
    await close();
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
