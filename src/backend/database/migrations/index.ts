import { type Kysely, type Migration, Migrator, sql } from "kysely";
import type { Database } from "../schema.ts";
import { type ApplyOptions, appliedSteps, applySteps } from "./apply.ts";
import { assignmentStrategyMigration } from "./assignmentStrategy.ts";
import { billingMigration } from "./billing.ts";
import { billingDetailsMigration } from "./billingDetails.ts";
import { controlMigration } from "./control.ts";
import { type Dialect, hasColumn } from "./dialect.ts";
import { emailsMigration } from "./emails.ts";
import { eventChainMigration } from "./eventChain.ts";
import { identityMigration } from "./identity.ts";
import { addedMigration, idleIndexMigration, lastLoginMigration } from "./lastLogin.ts";
import { membershipsMigration } from "./memberships.ts";
import { createTables, organizationKeysMigration } from "./organizationKeys.ts";
import { paymentMethodMigration } from "./paymentMethod.ts";
import { paymentsMigration } from "./payments.ts";
import { providerMigration } from "./provider.ts";
import { renewalsMigration } from "./renewals.ts";
import { reportsMigration } from "./reports.ts";
import { sandboxCapturesMigration, sandboxPaymentsMigration } from "./sandboxPayments.ts";
import { spendingMigration } from "./spending.ts";
import { statisticsMigration } from "./statistics.ts";
import type { Step, Steps } from "./step.ts";
import { trustsMigration } from "./trusts.ts";
import { webhooksMigration } from "./webhooks.ts";

/** What a migrator needs to know of a database. */
export interface MigrationOptions extends ApplyOptions {
  readonly dialect: Dialect;
  /** On PostgreSQL: into how many partitions the tables of the organizations are split; 0 for none. */
  readonly partitions?: number;
  /** On PostgreSQL: further steps, after this version's. */
  readonly steps?: Steps;
  /** On SQLite: the last step to take; the newest if left out. */
  readonly last?: string;
}

/**
 * Migrates a database to the newest schema. Safe to repeat, also after a crash, and to run in two processes at once. On
 * SQLite every statement commits by itself, and so can be repeated; on PostgreSQL see `applySteps`.
 *
 * @returns the names of the steps that were applied
 * @throws BackendError `settings_invalid`; the database's error
 */
export async function migrate(database: Kysely<Database>, options: MigrationOptions): Promise<readonly string[]> {
  const { dialect, last } = options;
  if (dialect === "postgres") return applySteps(database, stepsOf(options), options);
  const migrator = createMigrator(database);
  const { error, results = [] } = await (last === undefined ? migrator.migrateToLatest() : migrator.migrateTo(last));
  if (error) throw error;
  return results.map(({ migrationName }) => migrationName);
}

/** The migrations that a database lacks, in order, and the applied ones that this version does not know. */
export interface SchemaState {
  readonly pending: readonly string[];
  readonly unknown: readonly string[];
}

/** Compares the schema of a database with this version's. */
export async function schemaState(database: Kysely<Database>, options: MigrationOptions): Promise<SchemaState> {
  const isPostgres = options.dialect === "postgres";
  const known = Object.keys(isPostgres ? stepsOf(options) : SQLITE);
  const applied = isPostgres ? await appliedSteps(database) : await appliedMigrations(database);
  return {
    pending: known.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !known.includes(name)),
  };
}

async function appliedMigrations(database: Kysely<Database>): Promise<string[]> {
  const { rows: tables } = await sql`select 1 from sqlite_master where name = 'kysely_migration'`.execute(database);
  if (tables.length === 0) return [];
  const { rows } = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(database);
  return rows.map(({ name }) => name);
}

const lastLoginOnSqlite: Migration = {
  async up(db: Kysely<unknown>) {
    for (const { up } of [lastLoginMigration, addedMigration("sqlite"), idleIndexMigration]) await up(db);
  },
};

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
  "0010_provider": atOnceOnSqlite(providerMigration, ["purchases", "key_retry_at"]),
  "0011_webhooks": atOnceOnSqlite(webhooksMigration, ["subscriptions", "provider_status"]),
  "0012_billing_details": atOnceOnSqlite(billingDetailsMigration, ["organizations", "billing_json"]),
  "0013_last_login": atOnceOnSqlite(lastLoginOnSqlite, ["members", "last_login"]),
  "0014_payment_method": atOnceOnSqlite(paymentMethodMigration, ["subscriptions", "remind_at"]),
  "0015_reports": atOnceOnSqlite(reportsMigration, ["organizations", "created_at"]),
  "0016_control": atOnceOnSqlite(controlMigration({ dialect: "sqlite", partitions: 0 }), ["purchases", "approved_at"]),
  "0017_trusts": atOnceOnSqlite(trustsMigration, ["token_index", "expires_at"]),
  "0018_event_chain": atOnceOnSqlite(eventChainMigration({ dialect: "sqlite", partitions: 0 }), ["event_keys", "id"]),
};

/** The steps of the service, whose first schema is made from empty. */
function stepsOf({ partitions = 0, steps = {} }: MigrationOptions): Steps {
  return {
    "0001_service": inOneTransaction({ up: (db) => createTables(db, { dialect: "postgres", partitions }) }),
    "0002_sandbox_payments": inOneTransaction(sandboxPaymentsMigration),
    "0003_sandbox_captures": inOneTransaction(sandboxCapturesMigration),
    "0004_provider": inOneTransaction(providerMigration),
    "0005_webhooks": inOneTransaction(webhooksMigration),
    "0006_statistics": inOneTransaction(statisticsMigration),
    // Again, since people were assumed to have 10 memberships, which is too few.
    "0007_statistics": inOneTransaction(statisticsMigration),
    "0008_billing_details": inOneTransaction(billingDetailsMigration),
    // Each locks no more than it needs: the first one every row, for a moment.
    "0009_last_login": inOneTransaction(lastLoginMigration),
    "0009_last_login_added": inOneTransaction(addedMigration("postgres")),
    "0009_last_login_idle": inOneTransaction(idleIndexMigration),
    "0010_payment_method": inOneTransaction(paymentMethodMigration),
    "0011_reports": inOneTransaction(reportsMigration),
    "0012_control": inOneTransaction(controlMigration({ dialect: "postgres", partitions })),
    "0013_trusts": inOneTransaction(trustsMigration),
    "0014_event_chain": inOneTransaction(eventChainMigration({ dialect: "postgres", partitions })),
    ...steps,
  };
}

function inOneTransaction({ up }: Migration): Step {
  return { kind: "transaction", up };
}

/**
 * Makes a step of SQLite one transaction, because the migrator does not.
 *
 * @param added a column that the step adds: a process may have crashed after the commit, before the migrator recorded it
 */
function atOnceOnSqlite({ up }: Migration, added: readonly [table: string, column: string]): Migration {
  return {
    async up(db) {
      if (!(await hasColumn(db, added))) await db.transaction().execute(up);
    },
  };
}

function createMigrator(database: Kysely<Database>): Migrator {
  return new Migrator({
    db: database,
    // The migrator's own collator would load every language's rules to compare four digits.
    nameComparator: (one, other) => (one < other ? -1 : 1),
    provider: { getMigrations: async () => SQLITE },
  });
}
