import { randomBytes } from "node:crypto";
import { type Kysely, type RawBuilder, sql } from "kysely";
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

/** What the names of this run's schemas begin with (test/support/schemas.ts). */
const SCHEMA_PREFIX = process.env.TEST_SCHEMA_PREFIX ?? "test_";

/** The partitions of a sharded store. */
const PARTITIONS = 4;

/**
 * Opens an empty store: SQLite in memory, or a PostgreSQL schema that a later test of the worker may get, emptied, or that is
 * dropped at the end of the run.
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
  const sqlite = await openSqlite(":memory:");
  const database = sqliteStore(sqlite);
  const toNewest = () => migrate(database, { dialect: "sqlite" });
  if (last === undefined) sqlite.exec(await migratedSqlite());
  else await migrate(database, { dialect: "sqlite", last });
  return {
    dialect: "sqlite",
    database,
    migrate: toNewest,
    async close() {
      await database.destroy();
      // A store that was never used does not close it.
      sqlite.close();
    },
  };
}

let migrated: Promise<string> | undefined;

/** The statements that make a migrated SQLite database. Migrating takes ten times as long. */
function migratedSqlite(): Promise<string> {
  migrated ??= dumpMigrated();
  return migrated;
}

async function dumpMigrated(): Promise<string> {
  const sqlite = await openSqlite(":memory:");
  const database = sqliteStore(sqlite);
  await migrate(database, { dialect: "sqlite" });
  const list = (query: string) =>
    sqlite
      .prepare(query)
      .all()
      .flatMap((row) => Object.values(row as object));
  const statements = [
    ...list("select sql from sqlite_master where sql > '' and name not glob 'sqlite_*' order by rowid"),
    ...list("select format('insert into kysely_migration values (%Q, %Q)', name, timestamp) from kysely_migration"),
    ...list(
      "select format('insert into kysely_migration_lock values (%Q, %d)', id, is_locked) from kysely_migration_lock",
    ),
  ];
  await database.destroy();
  return `begin;\n${statements.join(";\n")};\ncommit;`;
}

/** Schemas that tests of this worker have left as they found them. */
const usedSchemas = new Map<StoreKind, string[]>();

/** Tests wait longer than the service would, for a connection and for an answer: nothing swallows it here. */
const PATIENT = { acquireMs: 30_000, answerMs: null } as const;

async function openSchema(
  kind: StoreKind,
  connectionString: string,
  onStatement: (text: string) => void = () => {},
  more: { connections?: number } = {},
): Promise<TestStore> {
  const used = usedSchemas.get(kind)?.pop();
  const schema = used ?? `${SCHEMA_PREFIX}${randomBytes(6).toString("hex")}`;
  const isolation = kind === "sharded" ? { default_transaction_isolation: "serializable" } : {};
  const parameters = { search_path: schema, ...isolation };
  const database = postgresStore(connectionString, { ...more, ...PATIENT, onStatement, parameters });
  const partitions = kind === "sharded" ? PARTITIONS : 0;
  const toNewest = () => migrate(database, { dialect: "postgres", partitions });
  if (used === undefined) {
    await onSchema(connectionString, schema, (admin) => sql`create schema ${sql.id(schema)}`.execute(admin));
    await toNewest();
    newest.set(kind, await onSchema(connectionString, schema, shapeOf));
  }
  return {
    dialect: kind,
    database,
    migrate: toNewest,
    async close() {
      await database.destroy();
      await onSchema(connectionString, schema, async (admin) => {
        if ((await shapeOf(admin)) === newest.get(kind)) {
          await empty(admin);
          usedSchemas.set(kind, [...(usedSchemas.get(kind) ?? []), schema]);
        } else await sql`drop schema ${sql.id(schema)} cascade`.execute(admin);
      });
    },
  };
}

async function onSchema<Result>(
  connectionString: string,
  schema: string,
  work: (admin: Kysely<Database>) => Promise<Result>,
): Promise<Result> {
  const admin = postgresStore(connectionString, { ...PATIENT, connections: 1, parameters: { search_path: schema } });
  try {
    return await work(admin);
  } finally {
    await admin.destroy();
  }
}

/** What `shapeOf` says of a migrated schema. */
const newest = new Map<StoreKind, string>();

/** Names what is in a schema, and whether there was more in it than a test usually writes. */
async function shapeOf(admin: Kysely<Database>): Promise<string> {
  const { rows } = await sql<{ shape: string }>`
    with ours as (select * from pg_class where relnamespace = current_schema()::regnamespace)
    select concat(md5(string_agg(name, ' ' order by name)), (select bool_or(pg_relation_size(oid) > 1e6) from ours)) as shape from (
      select concat(relname, relkind, relnatts) as name from ours
      union all select concat(proname) from pg_proc where pronamespace = current_schema()::regnamespace
      union all select concat(tgname, relname) from pg_trigger join ours on tgrelid = ours.oid where not tgisinternal
      union all select concat(name) from kysely_migration
      union all select concat(conname) from pg_constraint where connamespace = current_schema()::regnamespace
    ) as names`.execute(admin);
  return rows[0]?.shape ?? "";
}

/** Deletes every row but what migrations leave, and starts numbering anew. */
async function empty(admin: Kysely<Database>): Promise<void> {
  // What refers to a table was created after it.
  await sql`do $$ declare found record; begin
    for found in select oid, relkind from pg_class
      where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p', 'S') and not relispartition
        and relname <> 'kysely_migration' order by oid desc
    loop
      if found.relkind = 'S' then perform setval(found.oid, 1, false);
      else execute format('delete from %s', found.oid::regclass); end if;
    end loop;
  end $$`.execute(admin);
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
  const database = postgresStore(through.href, { ...PATIENT, isPgbouncer: true, onStatement, ...more });
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

/**
 * Executes a statement about very many rows, which may take longer than statements of the service, and wait longer for a
 * lock: an autovacuum begins once there are so many.
 */
export async function writeMany(database: Kysely<Database>, statement: RawBuilder<unknown>): Promise<void> {
  await database.transaction().execute(async (tx) => {
    await sql`set local statement_timeout = 0`.execute(tx);
    await sql`set local lock_timeout = 0`.execute(tx);
    await statement.execute(tx);
  });
}
