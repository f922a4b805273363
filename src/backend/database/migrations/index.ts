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
import { spendingMigration } from "./spending.ts";

/**
 * Migrates a database to the newest schema. Safe to repeat, and to run in two processes at once (the migrator locks). On
 * SQLite every statement commits by itself, so migrations can be repeated after a crash in between.
 *
 * @throws the database's error
 */
export async function migrate(database: Kysely<Database>, dialect: Dialect): Promise<void> {
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
  };
  const migrator = new Migrator({
    db: database,
    ...(schema !== null && { migrationTableSchema: schema }),
    // The migrator's own collator would load every language's rules to compare four digits.
    nameComparator: (one, other) => (one < other ? -1 : 1),
    provider: { getMigrations: async () => migrations },
  });
  const { error } = await migrator.migrateToLatest();
  if (error) throw error;
}

/** The current schema. Without it the migrator finds its own tables in any other schema of the database. */
async function currentSchema(database: Kysely<Database>, dialect: Dialect): Promise<string | null> {
  if (dialect === "sqlite") return null;
  const { rows } = await sql<{ name: string | null }>`select current_schema() as name`.execute(database);
  return rows[0]?.name ?? null;
}
