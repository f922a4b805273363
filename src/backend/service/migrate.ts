import { setTimeout as delay } from "node:timers/promises";
import { type Kysely, sql } from "kysely";
import { migrate, schemaState } from "../database/migrations/index.ts";
import type { Database } from "../database/schema.ts";
import { isSerializationFailure } from "../database/storageFailure.ts";
import { invalidSettings } from "./given.ts";
import type { DatabaseSettings } from "./settings.ts";
import { schemaMismatch, withStore } from "./store.ts";

/** How to migrate. */
export interface MigrateOptions {
  /** Whether to tell what would be done, and do nothing. */
  readonly isPlan: boolean;
  /** The role of the service, which gets what it needs and no more; `null` if it owns the tables. */
  readonly serviceRole: string | null;
}

/**
 * Migrates the database of a service to this version's schema. Safe to repeat, and to run twice at once.
 *
 * @returns the migrations that were or would be applied, in order
 * @throws BackendError `schema_mismatch` if the schema is newer, `settings_invalid` for a role that does not exist,
 *   `database_unreachable`
 */
export function migrateService(
  settings: DatabaseSettings,
  { isPlan, serviceRole }: MigrateOptions,
  log: (line: string) => void,
): Promise<readonly string[]> {
  return withStore(settings, log, async (database) => {
    const state = await schemaState(database, { dialect: "postgres" });
    const { pending } = state;
    if (state.unknown.length > 0) throw schemaMismatch(state);
    if (isPlan) return pending;
    // A statement of a migration may take longer than one of the service.
    await sql`set statement_timeout = 0`.execute(database);
    if (pending.length > 0) await repeatWhileLocked(() => migrate(database, { dialect: "postgres" }));
    if (serviceRole !== null) await grant(database, serviceRole);
    return pending;
  });
}

/** For how long and how often to try while another process migrates, or uses a table that is to be changed. */
const [TRIES, PAUSE_MS] = [60, 250];

/** A lock was not available in time (`lock_not_available`), or another process created the same table first. */
const LOCKED = /^(55P03|42P07|23505)$/;

async function repeatWhileLocked(work: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      const isLocked = LOCKED.test(String((error as { code?: unknown }).code)) || isSerializationFailure(error);
      if (!isLocked || tries >= TRIES) throw error;
      await delay(PAUSE_MS);
    }
  }
}

/** What nobody may change once it is written. */
const APPEND_ONLY = ["receipts", "credit_notes", "ledger", "events"];

async function grant(database: Kysely<Database>, role: string): Promise<void> {
  const { rows } = await sql<{
    schema: string;
  }>`select current_schema() as schema from pg_roles where rolname = ${role}`.execute(database);
  const [found] = rows;
  if (!found) throw invalidSettings([`--service-role names a role that does not exist: ${role}`]);
  const [schema, to] = [sql.id(found.schema), sql.id(role)];
  await sql`grant usage on schema ${schema} to ${to}`.execute(database);
  await sql`grant select, insert, update, delete on all tables in schema ${schema} to ${to}`.execute(database);
  await sql`grant usage, select on all sequences in schema ${schema} to ${to}`.execute(database);
  const tables = sql.join(APPEND_ONLY.map((table) => sql.id(found.schema, table)));
  await sql`revoke update, delete, truncate on ${tables} from ${to}`.execute(database);
  const migrations = sql.join(
    ["kysely_migration", "kysely_migration_lock"].map((table) => sql.id(found.schema, table)),
  );
  await sql`revoke insert, update, delete on ${migrations} from ${to}`.execute(database);
}

/**
 * Lists the tables that should only ever be added to, and that the role of the connection may change or delete from.
 */
export async function changeableRecords(database: Kysely<Database>): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select name from unnest(${APPEND_ONLY}::text[]) as name
    where has_table_privilege(name, 'UPDATE') or has_table_privilege(name, 'DELETE')`.execute(database);
  return rows.map(({ name }) => name);
}
