import { type Kysely, sql } from "kysely";
import type { Database } from "../schema.ts";
import { repeatWhileLocked } from "./locks.ts";
import { progressOf, type Step } from "./step.ts";

/** Rows of a backfill that are locked at a time. */
const BATCH = 1_000;

/**
 * Adds a column that is null in the rows that exist.
 *
 * @param type an SQL type
 * @param initial the SQL default of rows that a version without the column inserts
 */
export function addColumn(table: string, column: string, type: string, initial: string): Step {
  return {
    kind: "transaction",
    async up(db) {
      const [name, value] = [sql.id(column), sql.raw(initial)];
      await sql`alter table ${sql.table(table)} add column ${name} ${sql.raw(type)}`.execute(db);
      // A default that is added with the column would be the value of all existing rows.
      await sql`alter table ${sql.table(table)} alter column ${name} set default ${value}`.execute(db);
    },
  };
}

/** What a backfill changes. */
export interface Backfill {
  readonly table: string;
  /** The columns of the primary key, whose order the rows are changed in. */
  readonly key: readonly string[];
  /** The SQL assignments. */
  readonly set: string;
  /** The SQL condition of rows to change. */
  readonly where: string;
}

/** Changes the rows that exist, 1,000 at a time. It goes on where it was interrupted. */
export function backfill(change: Backfill): Step {
  return {
    kind: "batches",
    async up(db, name) {
      let isMore = true;
      while (isMore) isMore = await repeatWhileLocked(() => changeBatch(db, change, progressOf(name)));
    },
  };
}

/** Changes the next rows and saves the key of the last one, in one statement. Returns whether there were any. */
async function changeBatch(db: Kysely<Database>, change: Backfill, progress: string): Promise<boolean> {
  const table = sql.table(change.table);
  const key = sql.join(change.key.map((column) => sql.ref(column)));
  const backwards = sql.join(change.key.map((column) => sql`${sql.ref(column)} desc`));
  const isSame = sql.join(
    change.key.map((column) => sql`${sql.ref(`changed.${column}`)} = ${sql.ref(`batch.${column}`)}`),
    sql` and `,
  );
  const last = await readProgress(db, progress);
  const { rows } = await sql`
    with batch as (
      select ${key} from ${table} ${last ? sql`where (${key}) > (${sql.join(last)})` : sql``}
      order by ${key} limit ${sql.lit(BATCH)}
    ), changes as (
      update ${table} as changed set ${sql.raw(change.set)} from batch where ${isSame} and (${sql.raw(change.where)})
    )
    insert into settings (name, value)
    select ${progress}, json_build_array(${key})::text from batch order by ${backwards} limit 1
    on conflict (name) do update set value = excluded.value
    returning name`.execute(db);
  return rows.length > 0;
}

async function readProgress(db: Kysely<Database>, name: string): Promise<unknown[] | null> {
  const { rows } = await sql<{ value: string }>`select value from settings where name = ${name}`.execute(db);
  return rows[0] ? JSON.parse(rows[0].value) : null;
}

/**
 * Creates an index while its table is in use.
 *
 * @param on the SQL after `on`: table, columns and condition
 */
export function createIndexConcurrently(name: string, on: string): Step {
  return {
    kind: "session",
    async up(db) {
      const isValid = await indexState(db, name);
      if (isValid) return;
      // An attempt that ended half-way leaves an index that is kept up to date and never used.
      if (isValid === false) await sql`drop index concurrently ${sql.id(name)}`.execute(db);
      await sql`create index concurrently ${sql.id(name)} on ${sql.raw(on)}`.execute(db);
    },
  };
}

/** Whether an index is valid; `null` if there is none. */
async function indexState(db: Kysely<Database>, name: string): Promise<boolean | null> {
  const { rows } = await sql<{ isValid: boolean }>`
    select indisvalid as "isValid" from pg_index join pg_class on pg_class.oid = indexrelid
    where relname = ${name} and relnamespace = current_schema()::regnamespace`.execute(db);
  return rows[0]?.isValid ?? null;
}

/** Adds a check that new rows have to pass. `validateConstraint` is the step after it. */
export function addCheck(table: string, name: string, condition: string): Step {
  return {
    kind: "transaction",
    async up(db) {
      await sql`alter table ${sql.table(table)} add constraint ${sql.id(name)}
        check (${sql.raw(condition)}) not valid`.execute(db);
    },
  };
}

/** Makes sure that the rows that exist pass a check, while they are read and written. */
export function validateConstraint(table: string, name: string): Step {
  return {
    kind: "transaction",
    async up(db) {
      await sql`alter table ${sql.table(table)} validate constraint ${sql.id(name)}`.execute(db);
    },
  };
}
