import { type Kysely, type Migration, sql } from "kysely";
import { makeAppendOnly } from "./purchaseTables.ts";
import { createOf, required, type TableOptions } from "./tables.ts";

/**
 * Adds what proves that the audit log was not changed: the hash of each entry, which background work computes, also of the
 * entries that exist; the signed checkpoints; and the keys that sign them.
 */
export function eventChainMigration(options: TableOptions): Migration {
  const isSqlite = options.dialect === "sqlite";
  return {
    async up(db: Kysely<unknown>) {
      if (isSqlite) await closeGaps(db);
      await createOf(db, options, "event_hashes", (table) =>
        table
          .addColumn("organization_id", "bigint", required)
          .addColumn("number", "bigint", required)
          .addColumn("hash", "text", required)
          .addPrimaryKeyConstraint("event_hashes_key", ["organization_id", "number"] as never),
      );
      await createOf(db, options, "checkpoints", (table) =>
        table
          .addColumn("organization_id", "bigint", required)
          .addColumn("number", "bigint", required)
          .addColumn("hash", "text", required)
          .addColumn("at", "bigint", required)
          .addColumn("key_id", "text", required)
          .addColumn("signature", "text", required)
          .addPrimaryKeyConstraint("checkpoints_key", ["organization_id", "number"] as never),
      );
      await db.schema
        .createTable("event_keys")
        .addColumn("number", "bigint", (column) => column.primaryKey())
        .addColumn("id", "text", required)
        .addColumn("public_key", "text", required)
        .addColumn("private_key", "text", required)
        .execute();
      if (isSqlite) for (const table of ["event_hashes", "checkpoints", "event_keys"]) await makeAppendOnly(db, table);
    },
  };
}

/** Numbers the entries anew where the first versions had counted those of all organizations together. */
async function closeGaps(db: Kysely<unknown>): Promise<void> {
  await sql`drop trigger events_no_update`.execute(db);
  await sql`drop trigger events_no_delete`.execute(db);
  // Below zero first, so that no number is there twice meanwhile.
  await sql`update events set number = -counted.place
    from (select organization_id, number,
      row_number() over (partition by organization_id order by number) as place from events) as counted
    where counted.organization_id = events.organization_id and counted.number = events.number
      and counted.place <> events.number`.execute(db);
  await sql`update events set number = -number where number < 0`.execute(db);
  await sql`update subscriptions set event_count =
    (select count(*) from events where events.organization_id = subscriptions.organization_id)`.execute(db);
  await makeAppendOnly(db, "events");
}
