import { setImmediate } from "node:timers/promises";
import { type RawBuilder, sql } from "kysely";
import { batches } from "./database/batches.ts";
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

/** Longer than Stripe repeats an event (Stripe's documentation, Webhooks). */
const WEBHOOK_MS = 35 * DAY_MS;

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
  await pruneQuotes(deps.database, deps.clock.now() - UNSOLD_QUOTE_MS);
  for (const outdated of outdatedRows(deps.now())) {
    for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
      // SQLite blocks the event loop; let requests in between.
      await setImmediate();
      if ((await deleteBatch(deps.database, outdated)) < BATCH) break;
    }
  }
}

/** The setting that says until which expiry quotes were pruned: those that are left before it were sold. */
const PRUNED_SETTING = "quotes_pruned_until";

/**
 * Deletes unsold quotes that expired before an instant. It goes on where the last run ended, because sold quotes stay
 * forever and are not to be looked at again.
 */
async function pruneQuotes(database: BackendDeps["database"], before: number): Promise<void> {
  let from = await readPrunedUntil(database);
  for (let batch = 0; batch < MAX_BATCHES; batch += 1) {
    await setImmediate();
    const page = await database
      .selectFrom("quotes")
      .select(["organization_id", "id", "expires_at"])
      .where("expires_at", ">=", from)
      .where("expires_at", "<", before)
      .orderBy("expires_at")
      .limit(BATCH)
      .execute();
    await deleteUnsold(database, page);
    const last = page.at(-1)?.expires_at;
    if (last === undefined || page.length < BATCH) return savePrunedUntil(database, before);
    // Quotes that expire at the same instant may be on the next page.
    from = last > from ? last : last + 1;
    await savePrunedUntil(database, from);
  }
}

async function deleteUnsold(
  database: BackendDeps["database"],
  quotes: readonly { organization_id: number; id: string }[],
): Promise<void> {
  for await (const batch of batches(quotes)) {
    await database
      .deleteFrom("quotes")
      .where(({ eb, refTuple, tuple }) =>
        eb(
          refTuple("organization_id", "id"),
          "in",
          batch.map(({ organization_id, id }) => tuple(organization_id, id)),
        ),
      )
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom("purchases")
              .select("purchases.id")
              .whereRef("purchases.organization_id", "=", "quotes.organization_id")
              .whereRef("purchases.quote_id", "=", "quotes.id"),
          ),
        ),
      )
      .execute();
  }
}

async function readPrunedUntil(database: BackendDeps["database"]): Promise<number> {
  const row = await database
    .selectFrom("settings")
    .select("value")
    .where("name", "=", PRUNED_SETTING)
    .executeTakeFirst();
  return Number(row?.value ?? 0);
}

async function savePrunedUntil(database: BackendDeps["database"], until: number): Promise<void> {
  const value = String(until);
  await database
    .insertInto("settings")
    .values({ name: PRUNED_SETTING, value })
    .onConflict((conflict) => conflict.column("name").doUpdateSet({ value }))
    .execute();
}

/** Lists what else to delete; `now` by the machine's clock, milliseconds. */
function outdatedRows(now: number): readonly Outdated[] {
  return [
    {
      // Attempts of older versions have no ID.
      table: "sign_in_attempts",
      key: ["email_key", "address", "at"],
      where: sql`at < ${now - ATTEMPT_WINDOW_MS}`,
    },
    { table: "used_codes", key: ["user_id", "step"], where: sql`step < ${oldestUsedStep(now)}` },
    { table: "sign_in_tickets", key: ["ticket_hash"], where: sql`expires_at <= ${now}` },
    { table: "token_index", key: ["token_hash"], where: sql`expires_at <= ${now}` },
    { table: "device_grants", key: ["device_code_hash"], where: sql`expires_at < ${now - GRANT_MEMORY_MS}` },
    {
      table: "sessions",
      key: ["id"],
      where: sql`refresh_expires_at <= ${now} or revoked_at < ${now - REVOKED_SESSION_MS}`,
    },
    { table: "outbox", key: ["organization_id", "id"], where: sql`sent_at < ${now - SENT_NOTIFICATION_MS}` },
    { table: "webhook_events", key: ["id"], where: sql`received_at < ${now - WEBHOOK_MS}` },
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
