import { type Kysely, Migrator, sql } from "kysely";
import type { Database } from "../schema.ts";
import { assignmentStrategyMigration } from "./assignmentStrategy.ts";
import { billingMigration } from "./billing.ts";
import type { Dialect } from "./dialect.ts";
import { emailsMigration } from "./emails.ts";
import { identityMigration } from "./identity.ts";
import { membershipsMigration } from "./memberships.ts";
import { paymentsMigration } from "./payments.ts";
import { renewalsMigration } from "./renewals.ts";
import { sandboxPaymentsMigration } from "./sandboxPayments.ts";
import { spendingMigration } from "./spending.ts";

/**
 * Migrates a database to the newest schema. Safe to repeat, and to run in two processes at once (the migrator locks). On
 * SQLite every statement commits by itself, so migrations can be repeated after a crash in between.
 *
 * @throws the database's error
 */
export async function migrate(database: Kysely<Database>, dialect: Dialect): Promise<void> {
  const migrator = await createMigrator(database, dialect);
  const { error } = await migrator.migrateToLatest();
  if (error) throw error;
}

/** The migrations that a database lacks, in order, and the applied ones that this version does not know. */
export interface SchemaState {
  readonly pending: readonly string[];
  readonly unknown: readonly string[];
}

/** Compares the schema of a database with this version's. */
export async function schemaState(database: Kysely<Database>, dialect: Dialect): Promise<SchemaState> {
  const migrator = await createMigrator(database, dialect);
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

async function createMigrator(database: Kysely<Database>, dialect: Dialect): Promise<Migrator> {
  const schema = await currentSchema(database, dialect);
  const migrations = {
    "0001_billing": billingMigration(dialect),
    "0002_identity": identityMigration,
    "0003_payments": paymentsMigration,
    "0004_renewals": renewalsMigration,
    "0005_memberships": membershipsMigration(dialect),
    "0006_spending": spendingMigration,
    "0007_emails": emailsMigration,
    "0008_assignment_strategy": assignmentStrategyMigration,
    // On SQLite the sandbox's provider has a database of its own.
    ...(dialect === "postgres" && { "0100_sandbox_payments": sandboxPaymentsMigration }),
  };
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
