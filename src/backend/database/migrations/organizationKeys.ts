import { type Kysely, type Migration, sql } from "kysely";
import { hasColumn } from "./dialect.ts";
import { createDirectory } from "./directoryTables.ts";
import { createOrganizations } from "./organizationTables.ts";
import { createPurchaseTables } from "./purchaseTables.ts";
import type { TableOptions } from "./tables.ts";

/** Creates every table in its newest form. */
export async function createTables(db: Kysely<unknown>, options: TableOptions): Promise<void> {
  await createDirectory(db, options);
  await createOrganizations(db, options);
  await createPurchaseTables(db, options);
}

/** The tables with rows to copy, and the expressions of columns that the old table does not have. */
const COPIED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  settings: {},
  users: {},
  sessions: {},
  sign_in_attempts: {},
  used_codes: {},
  sign_in_tickets: {},
  device_grants: {},
  organizations: {},
  subscriptions: {
    purchase_count:
      "coalesce((select max(sequence) from old_purchases as p where p.organization_id = old.organization_id), 0)",
    event_count: "coalesce((select max(id) from old_events as e where e.organization_id = old.organization_id), 0)",
  },
  members: {},
  api_tokens: {},
  quotes: {},
  purchases: { time_zone: "(select time_zone from old_organizations as o where o.id = old.organization_id)" },
  idempotency_keys: {},
  receipts: {},
  credit_notes: {},
  ledger: {},
  events: { number: "id" },
  outbox: { organization_id: "json_extract(payload_json, '$.organizationId')" },
};

/**
 * Moves a SQLite database to keys that begin with the organization: creates every table anew and copies the rows. Sequences
 * and the numbers of events stay, so that cursors stay valid.
 */
export const organizationKeysMigration: Migration = {
  async up(db: Kysely<unknown>) {
    // A process may have crashed after this was committed and before the migrator recorded it.
    if (await hasColumn(db, ["purchases", "time_zone"])) return;
    // Has no effect inside a transaction.
    await sql`pragma foreign_keys = off`.execute(db);
    try {
      await db.transaction().execute(rebuild);
    } finally {
      await sql`pragma foreign_keys = on`.execute(db);
    }
  },
};

async function rebuild(tx: Kysely<unknown>): Promise<void> {
  for (const table of Object.keys(COPIED)) {
    await sql`create temp table ${sql.id(`old_${table}`)} as select * from ${sql.table(table)}`.execute(tx);
    await sql`drop table ${sql.table(table)}`.execute(tx);
  }
  await createTables(tx, { dialect: "sqlite", partitions: 0 });
  for (const [table, added] of Object.entries(COPIED)) await copy(tx, table, added);
  await sql`insert into token_index select token_hash, organization_id, id from old_api_tokens`.execute(tx);
  for (const table of Object.keys(COPIED)) await sql`drop table ${sql.id(`old_${table}`)}`.execute(tx);
}

/** Copies the columns that both tables have, and those that are computed. */
async function copy(tx: Kysely<unknown>, table: string, added: Readonly<Record<string, string>>): Promise<void> {
  const before = await columnsOf(tx, `old_${table}`);
  const kept = (await columnsOf(tx, table)).filter((name) => before.includes(name) && !Object.hasOwn(added, name));
  const columns = [...kept, ...Object.keys(added)].map((name) => sql.ref(name));
  const values = [
    ...kept.map((name) => sql.ref(`old.${name}`)),
    ...Object.values(added).map((value) => sql.raw(value)),
  ];
  await sql`insert into ${sql.table(table)} (${sql.join(columns)})
    select ${sql.join(values)} from ${sql.id(`old_${table}`)} as old`.execute(tx);
}

async function columnsOf(tx: Kysely<unknown>, table: string): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`select name from pragma_table_info(${table})`.execute(tx);
  return rows.map(({ name }) => name);
}
