import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openPostgres, type PostgresStore } from "../../../src/backend/database/postgres.ts";
import { inTransaction } from "../../../src/backend/database/transaction.ts";
import { POSTGRES } from "../../support/service.ts";

const CONNECTIONS = 8;
const SHARE = 2;

describe.skipIf(!POSTGRES)("connections of background work", () => {
  let store: PostgresStore;
  let acquired: number;

  beforeEach(() => {
    acquired = 0;
    const onAcquire = () => () => {
      acquired += 1;
    };
    store = openPostgres(POSTGRES ?? "", { connections: CONNECTIONS, onAcquire });
  });
  afterEach(() => store.database.destroy());

  /** Holds a connection until it is told to end. */
  const hold = (kind: "database" | "background") => {
    let end = () => {};
    const told = new Promise<void>((resolve) => {
      end = resolve;
    });
    const done = store[kind].connection().execute(() => told);
    return { end, done };
  };

  test("are a quarter at most, so that requests have the others", async () => {
    const jobs = Array.from({ length: 5 }, () => hold("background"));
    await expect.poll(() => acquired).toBe(SHARE);
    await sql`select 1`.execute(store.database);
    expect(store.pool().waiting).toBe(0);
    expect(acquired).toBe(SHARE + 1);
    for (const { end, done } of jobs) {
      end();
      await done;
    }
    expect(acquired).toBe(jobs.length + 1);
  });

  test("come back after a statement or transaction that failed", async () => {
    for (let time = 0; time <= SHARE; time += 1) {
      await expect(sql`select 1 / 0`.execute(store.background)).rejects.toThrow("division by zero");
      await expect(
        inTransaction(store.background, async (tx) => void (await sql`select 1 / 0`.execute(tx))),
      ).rejects.toThrow("division by zero");
    }
    await sql`select 1`.execute(store.background);
  });

  test("come back after a connection could not be made", async () => {
    const requests = Array.from({ length: CONNECTIONS }, () => hold("database"));
    await expect.poll(() => acquired).toBe(CONNECTIONS);
    const failed = Array.from({ length: SHARE + 1 }, () => sql`select 1`.execute(store.background));
    const outcomes = await Promise.allSettled(failed);
    expect(outcomes.map(({ status }) => status)).toEqual(failed.map(() => "rejected"));
    for (const { end, done } of requests) {
      end();
      await done;
    }
    await sql`select 1`.execute(store.background);
  });
});
