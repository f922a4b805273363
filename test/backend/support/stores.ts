import { randomBytes } from "node:crypto";
import { type Kysely, sql } from "kysely";
import { migrate } from "../../../src/backend/database/migrations/index.ts";
import { postgresStore } from "../../../src/backend/database/postgres.ts";
import type { Database } from "../../../src/backend/database/schema.ts";
import { openSqlite, sqliteStore } from "../../../src/backend/database/sqlite.ts";
import { createDatabase, setTimeouts } from "../../support/service.ts";

/**
 * Where a test's store is: `sharded` is PostgreSQL whose transactions are serializable and whose tables are partitioned by
 * organization, which refuses statements and keys that span organizations, `pgbouncer` one behind a PgBouncer in
 * transaction mode.
 */
export type StoreKind = "sqlite" | "postgres" | "sharded" | "pgbouncer";

/** An empty, migrated store of a test. */
export interface TestStore {
  readonly dialect: StoreKind;
  readonly database: Kysely<Database>;
  /** Runs the migrations again. */
  migrate(): Promise<unknown>;
  close(): Promise<void>;
}

const url = process.env.TEST_DATABASE_URL;

/**
 * The kinds to test: PostgreSQL only if `TEST_DATABASE_URL` is set, and `sharded` or `pgbouncer` alone if `TEST_SHARDED` or
 * `TEST_PGBOUNCER` is.
 */
export const DIALECTS: readonly [StoreKind, ...StoreKind[]] = kindsToTest();

function kindsToTest(): [StoreKind, ...StoreKind[]] {
  if (!url) return ["sqlite"];
  if (process.env.TEST_PGBOUNCER) return ["pgbouncer"];
  return process.env.TEST_SHARDED ? ["sharded"] : ["sqlite", "postgres"];
}

/** The partitions of a sharded store. */
const PARTITIONS = 4;

/**
 * Opens an empty store: SQLite in memory, or a PostgreSQL schema that is dropped on close.
 *
 * @param onStatement called with each statement that PostgreSQL gets
 */
export async function openTestStore(
  kind: StoreKind,
  onStatement?: (text: string) => void,
  more: { connections?: number } = {},
): Promise<TestStore> {
  if (kind === "sqlite") return openMemory();
  if (kind === "pgbouncer") return openBehindPgbouncer(onStatement, more);
  return openSchema(kind, url ?? "", onStatement, more);
}

/** Opens a SQLite store as an earlier version left it, whose last migration is named. */
export async function openOldStore(last: string): Promise<TestStore> {
  return openMemory(last);
}

async function openMemory(last?: string): Promise<TestStore> {
  const database = sqliteStore(await openSqlite(":memory:"));
  const toNewest = () => migrate(database, { dialect: "sqlite" });
  await migrate(database, { dialect: "sqlite", ...(last !== undefined && { last }) });
  return { dialect: "sqlite", database, migrate: toNewest, close: () => database.destroy() };
}

async function openSchema(
  kind: StoreKind,
  connectionString: string,
  onStatement: (text: string) => void = () => {},
  more: { connections?: number } = {},
): Promise<TestStore> {
  const schema = `test_${randomBytes(6).toString("hex")}`;
  const admin = postgresStore(connectionString, { connections: 1 });
  await sql`create schema ${sql.id(schema)}`.execute(admin);
  const isolation = kind === "sharded" ? { default_transaction_isolation: "serializable" } : {};
  const database = postgresStore(connectionString, {
    ...more,
    acquireMs: 30_000,
    onStatement,
    parameters: { search_path: schema, ...isolation },
  });
  const partitions = kind === "sharded" ? PARTITIONS : 0;
  const toNewest = () => migrate(database, { dialect: "postgres", partitions });
  await toNewest();
  return {
    dialect: kind,
    database,
    migrate: toNewest,
    async close() {
      await database.destroy();
      await sql`drop schema ${sql.id(schema)} cascade`.execute(admin);
      await admin.destroy();
    },
  };
}

/** Opens a database of its own, because PgBouncer passes no search path on; its time-outs are settings of the database. */
async function openBehindPgbouncer(
  onStatement: (text: string) => void = () => {},
  more: { connections?: number } = {},
): Promise<TestStore> {
  const behind = await createDatabase();
  await setTimeouts(behind);
  const through = new URL(process.env.TEST_PGBOUNCER_URL ?? "");
  through.pathname = new URL(behind.url).pathname;
  const database = postgresStore(through.href, { acquireMs: 30_000, isPgbouncer: true, onStatement, ...more });
  const toNewest = () => migrate(database, { dialect: "postgres", isPgbouncer: true });
  await toNewest();
  return {
    dialect: "pgbouncer",
    database,
    migrate: toNewest,
    async close() {
      await database.destroy();
      await behind.drop();
    },
  };
}
