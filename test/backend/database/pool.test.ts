import { sql } from "kysely";
import { describe, expect, test } from "vitest";
import { openPostgres } from "../../../src/backend/database/postgres.ts";
import { inTransaction } from "../../../src/backend/database/transaction.ts";
import { createMetrics, poolObservers } from "../../../src/backend/service/metrics.ts";

const url = process.env.TEST_DATABASE_URL;

describe.runIf(url)("what a pool reports", () => {
  test("how long callers wait for a connection, also in vain", async () => {
    const waits = { begun: 0, over: 0 };
    const { database, pool } = openPostgres(url ?? "", {
      connections: 1,
      onAcquire() {
        waits.begun += 1;
        return () => {
          waits.over += 1;
        };
      },
    });
    try {
      const second = await inTransaction(database, async (tx) => {
        await sql`select 1`.execute(tx);
        const waiting = sql`select 1`.execute(database);
        expect(pool()).toMatchObject({ total: 1, idle: 0, waiting: 1 });
        expect(waits).toEqual({ begun: 2, over: 1 });
        // The transaction keeps the only connection until the other caller gives up.
        return waiting.then(
          () => "connected",
          () => "gave up",
        );
      });
      expect(second).toBe("gave up");
      expect(waits).toEqual({ begun: 2, over: 2 });
    } finally {
      await database.destroy();
    }
  });

  test("the conflicts that a transaction is repeated after", async () => {
    const retries: string[] = [];
    const { database } = openPostgres(url ?? "", { onRetry: (code) => retries.push(code) });
    try {
      let tries = 0;
      await inTransaction(database, async (tx) => {
        tries += 1;
        if (tries < 3) await sql`do $$ begin raise exception 'conflict' using errcode = '40001'; end $$`.execute(tx);
      });
      expect([tries, retries]).toEqual([3, ["40001", "40001"]]);
    } finally {
      await database.destroy();
    }
  });

  test("becomes metrics", async () => {
    const metrics = createMetrics();
    const { database } = openPostgres(url ?? "", poolObservers(metrics));
    try {
      let tries = 0;
      await inTransaction(database, async (tx) => {
        tries += 1;
        if (tries < 2) await sql`do $$ begin raise exception 'conflict' using errcode = '40P01'; end $$`.execute(tx);
      });
      const text = await metrics.registry.metrics();
      expect(text).toContain('transaction_retries_total{code="40P01"} 1');
      expect(text).toContain("pool_wait_seconds_count 2");
    } finally {
      await database.destroy();
    }
  });
});
