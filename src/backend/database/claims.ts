import { type Kysely, type Selectable, sql } from "kysely";
import { isPostgres } from "./engine.ts";
import type { Database } from "./schema.ts";

/** The tables whose rows are looked at when `check_at` is due. */
type CheckedTable = "webhook_events" | "provider_objects";

/**
 * Claims the rows of a table that are due, the longest overdue first, so that no other worker has them until an instant.
 * Workers that do so at the same time get different ones.
 */
export async function claimDue<Table extends CheckedTable>(
  database: Kysely<Database>,
  table: Table,
  { now, until, limit }: { now: number; until: number; limit: number },
): Promise<Selectable<Database[Table]>[]> {
  const rows = sql.table(table);
  const skipLocked = isPostgres(database) ? sql`for update skip locked` : sql``;
  const claimed = await sql<Selectable<Database[Table]>>`
    update ${rows} set check_at = ${until}
    where id in (select id from ${rows} where check_at <= ${now} order by check_at limit ${limit} ${skipLocked})
    returning *`.execute(database);
  return claimed.rows;
}
