import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import { describe, expect, test } from "vitest";
import { openPostgres } from "../../../src/backend/database/postgres.ts";
import { inTransaction } from "../../../src/backend/database/transaction.ts";
import { createMetrics, poolObservers } from "../../../src/backend/service/metrics.ts";
import { waitFor } from "../../support/wait.ts";

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

describe.runIf(url)("a pool", () => {
  test("survives a connection that is lost between two statements of a transaction", async () => {
    const { database, pool } = openPostgres(url ?? "", { connections: 1 });
    const killer = openPostgres(url ?? "", { connections: 1 });
    try {
      const work = inTransaction(database, async (tx) => {
        const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx);
        await sql`select pg_terminate_backend(${rows[0]?.pid}, 5000)`.execute(killer.database);
        await waitFor(() => pool().total === 1 && pool().idle === 0, 1_000, "the connection in use");
        await sql`select 1`.execute(tx);
      });
      await expect(work).rejects.toMatchObject({ code: expect.stringMatching(/^(57P01|08006)$/) });
      expect((await sql<{ one: number }>`select 1 as one`.execute(database)).rows).toEqual([{ one: 1 }]);
    } finally {
      await Promise.all([database.destroy(), killer.database.destroy()]);
    }
  });

  test("repeats prepared statements whose columns a migration has changed, on all connections", async () => {
    const retries: string[] = [];
    const { database } = openPostgres(url ?? "", { connections: 3, onRetry: (code) => retries.push(code) });
    const table = sql.id(`test_${randomBytes(6).toString("hex")}`);
    const read = (db = database) => sql`select * from ${table} where id = ${1}`.execute(db);
    const readInTransaction = () => inTransaction(database, (tx) => read(tx));
    const connections = [1, 2, 3];
    try {
      await sql`create table ${table} (id int)`.execute(database);
      await sql`insert into ${table} values (1)`.execute(database);
      await Promise.all(connections.map(readInTransaction));
      await sql`alter table ${table} add column added int default 2`.execute(database);
      const rows = (await Promise.all([read(), readInTransaction(), readInTransaction()])).map((result) => result.rows);
      expect(rows).toEqual(connections.map(() => [{ id: 1, added: 2 }]));
      expect(retries.length).toBeGreaterThan(0);
      const before = retries.length;
      await Promise.all(connections.map(readInTransaction));
      expect(retries.length).toBe(before);
    } finally {
      await sql`drop table ${table}`.execute(database);
      await database.destroy();
    }
  });
});
