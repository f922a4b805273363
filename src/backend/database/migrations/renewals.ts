import type { Kysely, Migration } from "kysely";
import { renewalDueAt } from "../../../billing/renewal.ts";
import { addColumn } from "./dialect.ts";

/** Adds renewals and scheduled reductions. */
export const renewalsMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await addColumn(db, ["subscriptions", "renew_at"], "bigint");
    await addColumn(db, ["subscriptions", "reduction"], "integer");
    await addColumn(db, ["subscriptions", "reduction_term"], "integer");
    await addColumn(db, ["subscriptions", "unpaid_renewal"], "text");
    await addColumn(db, ["purchases", "attempted_at"], "bigint");
    await addColumn(db, ["purchases", "renewal_term"], "integer");
    await addColumn(db, ["purchases", "grace_until"], "bigint");
    await db.schema.createIndex("subscriptions_due").ifNotExists().on("subscriptions").column("renew_at").execute();
    await db.schema
      .createIndex("purchases_renewal")
      .ifNotExists()
      .unique()
      .on("purchases")
      .columns(["organization_id", "renewal_term"])
      .execute();
    await scheduleRenewals(db);
  },
};

/** The columns used here, as of this migration. */
type Tables = {
  organizations: { id: number; time_zone: string };
  subscriptions: {
    organization_id: number;
    anchor_date: string;
    interval: "month" | "year";
    interval_count: number;
    term_index: number;
    auto_renew: number;
    renew_at: number | null;
  };
};

/** Schedules the next renewal of existing subscriptions. */
async function scheduleRenewals(db: Kysely<unknown>): Promise<void> {
  const tables = db.withTables<Tables>();
  const rows = await tables
    .selectFrom("subscriptions")
    .innerJoin("organizations", "organizations.id", "subscriptions.organization_id")
    .select(["organization_id", "anchor_date", "interval", "interval_count", "term_index", "time_zone"])
    .where("auto_renew", "=", 1)
    .where("renew_at", "is", null)
    .execute();
  for (const row of rows) {
    const rule = { anchorDate: row.anchor_date, interval: row.interval, intervalCount: row.interval_count };
    await tables
      .updateTable("subscriptions")
      .set({ renew_at: renewalDueAt(rule, row.term_index, row.time_zone) })
      .where("organization_id", "=", row.organization_id)
      .execute();
  }
}
