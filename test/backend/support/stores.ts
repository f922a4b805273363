import { randomBytes } from "node:crypto";
import { type Kysely, sql } from "kysely";
import { migrate } from "../../../src/backend/database/migrations/index.ts";
import { postgresStore } from "../../../src/backend/database/postgres.ts";
import type { Database } from "../../../src/backend/database/schema.ts";
import { openSqlite, sqliteStore } from "../../../src/backend/database/sqlite.ts";

/**
 * Where a test's store is: `sharded` is PostgreSQL whose transactions are serializable and whose tables are partitioned by
 * organization, which refuses statements and keys that span organizations.
 */
export type StoreKind = "sqlite" | "postgres" | "sharded";

/** An empty, migrated store of a test. */
export interface TestStore {
  readonly dialect: StoreKind;
  readonly database: Kysely<Database>;
  /** Runs the migrations again. */
  migrate(): Promise<void>;
  close(): Promise<void>;
}

const url = process.env.TEST_DATABASE_URL;

/** The advisory lock that dropping a schema holds and migrations share. */
const DROPPING = 4201;

/** The kinds to test: PostgreSQL only if `TEST_DATABASE_URL` is set, and `sharded` alone if `TEST_SHARDED` is. */
export const DIALECTS: readonly StoreKind[] = url
  ? process.env.TEST_SHARDED
    ? ["sharded"]
    : ["sqlite", "postgres"]
  : ["sqlite"];

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
  return kind === "sqlite" ? openMemory() : openSchema(kind, url ?? "", onStatement, more);
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
  // The migrator reads every schema, and fails if another test drops one meanwhile.
  const toNewest = async () => {
    await sql`select pg_advisory_lock_shared(${DROPPING})`.execute(admin);
    await migrate(database, { dialect: "postgres", partitions });
    await sql`select pg_advisory_unlock_shared(${DROPPING})`.execute(admin);
  };
  await toNewest();
  return {
    dialect: kind,
    database,
    migrate: toNewest,
    async close() {
      await database.destroy();
      await sql`select pg_advisory_lock(${DROPPING})`.execute(admin);
      await sql`drop schema ${sql.id(schema)} cascade`.execute(admin);
      await admin.destroy();
    },
  };
}
