import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { migrate } from "../../../../src/backend/database/migrations/index.ts";
import {
  addCheck,
  addColumn,
  backfill,
  createIndexConcurrently,
  validateConstraint,
} from "../../../../src/backend/database/migrations/online.ts";
import { progressOf, type Steps } from "../../../../src/backend/database/migrations/step.ts";
import { postgresStore } from "../../../../src/backend/database/postgres.ts";
import { waitFor } from "../../../support/wait.ts";
import { buy, organization, startBackend, type TestBackend } from "../../support/backend.ts";
import { expectInvariants } from "../../support/invariants.ts";
import { writeMany } from "../../support/stores.ts";

const url = process.env.TEST_DATABASE_URL;

/** The purchases that are there before, of organizations that buy nothing meanwhile. */
const PURCHASES = 100_000;

const [FIRST_ARCHIVED, ARCHIVED_ORGANIZATIONS] = [900_000, 100];

/** What a client waits for a purchase; a lock alone may take 2 seconds. */
const LONGEST_SALE_MS = 8_000;

const STEPS: Steps = {
  "9001_touched": addColumn("purchases", "touched", "integer", "0"),
  // Counts, so that a row that was changed twice shows.
  "9002_touch": backfill({
    table: "purchases",
    key: ["organization_id", "id"],
    set: "touched = coalesce(changed.touched, 0) + 1",
    where: "changed.touched is null or changed.state = 'declined'",
  }),
  "9003_touched_index": createIndexConcurrently(
    "purchases_touched",
    "purchases (organization_id, touched) where touched > 0",
  ),
  "9004_touched_check": addCheck("purchases", "purchases_touched_check", "touched is not null"),
  "9005_touched_checked": validateConstraint("purchases", "purchases_touched_check"),
};

const NAMES = Object.keys(STEPS);

/** A migrator with connections of its own. */
interface Migrator {
  readonly statements: string[];
  waits: number;
  run(): Promise<readonly string[]>;
  /** Cuts its connections for good, as the end of its process would: it cleans nothing up. */
  cut(): void;
  close(): Promise<void>;
}

