import { type Kysely, type Migration, Migrator, sql } from "kysely";
import type { Database } from "../schema.ts";
import { assignmentStrategyMigration } from "./assignmentStrategy.ts";
import { billingMigration } from "./billing.ts";
import type { Dialect } from "./dialect.ts";
import { emailsMigration } from "./emails.ts";
import { identityMigration } from "./identity.ts";
import { membershipsMigration } from "./memberships.ts";
import { createTables, organizationKeysMigration } from "./organizationKeys.ts";
import { paymentsMigration } from "./payments.ts";
import { renewalsMigration } from "./renewals.ts";
import { sandboxCapturesMigration, sandboxPaymentsMigration } from "./sandboxPayments.ts";
import { spendingMigration } from "./spending.ts";

/** What a migrator needs to know of a database. */
export interface MigrationOptions {
  readonly dialect: Dialect;
  /** On PostgreSQL: into how many partitions the tables of the organizations are split; 0 for none. */
  readonly partitions?: number;
  /** The last step to take; the newest if left out. */
  readonly last?: string;
}

/**
 * Migrates a database to the newest schema. Safe to repeat, and to run in two processes at once (the migrator locks). On
 * SQLite every statement commits by itself, so migrations can be repeated after a crash in between.
 *
 * @throws the database's error
 */
export async function migrate(database: Kysely<Database>, options: MigrationOptions): Promise<void> {
  const migrator = await createMigrator(database, options);
  const { last } = options;
  const { error } = await (last === undefined ? migrator.migrateToLatest() : migrator.migrateTo(last));
  if (error) throw error;
}

/** The migrations that a database lacks, in order, and the applied ones that this version does not know. */
export interface SchemaState {
  readonly pending: readonly string[];
  readonly unknown: readonly string[];
}

/** Compares the schema of a database with this version's. */
export async function schemaState(database: Kysely<Database>, options: MigrationOptions): Promise<SchemaState> {
  const migrator = await createMigrator(database, options);
  const known = await migrator.getMigrations();
  const names = new Set(known.map(({ name }) => name));
  const pending = known.filter(({ executedAt }) => executedAt === undefined).map(({ name }) => name);
  const applied = pending.length === known.length ? [] : await appliedMigrations(database);
  return { pending, unknown: applied.filter((name) => !names.has(name)) };
}

async function appliedMigrations(database: Kysely<Database>): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(database);
  return rows.map(({ name }) => name);
}

/** The steps of sandbox files, the oldest of which were made by the first version. */
const SQLITE: Readonly<Record<string, Migration>> = {
  "0001_billing": billingMigration,
  "0002_identity": identityMigration,
  "0003_payments": paymentsMigration,
  "0004_renewals": renewalsMigration,
  "0005_memberships": membershipsMigration,
  "0006_spending": spendingMigration,
  "0007_emails": emailsMigration,
  "0008_assignment_strategy": assignmentStrategyMigration,
  "0009_organization_keys": organizationKeysMigration,
};

/** The steps of the service, whose first schema is made from empty. */
function postgresMigrations(partitions: number): Readonly<Record<string, Migration>> {
  return {
    "0001_service": { up: (db) => createTables(db, { dialect: "postgres", partitions }) },
    "0002_sandbox_payments": sandboxPaymentsMigration,
    "0003_sandbox_captures": sandboxCapturesMigration,
  };
}

async function createMigrator(
  database: Kysely<Database>,
  { dialect, partitions = 0 }: MigrationOptions,
): Promise<Migrator> {
  const schema = await currentSchema(database, dialect);
  const migrations = dialect === "sqlite" ? SQLITE : postgresMigrations(partitions);
  return new Migrator({
    db: database,
    ...(schema !== null && { migrationTableSchema: schema }),
    // The migrator's own collator would load every language's rules to compare four digits.
    nameComparator: (one, other) => (one < other ? -1 : 1),
    provider: { getMigrations: async () => migrations },
  });
}

/** The current schema. Without it the migrator finds its own tables in any other schema of the database. */
async function currentSchema(database: Kysely<Database>, dialect: Dialect): Promise<string | null> {
  if (dialect === "sqlite") return null;
  const { rows } = await sql<{ name: string | null }>`select current_schema() as name`.execute(database);
  return rows[0]?.name ?? null;
}
