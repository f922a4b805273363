import { type Kysely, sql } from "kysely";
import type { Database } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { readReconciled } from "./findings.ts";
import { reconcile } from "./reconcile.ts";

const HOUR_MS = 3_600_000;

/** After how long to reconcile again: after a success, and after a failure; milliseconds. */
const [AGAIN_MS, RETRY_MS] = [24 * HOUR_MS, HOUR_MS];

/** How far back a run looks at least, and how far it overlaps with the one before, milliseconds. */
const [WINDOW_MS, OVERLAP_MS] = [48 * HOUR_MS, HOUR_MS];

/** How long a run is left alone by other instances unless it renews that, milliseconds. */
const LEASE_MS = 600_000;

/** How often to look whether it is time, milliseconds. */
const LOOK_EVERY_MS = 60_000;

/** When the next run is due, by the database's clock; while one runs, until when it has the work for itself. */
const NEXT_RUN = "reconcile_at";

/**
 * Reconciles once a day, on one instance at a time. What a run finds is logged, and kept for an operator.
 *
 * @returns a function that ends it, also in the middle of a run
 */
export function startReconciling(deps: BackendDeps): () => Promise<void> {
  const stopping = new AbortController();
  let working: Promise<void> | null = null;
  const look = () => {
    working ??= runIfDue().finally(() => {
      working = null;
    });
  };
  const runIfDue = async () => {
    try {
      await reconcileIfDue(deps, stopping.signal);
    } catch (error) {
      if (!stopping.signal.aborted) deps.log("reconcile", error);
    }
  };
  const timer = setInterval(look, LOOK_EVERY_MS);
  look();
  return async () => {
    clearInterval(timer);
    stopping.abort();
    await working;
  };
}

/**
 * Reconciles if it is time and no other instance is doing it.
 *
 * @returns whether it ran
 */
export async function reconcileIfDue(deps: BackendDeps, signal?: AbortSignal): Promise<boolean> {
  const { database, clock } = deps;
  let lease = await claim(database, clock.now());
  if (lease === null) return false;
  const renewal = setInterval(() => {
    const until = clock.now() + LEASE_MS;
    move(database, lease, until).then(
      (isOurs) => {
        if (isOurs) lease = until;
      },
      (error) => deps.log("reconcile: lease", error),
    );
  }, LEASE_MS / 3);
  try {
    await run(deps, signal);
    clearInterval(renewal);
    await move(database, lease, clock.now() + AGAIN_MS);
  } catch (error) {
    clearInterval(renewal);
    // Another instance goes on where this one was ended.
    await move(database, lease, signal?.aborted ? clock.now() : clock.now() + RETRY_MS);
    throw error;
  }
  return true;
}

async function run(deps: BackendDeps, signal: AbortSignal | undefined): Promise<void> {
  const last = await readReconciled(deps.database);
  const from = deps.clock.now() - WINDOW_MS;
  const { findings, payments, advanced } = await reconcile(deps, {
    from: Math.min(from, (last?.until ?? from) - OVERLAP_MS),
    ...(signal && { signal }),
  });
  deps.log(`reconciled ${payments} payments: ${advanced} advanced, ${findings.length} to review`);
  for (const { finding, purchaseId } of findings) deps.log(`purchase ${purchaseId} needs review: ${finding}`);
}

/** Takes the work if it is due. Returns until when, or `null`. */
async function claim(database: Kysely<Database>, now: number): Promise<number | null> {
  await database
    .insertInto("settings")
    .values({ name: NEXT_RUN, value: String(now) })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .execute();
  const until = now + LEASE_MS;
  const claimed = await database
    .updateTable("settings")
    .set({ value: String(until) })
    .where("name", "=", NEXT_RUN)
    .where(sql<number>`value::bigint`, "<=", now)
    .executeTakeFirst();
  return claimed.numUpdatedRows > 0n ? until : null;
}

/** Moves the time of the next run, unless another instance has taken over. Returns whether it was moved. */
async function move(database: Kysely<Database>, lease: number | null, to: number): Promise<boolean> {
  const moved = await database
    .updateTable("settings")
    .set({ value: String(to) })
    .where("name", "=", NEXT_RUN)
    .where("value", "=", String(lease))
    .executeTakeFirst();
  return moved.numUpdatedRows > 0n;
}
