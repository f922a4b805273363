import type { Kysely, Migration } from "kysely";
import { createOf, required, type TableOptions } from "./tables.ts";

/**
 * Adds who may spend what: an organization's policy and the changes of it that wait, since when somebody is administrator,
 * and who bought and approved a purchase.
 */
export function controlMigration(options: TableOptions): Migration {
  const columns = [
    ["subscriptions", "approval_above", "bigint"],
    ["subscriptions", "budget_amount", "bigint"],
    ["subscriptions", "budget_period", "text"],
    ["subscriptions", "budget_told", "text"],
    ["members", "administrator_since", "bigint"],
    ["members", "administrator_until", "bigint"],
    ["purchases", "buyer_user_id", "bigint"],
    ["purchases", "payer_user_id", "bigint"],
    ["purchases", "approved_by", "text"],
    ["purchases", "approved_at", "bigint"],
  ] as const;
  return {
    async up(db: Kysely<unknown>) {
      await createOf(db, options, "policy_changes", (table) =>
        table
          .addColumn("organization_id", "bigint", required)
          .addColumn("id", "text", required)
          .addColumn("kind", "text", required)
          .addColumn("change_json", "text", required)
          .addColumn("asked_by", "bigint", required)
          .addColumn("asked_by_email", "text", required)
          .addColumn("asked_at", "bigint", required)
          .addColumn("due_at", "bigint")
          .addPrimaryKeyConstraint("policy_changes_key", ["organization_id", "id"] as never),
      );
      await db.schema.createIndex("policy_changes_due").on("policy_changes").column("due_at").execute();
      for (const [table, column, type] of columns) await db.schema.alterTable(table).addColumn(column, type).execute();
    },
  };
}
