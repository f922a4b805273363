import { type Kysely, sql } from "kysely";
import { startError } from "../../errors.ts";
import type { Database } from "../schema.ts";
import { inTransaction } from "../transaction.ts";
import { renewLease, withLease } from "./lease.ts";
import { repeatWhileLocked } from "./locks.ts";
import { progressOf, type Step, type Steps } from "./step.ts";

/**
 * How long a step waits for a table, before it tries again. Requests give up after 2 seconds, and some wait for a row that
 * another one holds while it waits behind the step: at 2 seconds here, sales fail.
 */
const LOCK_TIMEOUT = "1s";

/** How steps are applied. */
export interface ApplyOptions {
  /** Whether a PgBouncer in transaction mode is in between, which some steps cannot pass. */
  readonly isPgbouncer?: boolean;
  /** Called once if another migrator takes long. */
  onWait?(): void;
}

/**
 * Applies the steps that a PostgreSQL database lacks, one after the other. Several processes may call it at once: one
 * applies, the others wait for it. What was interrupted is repeated or continued by the next call.
 *
 * @returns the names of the steps that this call applied
 * @throws BackendError `settings_invalid` for a step that PgBouncer stands in the way of; the database's error, also of a
 *   lock that was never available
 */
export async function applySteps(
  database: Kysely<Database>,
  steps: Steps,
  { isPgbouncer = false, onWait = () => {} }: ApplyOptions,
): Promise<readonly string[]> {
  await createBookkeeping(database);
  const applied: string[] = [];
  const applyPending = async (holder: string) => {
    const earlier = await appliedSteps(database);
    for (const [name, step] of Object.entries(steps)) {
      if (earlier.includes(name)) continue;
      if (isPgbouncer && step.kind === "session") throw needsSession(name);
      if (!(await apply(database, { name, step, holder }))) return false;
      applied.push(name);
    }
    return true;
  };
  // A process that was stopped for longer than its lease finds it taken, and waits for its turn again.
  while (!(await withLease(database, applyPending, onWait)));
  return applied;
}

/** Lists the steps that were applied to a PostgreSQL database, in order. */
export async function appliedSteps(database: Kysely<Database>): Promise<string[]> {
  const { rows: tables } = await sql`
    select from pg_tables where schemaname = current_schema() and tablename = 'kysely_migration'`.execute(database);
  if (tables.length === 0) return [];
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(database);
  return rows.map(({ name }) => name);
}

/** Creates the tables of the lease and of what was applied. */
async function createBookkeeping(database: Kysely<Database>): Promise<void> {
  await repeatWhileLocked(async () => {
    await sql`create table if not exists settings (name text primary key, value text not null)`.execute(database);
    await sql`create table if not exists kysely_migration (
      name varchar(255) primary key, timestamp varchar(255) not null)`.execute(database);
  });
}

/** A step to apply, and who holds the lease. */
interface Pending {
  readonly name: string;
  readonly step: Step;
  readonly holder: string;
}

/** Applies a step and records it. Returns whether the lease was still held; otherwise the step is not recorded. */
async function apply(database: Kysely<Database>, pending: Pending): Promise<boolean> {
  const { name, step, holder } = pending;
  if (step.kind === "transaction") return repeatWhileLocked(() => record(database, pending, (tx) => step.up(tx, name)));
  if (!(await renewLease(database, holder))) return false;
  if (step.kind === "batches") await step.up(database, name);
  else await repeatWhileLocked(() => inSession(database, (session) => step.up(session, name)));
  return repeatWhileLocked(() => record(database, pending, async () => {}));
}

async function record(
  database: Kysely<Database>,
  { name, holder }: Pending,
  work: (tx: Kysely<Database>) => Promise<void>,
): Promise<boolean> {
  return inTransaction(database, async (tx) => {
    await sql`set local lock_timeout = ${sql.lit(LOCK_TIMEOUT)}`.execute(tx);
    await sql`set local statement_timeout = 0`.execute(tx);
    // Holds the row of the lease until the commit.
    if (!(await renewLease(tx, holder))) return false;
    await work(tx);
    await sql`insert into kysely_migration (name, timestamp)
      values (${name}, to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))`.execute(tx);
    await sql`delete from settings where name = ${progressOf(name)}`.execute(tx);
    // The step may have taken longer than the lease lasts.
    return renewLease(tx, holder);
  });
}

/** Runs work on one connection without a statement time-out, which an index of a large table needs. */
async function inSession(
  database: Kysely<Database>,
  work: (session: Kysely<Database>) => Promise<void>,
): Promise<void> {
  await database.connection().execute(async (session) => {
    await sql`set lock_timeout = ${sql.lit(LOCK_TIMEOUT)}`.execute(session);
    await sql`set statement_timeout = 0`.execute(session);
    try {
      await work(session);
    } finally {
      // A connection that was lost has nothing to reset.
      await sql`reset all`.execute(session).catch(() => {});
    }
  });
}

function needsSession(name: string) {
  return startError(
    "settings_invalid",
    `--pgbouncer is not allowed with migration ${name}, which needs a session`,
    "Omit --pgbouncer, and set --database to connect to PostgreSQL directly.",
  );
}
