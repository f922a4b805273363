import { setTimeout as delay } from "node:timers/promises";
import { type Kysely, sql } from "kysely";
import type { Database } from "../schema.ts";

const NAME = "migration_lease";

/** How long the lease lasts after its holder last renewed it, milliseconds. */
const LEASE_MS = 10_000;

const RENEW_MS = LEASE_MS / 4;

/** How often a migrator that waits looks, and after how long it says that it waits, milliseconds. */
const [POLL_MS, PATIENCE_MS] = [250, 5_000];

/** The database's clock: those of the migrators may differ. */
const now = sql`floor(extract(epoch from clock_timestamp()) * 1000)::bigint`;

/**
 * Runs work while this process alone migrates. The lease is a row of `settings`, because locks of a session do not survive
 * PgBouncer; it is renewed until the work ends, and runs out after a crash.
 *
 * @param work gets the holder, which `renewLease` expects
 * @param onWait called once if another migrator holds the lease for long
 */
export async function withLease<Result>(
  db: Kysely<Database>,
  work: (holder: string) => Promise<Result>,
  onWait: () => void,
): Promise<Result> {
  const holder = await waitForLease(db, onWait);
  const ended = new AbortController();
  const renewing = keepRenewing(db, holder, ended.signal);
  try {
    return await work(holder);
  } finally {
    ended.abort();
    await renewing;
    await release(db, holder);
  }
}

/**
 * Renews a lease. In a transaction that keeps others from taking it until the end.
 *
 * @returns whether the holder still had it
 */
export async function renewLease(db: Kysely<Database>, holder: string): Promise<boolean> {
  const { rows } = await sql`
    update settings set value = ${leaseOf(sql`${holder}::text`)}
    where name = ${NAME} and value::json ->> 'holder' = ${holder} returning name`.execute(db);
  return rows.length > 0;
}

function leaseOf(holder: ReturnType<typeof sql>) {
  return sql`json_build_object('holder', ${holder}, 'until', ${now} + ${sql.lit(LEASE_MS)})::text`;
}

async function waitForLease(db: Kysely<Database>, onWait: () => void): Promise<string> {
  for (let waited = 0; ; waited += POLL_MS) {
    const holder = await takeLease(db);
    if (holder !== null) return holder;
    if (waited === PATIENCE_MS) onWait();
    await delay(POLL_MS);
  }
}

async function takeLease(db: Kysely<Database>): Promise<string | null> {
  // Without the first condition, each look would wait for a transaction of the holder.
  const { rows } = await sql<{ holder: string }>`
    insert into settings as held (name, value)
    select ${NAME}, ${leaseOf(sql`gen_random_uuid()`)}
    where not exists (select from settings where name = ${NAME} and (value::json ->> 'until')::bigint > ${now})
    on conflict (name) do update set value = excluded.value where (held.value::json ->> 'until')::bigint <= ${now}
    returning value::json ->> 'holder' as holder`
    .execute(db)
    .catch(unlessLocked);
  return rows[0]?.holder ?? null;
}

/** `lock_not_available`: a transaction of the holder outlasts the lease. */
function unlessLocked(error: unknown): { rows: [] } {
  if ((error as { code?: unknown }).code === "55P03") return { rows: [] };
  throw error;
}

async function keepRenewing(db: Kysely<Database>, holder: string, signal: AbortSignal): Promise<void> {
  // A step in a transaction holds the row and renews it itself. Each step makes sure that the lease is still held, so a
  // renewal may fail.
  const renew = () => renewLease(db, holder).catch(() => false);
  const pause = () => delay(RENEW_MS, true, { signal }).catch(() => false);
  while (await pause()) await renew();
}

/** If it fails, the lease runs out. */
async function release(db: Kysely<Database>, holder: string): Promise<void> {
  await sql`delete from settings where name = ${NAME} and value::json ->> 'holder' = ${holder}`
    .execute(db)
    .catch(() => {});
}
