import { type Kysely, sql } from "kysely";
import { migrate, schemaState } from "../database/migrations/index.ts";
import type { Database } from "../database/schema.ts";
import { type BackendError, startError } from "../errors.ts";
import { invalidSettings } from "./given.ts";
import type { DatabaseSettings } from "./settings.ts";
import { assertSchema, schemaMismatch, withStore } from "./store.ts";

/** How to migrate. */
export interface MigrateOptions {
  /** Whether to list the pending migrations without applying them. */
  readonly isPlan: boolean;
  /** The role of the service, which is granted only what it needs; `null` if it owns the tables. */
  readonly serviceRole: string | null;
}

/**
 * Migrates the database of a service to this version's schema. Safe to repeat and to run concurrently.
 *
 * @returns the migrations that this call applied or, for a plan, would apply, in order
 * @throws BackendError `schema_mismatch` if the schema is newer, `settings_invalid` for a role that does not exist,
 *   `database_busy` if a table is in use at every try, `database_unreachable`
 */
export function migrateService(
  settings: DatabaseSettings,
  { isPlan, serviceRole }: MigrateOptions,
  log: (line: string) => void,
): Promise<readonly string[]> {
  const work = async (database: Kysely<Database>) => {
    const state = await schemaState(database, { dialect: "postgres" });
    const { pending } = state;
    if (state.unknown.length > 0) throw schemaMismatch(state);
    if (isPlan) return pending;
    const { isPgbouncer } = settings;
    const onWait = () => log("Waiting for another migration to finish…");
    const applying = () => migrate(database, { dialect: "postgres", isPgbouncer, onWait });
    const applied = pending.length > 0 ? await applying().catch(rethrow) : [];
    // A newer version may have migrated while this one waited.
    await assertSchema(database);
    if (serviceRole !== null) await grant(database, serviceRole);
    return applied;
  };
  return withStore(settings, log, work, CONNECTIONS);
}

/** One connection migrates, the other renews the lease. */
const CONNECTIONS = 2;

/** PostgreSQL's `lock_not_available`. */
const LOCK_NOT_AVAILABLE = "55P03";

function rethrow(error: unknown): never {
  throw (error as { code?: unknown }).code === LOCK_NOT_AVAILABLE ? databaseBusy(error) : error;
}

/** Returns the error for a table that was in use at every try. */
export function databaseBusy(cause: unknown): BackendError {
  return startError(
    "database_busy",
    "Cannot migrate: a database table is in use",
    "Run the command again, or end the transaction that uses the table (see pg_stat_activity).",
    { cause },
  );
}

/** Append-only tables. */
const APPEND_ONLY = ["receipts", "credit_notes", "ledger", "events", "event_hashes", "checkpoints", "event_keys"];

async function grant(database: Kysely<Database>, role: string): Promise<void> {
  const { rows } = await sql<{
    schema: string;
  }>`select current_schema() as schema from pg_roles where rolname = ${role}`.execute(database);
  const [found] = rows;
  if (!found) throw invalidSettings([`--service-role: role not found: ${role}`]);
  const [schema, to] = [sql.id(found.schema), sql.id(role)];
  await sql`grant usage on schema ${schema} to ${to}`.execute(database);
  await sql`grant select, insert, update, delete on all tables in schema ${schema} to ${to}`.execute(database);
  await sql`grant usage, select on all sequences in schema ${schema} to ${to}`.execute(database);
  const tables = sql.join(APPEND_ONLY.map((table) => sql.id(found.schema, table)));
  await sql`revoke update, delete, truncate on ${tables} from ${to}`.execute(database);
  const migrations = sql.id(found.schema, "kysely_migration");
  await sql`revoke insert, update, delete on ${migrations} from ${to}`.execute(database);
}

/**
 * Lists the append-only tables that the role of the connection can update or delete from.
 */
export async function changeableRecords(database: Kysely<Database>): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select name from unnest(${APPEND_ONLY}::text[]) as name
    where has_table_privilege(name, 'UPDATE') or has_table_privilege(name, 'DELETE')`.execute(database);
  return rows.map(({ name }) => name);
}
