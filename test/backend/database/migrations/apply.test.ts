import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { migrate, schemaState } from "../../../../src/backend/database/migrations/index.ts";
import { createIndexConcurrently } from "../../../../src/backend/database/migrations/online.ts";
import type { Step, Steps } from "../../../../src/backend/database/migrations/step.ts";
import { waitFor } from "../../../support/wait.ts";
import { openTestStore, type TestStore } from "../../support/stores.ts";

const url = process.env.TEST_DATABASE_URL;

const LEASE = "migration_lease";

describe.runIf(url)("steps on PostgreSQL", () => {
  let store: TestStore;
  const statements: string[] = [];

  const database = () => store.database;
  const apply = (steps: Steps, isPgbouncer = false) => migrate(database(), { dialect: "postgres", steps, isPgbouncer });
  const settings = () => database().selectFrom("settings").select("name").execute();

  beforeEach(async () => {
    store = await openTestStore("postgres", (text) => statements.push(text));
    statements.length = 0;
  });
  afterEach(() => store.close());

  test("that are pending are listed, applied once and recorded, and no lease is left", async () => {
    const ran: string[] = [];
    const step = (kind: Step["kind"]): Step => ({ kind, up: async (_, name) => void ran.push(name) });
    const steps = { "9001_a": step("transaction"), "9002_b": step("batches"), "9003_c": step("session") };
    const { pending } = await schemaState(database(), { dialect: "postgres", steps });
    expect(pending).toEqual(Object.keys(steps));
    expect(await apply(steps)).toEqual(pending);
    expect(await apply(steps)).toEqual([]);
    expect(ran).toEqual(pending);
    expect(await schemaState(database(), { dialect: "postgres", steps })).toEqual({ pending: [], unknown: [] });
    expect(await schemaState(database(), { dialect: "postgres" })).toEqual({ pending: [], unknown: pending });
    expect(await settings()).toEqual([]);
  });

  test("that fail leave what was applied before, and are repeated", async () => {
    let isBroken = true;
    const steps: Steps = {
      "9001_a": { kind: "transaction", up: async (db) => void (await sql`create table a (id int)`.execute(db)) },
      "9002_b": {
        kind: "transaction",
        async up(db) {
          await sql`create table b (id int)`.execute(db);
          if (isBroken) throw new TypeError("broken");
        },
      },
    };
    await expect(apply(steps)).rejects.toThrow("broken");
    expect((await schemaState(database(), { dialect: "postgres", steps })).pending).toEqual(["9002_b"]);
    expect(await settings()).toEqual([]);
    isBroken = false;
    expect(await apply(steps)).toEqual(["9002_b"]);
  });

  test("wait for a table that is in use without holding others up, and try again", async () => {
    const alter = "alter table purchases add column added integer";
    const steps: Steps = {
      "9001_added": { kind: "transaction", up: async (db) => void (await sql.raw(alter).execute(db)) },
    };
    const applying = await database()
      .transaction()
      .execute(async (reader) => {
        await reader.selectFrom("purchases").select("id").execute();
        const running = apply(steps);
        await waitFor(() => statements.filter((text) => text === alter).length > 1, 10_000, "the second try");
        return { running };
      });
    expect(await applying.running).toEqual(["9001_added"]);
  });

  test("are not recorded by a migrator that lost its lease, but by the one that holds it", async () => {
    let times = 0;
    const steal: Step = {
      kind: "batches",
      async up(db) {
        times += 1;
        if (times > 1) return;
        const value = JSON.stringify({ holder: "another", until: 0 });
        await db.updateTable("settings").set({ value }).where("name", "=", LEASE).execute();
      },
    };
    expect(await apply({ "9001_stolen": steal })).toEqual(["9001_stolen"]);
    expect(times).toBe(2);
  });

  test("build an index again that was left invalid", async () => {
    await sql`insert into organizations (id, name, time_zone) values (1, 'A', 'UTC'), (2, 'A', 'UTC')`.execute(
      database(),
    );
    // It fails half-way, because the names are not unique.
    const half = sql`create unique index concurrently organizations_name on organizations (name)`.execute(database());
    await expect(half).rejects.toMatchObject({ code: "23505" });
    const isUnique = async () => {
      const { rows } = await sql<{ valid: boolean; unique: boolean }>`select indisvalid as valid, indisunique as unique
        from pg_index where indexrelid = 'organizations_name'::regclass`.execute(database());
      return rows;
    };
    expect(await isUnique()).toEqual([{ valid: false, unique: true }]);
    const step = createIndexConcurrently("organizations_name", "organizations (name)");
    const created = () => statements.filter((text) => text.startsWith("create index")).length;
    await apply({ "9001_index": step });
    expect(await isUnique()).toEqual([{ valid: true, unique: false }]);
    // A busy database may need more than one try.
    const tries = created();
    expect(tries).toBeGreaterThan(0);
    await apply({ "9001_index": step, "9002_again": step });
    expect(created()).toBe(tries);
  });

  test("that need a session are refused through PgBouncer", async () => {
    const steps = { "9001_index": createIndexConcurrently("organizations_name", "organizations (name)") };
    const refusal = { code: "settings_invalid", message: expect.stringContaining("9001_index") };
    await expect(apply(steps, true)).rejects.toMatchObject(refusal);
    expect(await settings()).toEqual([]);
  });

  test("leave the time-outs of a connection as they were", async () => {
    const during: unknown[] = [];
    const timeouts = async (db: typeof store.database) =>
      (await sql`select current_setting('statement_timeout') as s, current_setting('lock_timeout') as l`.execute(db))
        .rows;
    const before = await timeouts(database());
    const look = (kind: Step["kind"]): Step => ({ kind, up: async (db) => void during.push(...(await timeouts(db))) });
    await apply({ "9001_a": look("transaction"), "9002_b": look("batches"), "9003_c": look("session") });
    expect(before).toEqual([{ s: "5s", l: "2s" }]);
    expect(during).toEqual([{ s: "0", l: "1s" }, ...before, { s: "0", l: "1s" }]);
    const after = await Promise.all(Array.from({ length: 10 }, () => timeouts(database())));
    expect(after).toEqual(after.map(() => before));
  });
});
