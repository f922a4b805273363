import { setTimeout as delay, setImmediate } from "node:timers/promises";
import pLimit from "p-limit";
import type { BackendDeps } from "./deps.ts";
import { claimNotifications, markSent } from "./events/events.ts";
import { prune } from "./prune.ts";
import { clocksOf } from "./purchases/charge.ts";
import { isOrphan, leaseDue } from "./purchases/leases.ts";
import { advanceLeasedOrLog } from "./purchases/processor.ts";
import { dueRetries, dueSubscriptions, renewDue, retryRenewal } from "./renewals/renew.ts";

/** How many renewals and notifications are listed at once. */
const BATCH = 100;

/** How an instance works in the background. */
export interface SweepOptions {
  /** How many purchases, renewals or notifications are in work at a time. */
  readonly jobs: number;
  /** The bucket that renewals begin with, of `BUCKETS`: other instances begin with others. */
  readonly bucket: number;
}

/** SQLite does one thing at a time, and a sandbox everything in order. */
const ALONE: SweepOptions = { jobs: 1, bucket: 0 };

/**
 * Runs one round of background work: advances due purchases, makes renewals and sends the outbox. Any number of backends
 * may run it on one database. A failure is logged, left for a later round, and stops nothing else (src/backend/README.md,
 * Leases and the sweep).
 *
 * @returns whether there was anything to do
 */
export async function sweep(deps: BackendDeps, options: SweepOptions = ALONE): Promise<boolean> {
  const done = [await advanceDue(deps, options), await renewAll(deps, options), await sendOutbox(deps, options)];
  return done.includes(true);
}

async function advanceDue(deps: BackendDeps, { jobs }: SweepOptions): Promise<boolean> {
  const seen = new Set<string>();
  for (;;) {
    const leases = await leaseDue(deps.database, clocksOf(deps), jobs);
    await Promise.all(leases.map((lease) => advanceLeasedOrLog(deps, lease)));
    const isNew = leases.some(({ id }) => !seen.has(id));
    for (const { id } of leases) seen.add(id);
    if (!isNew) return seen.size > 0;
    await yieldToEventLoop();
  }
}

/** Retries declined renewals first, because paying one makes the next ones due. */
async function renewAll(deps: BackendDeps, options: SweepOptions): Promise<boolean> {
  const retried = await inBatches(
    options,
    () => dueRetries(deps.database, deps.clock.now(), BATCH),
    ({ id }) => id,
    (renewal) => orLog(deps, `renewal ${renewal.id}`, () => retryRenewal(deps, renewal)),
  );
  let renewed = false;
  for (const bucket of new Set([options.bucket, 0])) {
    const isDone = await inBatches(
      options,
      () => dueSubscriptions(deps.database, deps.clock.now(), { limit: BATCH, bucket }),
      String,
      (id) => orLog(deps, `renewal of organization ${id}`, () => renewDue(deps, id)),
    );
    renewed ||= isDone;
  }
  return retried || renewed;
}

/** Sends queued notifications at least once; receivers deduplicate by ID. */
async function sendOutbox(deps: BackendDeps, options: SweepOptions): Promise<boolean> {
  return inBatches(
    options,
    () => claimNotifications(deps.database, deps.now(), BATCH),
    ({ id }) => id,
    (notification) =>
      orLog(deps, `notification ${notification.id}`, async () => {
        await deps.notifier.deliver(notification);
        deps.reach("B10");
        await markSent(deps.database, notification, deps.now());
      }),
  );
}

/**
 * Lists and handles what is due until nothing new is listed. What stays due is handled once.
 *
 * @returns whether there was anything
 */
async function inBatches<Due>(
  { jobs }: SweepOptions,
  list: () => Promise<readonly Due[]>,
  idOf: (due: Due) => string,
  handle: (due: Due) => Promise<void>,
): Promise<boolean> {
  const seen = new Set<string>();
  const limit = pLimit(jobs);
  for (;;) {
    const fresh = (await list()).filter((due) => !seen.has(idOf(due)));
    if (fresh.length === 0) return seen.size > 0;
    for (const due of fresh) seen.add(idOf(due));
    await Promise.all(
      fresh.map((due) =>
        limit(async () => {
          await yieldToEventLoop();
          await handle(due);
        }),
      ),
    );
  }
}

async function orLog(deps: BackendDeps, what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    deps.log(what, error);
  }
}

/** SQLite blocks the event loop, so long work on it has to let requests in between. */
const yieldToEventLoop = setImmediate;

/** Cancels payments whose ID no purchase saved before a crash. They are harmless, because they are unconfirmed. */
export async function cancelOrphans(deps: BackendDeps): Promise<void> {
  for (const payment of await deps.gateway.unconfirmed(deps.now() - ORPHAN_AGE_MS)) {
    if (await isOrphan(deps.database, payment)) await deps.gateway.cancel(payment.id);
  }
}

const ORPHAN_AGE_MS = 3_600_000;

/** How long to wait after a round, milliseconds; after rounds without work up to `maxPauseMs`. */
const PAUSE_MS = 1_000;

/** How often outdated rows are pruned and orphans canceled, milliseconds. */
const UPKEEP_MS = 60_000;

/**
 * Sweeps until stopped, one round at a time with a pause after each, and once a minute prunes and cancels orphaned payments.
 * A round that fails is logged.
 *
 * @param maxPauseMs the longest pause, reached after rounds without work
 * @returns a function that stops it, and resolves when the current round is over
 */
export function startSweeping(
  deps: BackendDeps,
  { maxPauseMs = PAUSE_MS, ...options }: SweepOptions & { maxPauseMs?: number } = ALONE,
): () => Promise<void> {
  const stop = new AbortController();
  const keepUp = everyMinute(deps, async () => {
    await orLog(deps, "prune", () => prune(deps));
    await orLog(deps, "orphans", () => cancelOrphans(deps));
  });
  const run = async () => {
    for (let pause = PAUSE_MS; !stop.signal.aborted; ) {
      let hasWorked = false;
      await orLog(deps, "sweep", async () => {
        hasWorked = await sweep(deps, options);
        await keepUp();
      });
      pause = hasWorked ? PAUSE_MS : Math.min(maxPauseMs, pause * 2);
      await delay(pause, undefined, { signal: stop.signal }).catch(() => {});
    }
  };
  const ended = run();
  return async () => {
    stop.abort();
    await ended;
  };
}

/** Creates a function that does work if the last time was a minute ago, by the machine's clock. */
function everyMinute({ now }: BackendDeps, work: () => Promise<void>): () => Promise<void> {
  let last = Number.NEGATIVE_INFINITY;
  return async () => {
    if (now() - last < UPKEEP_MS) return;
    last = now();
    await work();
  };
}
