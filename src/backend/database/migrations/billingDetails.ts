import type { Kysely, Migration } from "kysely";

/** Adds an organization's billing details, and what receipts and credit notes freeze of seller and buyer. */
export const billingDetailsMigration: Migration = {
  async up(db: Kysely<unknown>) {
    for (const table of ["receipts", "credit_notes"]) {
      for (const column of ["seller_json", "buyer_json", "organization_name"]) {
        await db.schema.alterTable(table).addColumn(column, "text").execute();
      }
    }
    await db.schema.alterTable("organizations").addColumn("billing_json", "text").execute();
  },
};
