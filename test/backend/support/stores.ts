import { randomBytes } from "node:crypto";
import { type Kysely, sql } from "kysely";
import type { Dialect } from "../../../src/backend/database/migrations/dialect.ts";
import { migrate } from "../../../src/backend/database/migrations/index.ts";
import { postgresStore } from "../../../src/backend/database/postgres.ts";
import type { Database } from "../../../src/backend/database/schema.ts";
import { openSqlite, sqliteStore } from "../../../src/backend/database/sqlite.ts";

/** An empty, migrated store of a test. */
export interface TestStore {
  readonly dialect: Dialect;
  readonly database: Kysely<Database>;
  /** Runs the migrations again. */
  migrate(): Promise<void>;
  close(): Promise<void>;
}

const url = process.env.TEST_DATABASE_URL;

/** The advisory lock that dropping a schema holds and migrations share. */
const DROPPING = 4201;

/** The dialects to test: PostgreSQL only if `TEST_DATABASE_URL` is set. */
export const DIALECTS: readonly Dialect[] = url ? ["sqlite", "postgres"] : ["sqlite"];

/** Opens an empty store: SQLite in memory, or a PostgreSQL schema that is dropped on close. */
export async function openTestStore(dialect: Dialect): Promise<TestStore> {
  return dialect === "sqlite" ? openMemory() : openSchema(url ?? "");
}

async function openMemory(): Promise<TestStore> {
  const database = sqliteStore(await openSqlite(":memory:"));
  const toNewest = () => migrate(database, { dialect: "sqlite" });
  await toNewest();
  return { dialect: "sqlite", database, migrate: toNewest, close: () => database.destroy() };
}

async function openSchema(connectionString: string): Promise<TestStore> {
  const schema = `test_${randomBytes(6).toString("hex")}`;
  const admin = postgresStore(connectionString, { connections: 1 });
  await sql`create schema ${sql.id(schema)}`.execute(admin);
  const database = postgresStore(connectionString, { parameters: { search_path: schema } });
  // The migrator reads every schema, and fails if another test drops one meanwhile.
  const toNewest = async () => {
    await sql`select pg_advisory_lock_shared(${DROPPING})`.execute(admin);
    await migrate(database, { dialect: "postgres" });
    await sql`select pg_advisory_unlock_shared(${DROPPING})`.execute(admin);
  };
  await toNewest();
  return {
    dialect: "postgres",
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