/** Opens a way to a server that can be cut. */
async function openLine(target: URL): Promise<{ url: string; cut(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const onward = connect(Number(target.port || 5432), target.hostname);
    for (const end of [socket, onward]) sockets.add(end.on("error", () => {}));
    socket.pipe(onward).pipe(socket);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = new URL(target);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const cut = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { url: url.href, cut };
}

describe.runIf(url)("a migration of 100,000 purchases on PostgreSQL, while others are sold", () => {
  let backend: TestBackend;
  const sellers = [organization(), organization(), organization(), organization()];
  const sales: { status: unknown; took: number }[] = [];
  let isOpen = true;

  const database = () => backend.deps.database;

  async function sellAlways(): Promise<void> {
    await Promise.all(
      sellers.map(async ({ id }) => {
        for (let number = 0; isOpen; number += 1) {
          const start = performance.now();
          const { status, body } = await buy(backend, id, 1, `sale-${number}`);
          sales.push({ status: `${status} ${body.status}`, took: performance.now() - start });
        }
      }),
    );
  }

  async function createMigrator(): Promise<Migrator> {
    const { rows } = await sql<{ name: string }>`select current_schema() as name`.execute(database());
    const line = await openLine(new URL(url ?? ""));
    const statements: string[] = [];
    const store = postgresStore(line.url, {
      connections: 2,
      parameters: { search_path: rows[0]?.name ?? "" },
      onStatement: (text) => statements.push(text),
    });
    const migrator: Migrator = {
      statements,
      waits: 0,
      run: () =>
        migrate(store, {
          dialect: "postgres",
          steps: STEPS,
          onWait() {
            migrator.waits += 1;
          },
        }),
      cut: line.cut,
      async close() {
        await store.destroy();
        line.cut();
      },
    };
    return migrator;
  }

  const touched = async () => {
    const { rows } = await sql<{ times: number | null; purchases: number }>`
      select touched as times, count(*) as purchases from purchases
      where state = 'declined' group by touched order by touched`.execute(database());
    return rows;
  };

  const progress = async () => {
    const name = progressOf("9002_touch");
    const row = await database().selectFrom("settings").select("value").where("name", "=", name).executeTakeFirst();
    const [organizationId = 0] = row ? (JSON.parse(row.value) as [number, string]) : [];
    return organizationId;
  };

  /**
   * Migrates while a transaction that has read the purchases is open, until the first step has given up once, so that no
   * sale waits behind it for the report to end.
   */
  async function runBehindReport(migrator: Migrator): Promise<readonly string[]> {
    const run = await database()
      .transaction()
      .execute(async (report) => {
        await report.selectFrom("purchases").select("id").limit(1).execute();
        const running = migrator.run();
        const tries = () => migrator.statements.filter((text) => text.startsWith("alter table")).length;
        await waitFor(() => tries() > 1, 20_000, "the second try");
        return { running };
      });
    return run.running;
  }

  /** Lists what a migration should have finished and has not. */
  async function unfinished(): Promise<string[]> {
    const { rows } = await sql<{ name: string }>`
      select name from settings where name like 'migration%'
      union all
      select 'no index' where not exists
        (select from pg_index where indexrelid = 'purchases_touched'::regclass and indisvalid)
      union all
      select 'no check' where not exists (select from pg_constraint
        where conrelid = 'purchases'::regclass and conname = 'purchases_touched_check' and convalidated)`.execute(
      database(),
    );
    return rows.map(({ name }) => name);
  }

  beforeAll(async () => {
    backend = await startBackend("postgres");
    for (const seller of sellers) await backend.addOrganization(seller);
    await sql`insert into organizations (id, name, time_zone)
      select ${FIRST_ARCHIVED}::int + n, 'Archive ' || n, 'UTC' from generate_series(0, ${ARCHIVED_ORGANIZATIONS - 1}::int) n`.execute(
      database(),
    );
    await writeMany(
      database(),
      sql`insert into purchases (organization_id, id, sequence, kind, state, epoch, lease_until, licenses, total,
        currency, price_json, time_zone, confirm_count, accepted_at, spent_at, completed_at)
      select ${FIRST_ARCHIVED}::int + n % ${ARCHIVED_ORGANIZATIONS}::int, 'pur_' || md5(n::text), n, 'purchase', 'declined', 1, 0, 1,
        100, 'USD', '{}', 'UTC', 1, 0, 0, 0 from generate_series(1, ${PURCHASES}::int) n`,
    );
  }, 120_000);

  afterAll(() => backend.close());

  test("is killed half-way, resumed by two migrators, and hinders no sale", async () => {
    const selling = sellAlways();
    await waitFor(() => sales.length > 8, 20_000, "the first sales");

    const killed = await createMigrator();
    const outcome = runBehindReport(killed).then(
      () => "ended",
      ({ code }) => code,
    );
    const middle = FIRST_ARCHIVED + ARCHIVED_ORGANIZATIONS / 2;
    await waitFor(async () => (await progress()) >= middle, 60_000, "half of the rows to be touched");
    killed.cut();
    expect(await outcome).toMatch(/^(08006|ECONN\w+)$/);
    expect((await touched()).map(({ times }) => times)).toEqual([1, null]);

    const rivals = [await createMigrator(), await createMigrator()];
    const applied = await Promise.all(rivals.map((rival) => rival.run()));
    expect(applied.map((names) => names.length).sort()).toEqual([0, NAMES.length - 1]);
    expect(applied.flat()).toEqual(NAMES.slice(1));
    // Both waited until the lease of the one that was killed ran out.
    expect(rivals.map(({ waits }) => waits)).toEqual([1, 1]);
    await Promise.all([killed, ...rivals].map((migrator) => migrator.close()));

    const sold = sales.length;
    await waitFor(() => sales.length > sold + 8, 20_000, "sales on the new schema");
    isOpen = false;
    await selling;

    expect(await touched()).toEqual([{ times: 1, purchases: PURCHASES }]);
    expect(await unfinished()).toEqual([]);
    expect(new Set(sales.map(({ status }) => status))).toEqual(new Set(["201 succeeded"]));
    expect(Math.max(...sales.map(({ took }) => took))).toBeLessThan(LONGEST_SALE_MS);
    for (const { id } of sellers) await expectInvariants(backend, id, 25);
  }, 180_000);
});
