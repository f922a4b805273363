import type { Kysely } from "kysely";
import { type SchemaState, schemaState } from "../database/migrations/index.ts";
import { openPostgres, type PostgresOptions, type PostgresStore } from "../database/postgres.ts";
import type { Database } from "../database/schema.ts";
import { isConnectionFailure } from "../database/storageFailure.ts";
import { type BackendError, startError } from "../errors.ts";
import type { DatabaseSettings } from "./settings.ts";

/**
 * Opens the store of a service, which connects on demand.
 *
 * @param connections the most connections at a time
 * @param log receives errors of idle connections
 * @param more observers of the pool, and how long to wait for a response
 */
export function openStore(
  { url, ca, isTlsRequired, isPgbouncer }: DatabaseSettings,
  connections: number,
  log: (line: string) => void,
  more: Pick<PostgresOptions, "onAcquire" | "onRetry" | "answerMs"> = {},
): PostgresStore {
  return openPostgres(url, {
    ...more,
    connections,
    ca,
    isPgbouncer,
    ...(isTlsRequired !== undefined && { isTlsRequired }),
    onPoolError: (error) => log(`database: ${error.message}`),
  });
}

/**
 * Runs work on the store and closes it.
 *
 * @param connections the most connections at a time
 * @throws BackendError `database_unreachable`, or what `work` throws
 */
export async function withStore<Result>(
  settings: DatabaseSettings,
  log: (line: string) => void,
  work: (database: Kysely<Database>) => Promise<Result>,
  connections = 1,
): Promise<Result> {
  // A statement of a migration may take long.
  const { database } = openStore(settings, connections, log, { answerMs: null });
  try {
    return await work(database);
  } catch (error) {
    throw databaseFailure(error);
  } finally {
    await database.destroy();
  }
}

/** SQLSTATEs of failed authentication, and of a database that does not exist (appendix A of its manual). */
const REFUSED = /^(28\w{3}|3D000)$/;

/** Translates the error of a database that is unreachable or refuses the connection. Returns any other error as is. */
export function databaseFailure(error: unknown): unknown {
  const { code = "", message = String(error) } = error as { code?: string; message?: string };
  if (!isConnectionFailure(error) && !REFUSED.test(code) && !/^(ERR_TLS|UNABLE_TO_|[A-Z_]*CERT)/.test(code))
    return error;
  return startError(
    "database_unreachable",
    `Cannot connect to the database: ${message || code}`,
    "Check that it is running and that SECUREFLAG_DATABASE_URL or --database is correct.",
    { cause: error },
  );
}

/**
 * Makes sure that the schema of the database is this version's.
 *
 * @throws BackendError `schema_mismatch`
 */
export async function assertSchema(database: Kysely<Database>): Promise<void> {
  const state = await schemaState(database, { dialect: "postgres" });
  if (state.unknown.length + state.pending.length > 0) throw schemaMismatch(state);
}

/** Returns the error for a schema that is newer or older than this version's. */
export function schemaMismatch({ pending, unknown }: SchemaState): BackendError {
  if (unknown.length > 0) {
    return startError(
      "schema_mismatch",
      `The schema of the database is newer than this version: it has ${unknown.join(", ")}`,
      "Install the version that migrated it, or a newer one.",
    );
  }
  const lacking = pending.length === 1 ? pending[0] : `${pending.length} migrations`;
  return startError(
    "schema_mismatch",
    `The schema of the database is outdated: missing ${lacking}`,
    "Run `secureflag-licenses serve migrate`.",
  );
}

/**
 * Runs work on a store with this version's schema, and closes it.
 *
 * @param connections the most connections at a time
 * @throws BackendError `database_unreachable`, `schema_mismatch`, or what `work` throws
 */
export function withSchema<Result>(
  settings: DatabaseSettings,
  log: (line: string) => void,
  work: (database: Kysely<Database>) => Promise<Result>,
  connections = 1,
): Promise<Result> {
  const checked = async (database: Kysely<Database>) => {
    await assertSchema(database);
    return work(database);
  };
  return withStore(settings, log, checked, connections);
}
