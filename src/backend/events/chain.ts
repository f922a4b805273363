import { setImmediate } from "node:timers/promises";
import { type Kysely, sql } from "kysely";
import { eventHash, FIRST_HASH } from "../../contract/events.ts";
import type { Database } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { type Head, signHead } from "./checkpoints.ts";
import { eventOf } from "./events.ts";

/** How many entries are hashed at once. */
const BATCH = 500;

/**
 * Computes the hashes that an organization's audit log lacks, in the order of the numbers. What is computed depends on
 * nothing but the entries, so any number of backends may do it at once (src/contract/README.md, Event log).
 *
 * @param most how many entries to hash; the rest stays for later
 * @returns the newest hashed entry
 * @throws RangeError, which the caller of the API does not see, if an entry is missing
 */
export async function chainEvents(
  database: Kysely<Database>,
  organizationId: number,
  most = Number.POSITIVE_INFINITY,
): Promise<Head> {
  let head = await readHead(database, organizationId);
  for (let left = most; left > 0; left -= BATCH) {
    const rows = await database
      .selectFrom("events")
      .selectAll()
      .where("organization_id", "=", organizationId)
      .where("number", ">", head.number)
      .orderBy("number")
      .limit(BATCH)
      .execute();
    if (rows.length === 0) break;
    const hashes = rows.map((row) => {
      const number = head.number + 1;
      if (row.number !== number) throw new RangeError(`Event ${number} of organization ${organizationId} is missing`);
      head = { number, hash: eventHash(head.hash, eventOf(row)) };
      return { organization_id: organizationId, ...head };
    });
    await database
      .insertInto("event_hashes")
      .values(hashes)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    if (rows.length < BATCH) break;
    // SQLite blocks the event loop, so requests are let in between.
    await setImmediate();
  }
  return head;
}

async function readHead(database: Kysely<Database>, organizationId: number): Promise<Head> {
  const row = await database
    .selectFrom("event_hashes")
    .select(["number", "hash"])
    .where("organization_id", "=", organizationId)
    .orderBy("number", "desc")
    .limit(1)
    .executeTakeFirst();
  return row ?? { number: 0, hash: FIRST_HASH };
}

/** How many organizations a round looks at. */
const PAGE = 1_000;

/** How many entries of one organization a round hashes, so that a backlog does not hold up the others. */
const ROUND = 20 * BATCH;

const DAY_MS = 86_400_000;

/**
 * Creates the background work that hashes new entries and signs a checkpoint for each day that has any. A round takes the
 * next organizations; a failure is logged and left for a later round.
 *
 * @returns a function for one round, which returns whether there was anything to do
 */
export function createChaining(deps: BackendDeps, signal?: AbortSignal): () => Promise<boolean> {
  let after = -1;
  return async () => {
    const page = await readLogs(deps.database, after);
    after = page.length < PAGE ? -1 : (page.at(-1)?.organization_id ?? -1);
    const due = page.filter((log) => isBehind(log) || isUnsigned(log, deps.clock.now()));
    for (const log of due) {
      if (signal?.aborted) break;
      await continueChain(deps, log);
    }
    return due.length > 0;
  };
}

async function continueChain(deps: BackendDeps, log: Log): Promise<void> {
  const { organization_id: organizationId } = log;
  try {
    const head = await chainEvents(deps.database, organizationId, ROUND);
    if (isUnsigned(log, deps.clock.now())) await signHead(deps, organizationId, head);
  } catch (error) {
    deps.log(`event log of organization ${organizationId}`, error);
  }
}

/** How far the audit log of an organization is hashed and signed; `null` for not at all. */
interface Log {
  readonly organization_id: number;
  readonly event_count: number;
  readonly hashed: number | null;
  readonly signed: number | null;
  readonly signed_at: number | null;
}

function isBehind({ event_count: count, hashed }: Log): boolean {
  return (hashed ?? 0) < count;
}

function isUnsigned({ event_count: count, signed, signed_at: at }: Log, now: number): boolean {
  return (signed ?? 0) < count && (at === null || at <= now - DAY_MS);
}

async function readLogs(database: Kysely<Database>, after: number): Promise<readonly Log[]> {
  const newest = (column: string, table: string) => sql`(select ${sql.ref(column)} from ${sql.table(table)} as newest
    where newest.organization_id = subscriptions.organization_id order by number desc limit 1)`;
  const { rows } = await sql<Log>`
    select organization_id, event_count, ${newest("number", "event_hashes")} as hashed,
      ${newest("number", "checkpoints")} as signed, ${newest("at", "checkpoints")} as signed_at
    from subscriptions where organization_id > ${after} order by organization_id limit ${PAGE}`.execute(database);
  return rows;
}
