import { setImmediate } from "node:timers/promises";
import { type RawBuilder, sql } from "kysely";
import type { Database } from "./database/schema.ts";
import type { BackendDeps } from "./deps.ts";
import { GRANT_MEMORY_MS } from "./identity/deviceGrants.ts";
import { oldestUsedStep } from "./identity/oneTimeCodes.ts";
import { ATTEMPT_WINDOW_MS } from "./identity/sessions.ts";

const BATCH = 1_000;

/** How many batches of a table one run deletes, so that a backlog does not hold up the sweep. */
const MAX_BATCHES = 20;

const DAY_MS = 86_400_000;

const REVOKED_SESSION_MS = 30 * DAY_MS;

const SENT_NOTIFICATION_MS = 30 * DAY_MS;

const UNSOLD_QUOTE_MS = 90 * DAY_MS;

type PruneDeps = Pick<BackendDeps, "database" | "now" | "clock">;

/** Rows of a table that nothing reads any more; `key` identifies a row, or rows that are all outdated. */
interface Outdated {
  readonly table: keyof Database;
  readonly key: readonly string[];
  readonly where: RawBuilder<unknown>;
}

/**
 * Deletes what nothing reads any more, in batches of 1,000 rows and at most 20 batches of a table. Any number of backends
 * may run it on one database (src/backend/README.md, Leases and the sweep).
 */
export async function prune(deps: PruneDeps): Promise<void> {
  for (const outdated of outdatedRows(deps.now(), deps.clock.now())) {
    for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
      // SQLite blocks the event loop; let requests in between.
      await setImmediate();
      if ((await deleteBatch(deps.database, outdated)) < BATCH) break;
    }
  }
}

/** Lists what to delete; `now` by the machine's clock, `billingNow` by the billing clock, milliseconds. */
function outdatedRows(now: number, billingNow: number): readonly Outdated[] {
  return [
    {
      // Attempts of older versions have no ID.
      table: "sign_in_attempts",
      key: ["email_key", "address", "at"],
      where: sql`at < ${now - ATTEMPT_WINDOW_MS}`,
    },
    { table: "used_codes", key: ["user_id", "step"], where: sql`step < ${oldestUsedStep(now)}` },
    { table: "sign_in_tickets", key: ["ticket_hash"], where: sql`expires_at <= ${now}` },
    { table: "device_grants", key: ["device_code_hash"], where: sql`expires_at < ${now - GRANT_MEMORY_MS}` },
    {
      table: "sessions",
      key: ["id"],
      where: sql`refresh_expires_at <= ${now} or revoked_at < ${now - REVOKED_SESSION_MS}`,
    },
    { table: "outbox", key: ["organization_id", "id"], where: sql`sent_at < ${now - SENT_NOTIFICATION_MS}` },
    {
      table: "quotes",
      key: ["organization_id", "id"],
      where: sql`expires_at < ${billingNow - UNSOLD_QUOTE_MS} and not exists (
        select 1 from purchases
        where purchases.organization_id = quotes.organization_id and purchases.quote_id = quotes.id
      )`,
    },
  ];
}

/** Deletes at most one batch, and returns how many rows it deleted. */
async function deleteBatch(database: BackendDeps["database"], { table, key, where }: Outdated): Promise<number> {
  const columns = sql.join(key.map((column) => sql.ref(column)));
  const from = sql.table(table);
  const { numAffectedRows = 0n } = await sql`
    delete from ${from} where (${columns}) in (select ${columns} from ${from} where ${where} limit ${BATCH})
  `.execute(database);
  return Number(numAffectedRows);
}
