import { setTimeout as delay, setImmediate } from "node:timers/promises";
import pLimit from "p-limit";
import { type DueChange, dueChanges, makeDueChange } from "./control/policy.ts";
import type { BackendDeps } from "./deps.ts";
import { createChaining } from "./events/chain.ts";
import { sendNotifications } from "./events/outbox.ts";
import { prune } from "./prune.ts";
import { isOrphan, leaseDue } from "./purchases/leases.ts";
import { advanceLeasedOrLog } from "./purchases/processor.ts";
import { clocksOf } from "./purchases/worker.ts";
import { type DueRetry, type DueSubscription, dueRetries, dueSubscriptions } from "./renewals/due.ts";
import { type DueReminder, dueReminders, remindOfRenewal } from "./renewals/reminders.ts";
import { renewDue, retryRenewal } from "./renewals/renew.ts";
import { makeUserChange } from "./users/administrators.ts";

/** How many renewals are listed at once. */
const BATCH = 100;

/** How many reminders are listed at once. */
const REMINDERS = 500;

/** How an instance works in the background. */
export interface SweepOptions {
  /** How many purchases, renewals or notifications are in work at a time. */
  readonly jobs: number;
  /** The bucket that renewals begin with, of `BUCKETS`: other instances begin with others. */
  readonly bucket: number;
  /** How many purchases, and how many renewals, a round takes at most, so that none waits for the backlog of another. */
  readonly limit: number;
  /** How many notifications a round sends at most; each takes less than a purchase. */
  readonly notifications: number;
  /** How many renewals a listing of a round takes at most, and what resolves when the next one may begin. */
  readonly renewals?: { readonly most: number; begin(): Promise<void> };
  /** Where the next round goes on with a kind that this round left off. */
  readonly positions: Map<string, unknown>;
  /** Ends a round early. */
  readonly signal?: AbortSignal;
}

/** A backend alone does everything in order: SQLite does one thing at a time. */
const alone = (): SweepOptions => ({
  jobs: 1,
  bucket: 0,
  limit: Number.POSITIVE_INFINITY,
  notifications: Number.POSITIVE_INFINITY,
  positions: new Map(),
});

/**
 * Runs one round of background work: advances due purchases, makes renewals and due changes, and sends the outbox. Any
 * number of backends may run it on one database. A failure is logged, left for a later round, and stops nothing else
 * (src/backend/README.md, Leases and the sweep).
 *
 * @returns whether there was anything to do
 */
export async function sweep(deps: BackendDeps, options: SweepOptions = alone()): Promise<boolean> {
  const { jobs, notifications: limit, signal } = options;
  const done = [
    await advanceDue(deps, options),
    await renewAll(deps, options),
    await remindAll(deps, options),
    await makeAll(deps, options),
    await sendNotifications(deps, { jobs, limit, signal }),
  ];
  return done.includes(true);
}

async function advanceDue(deps: BackendDeps, { jobs, limit, signal }: SweepOptions): Promise<boolean> {
  const seen = new Set<string>();
  while (seen.size < limit && !signal?.aborted) {
    const leases = await leaseDue(deps.database, clocksOf(deps), jobs);
    await Promise.all(leases.map((lease) => advanceLeasedOrLog(deps, lease)));
    const isNew = leases.some(({ id }) => !seen.has(id));
    for (const { id } of leases) seen.add(id);
    if (!isNew) break;
    await yieldToEventLoop();
  }
  return seen.size > 0;
}

/** Retries declined renewals first, because paying one makes the next ones due. */
async function renewAll(deps: BackendDeps, among: SweepOptions): Promise<boolean> {
  const { database, clock } = deps;
  const options = { ...among, limit: Math.min(among.limit, among.renewals?.most ?? among.limit) };
  const limit = Math.min(BATCH, options.limit);
  const retried = await inPages<DueRetry>(
    options,
    "retries",
    (after) => dueRetries(database, clock.now(), { limit, after }),
    paced(options, (renewal) => orLog(deps, `renewal ${renewal.id}`, () => retryRenewal(deps, renewal))),
  );
  let renewed = false;
  for (const bucket of new Set([options.bucket, 0])) {
    const isDone = await inPages<DueSubscription>(
      options,
      `renewals from ${bucket}`,
      (after) => dueSubscriptions(database, clock.now(), { limit, after, bucket }),
      paced(options, ({ organization_id: id }) =>
        orLog(deps, `renewal of organization ${id}`, () => renewDue(deps, id)),
      ),
    );
    renewed ||= isDone;
  }
  return retried || renewed;
}

/** Sends and plans reminders of renewals, each of which takes as little as a notification. */
function remindAll(deps: BackendDeps, options: SweepOptions): Promise<boolean> {
  const limit = Math.min(REMINDERS, options.notifications);
  return inPages<DueReminder>(
    { ...options, limit: options.notifications },
    "reminders",
    (after) => dueReminders(deps.database, deps.clock.now(), { limit, after }),
    ({ organization_id: id }) => orLog(deps, `renewal reminder of organization ${id}`, () => remindOfRenewal(deps, id)),
  );
}

/** Makes the changes that waited a day, because their organization had one administrator. */
function makeAll(deps: BackendDeps, options: SweepOptions): Promise<boolean> {
  const limit = Math.min(BATCH, options.limit);
  return inPages<DueChange>(
    options,
    "changes",
    (after) => dueChanges(deps.database, deps.clock.now(), { limit, after }),
    (due) =>
      orLog(deps, `change of organization ${due.organization_id}`, () => makeDueChange(deps, due, makeUserChange)),
  );
}

/**
 * Lists and handles what is due, page by page, and notes where the next round goes on: what cannot be done now must not
 * keep later ones from their turn.
 *
 * @param list returns a page after an item, the first one after `null`; an empty page is the end
 * @returns whether there was anything
 */
async function inPages<Due>(
  { jobs, limit, positions, signal }: SweepOptions,
  kind: string,
  list: (after: Due | null) => Promise<readonly Due[]>,
  handle: (due: Due) => Promise<void>,
): Promise<boolean> {
  const turn = pLimit(jobs);
  let count = 0;
  let after = (positions.get(kind) as Due | undefined) ?? null;
  while (count < limit && !signal?.aborted) {
    const page = await list(after);
    after = page.at(-1) ?? null;
    if (after === null) break;
    count += page.length;
    await Promise.all(
      page.map((due) =>
        turn(async () => {
          await yieldToEventLoop();
          if (!signal?.aborted) await handle(due);
        }),
      ),
    );
  }
  positions.set(kind, after);
  return count > 0;
}

/** Handles each renewal when its turn comes. */
function paced<Due>(
  { renewals, signal }: SweepOptions,
  handle: (due: Due) => Promise<void>,
): (due: Due) => Promise<void> {
  return async (due) => {
    await renewals?.begin();
    if (!signal?.aborted) await handle(due);
  };
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

/** How long to wait after a round, milliseconds. */
const PAUSE_MS = 1_000;

/** How often outdated rows are pruned and orphans canceled, milliseconds. */
const UPKEEP_MS = 60_000;

/** How many of a kind a round takes, so that purchases are looked at every few seconds whatever else is due. */
const ROUND = 100;

/** How many notifications a round sends: more than an instance sells a second. */
const ROUND_NOTIFICATIONS = 1_000;

/** How an instance sweeps among others. */
export interface SweepingOptions extends Pick<SweepOptions, "jobs" | "bucket" | "renewals"> {
  /** The longest pause, reached after rounds without work, milliseconds. */
  readonly maxPauseMs: number;
  /** More work for each round; each returns whether there was anything to do. */
  readonly more?: readonly (() => Promise<boolean>)[];
}

/**
 * Sweeps until stopped, one round at a time with a pause after each, hashes new events, and once a minute prunes and
 * cancels orphaned payments. A round that fails is logged.
 *
 * @param among how it shares the work with other instances; `null` for a backend alone
 * @returns a function that stops it, and resolves when the current round is over
 */
export function startSweeping(deps: BackendDeps, among: SweepingOptions | null = null): () => Promise<void> {
  const stop = new AbortController();
  const options: SweepOptions = {
    ...alone(),
    ...(among && { jobs: among.jobs, bucket: among.bucket, limit: ROUND, notifications: ROUND_NOTIFICATIONS }),
    signal: stop.signal,
  };
  const pauseOf = (last: number) => Math.min(among?.maxPauseMs ?? PAUSE_MS, last * 2);
  const sweeping = repeat(stop.signal, pauseOf, async () => {
    let hasWorked = false;
    for (const work of [() => sweep(deps, options), ...(among?.more ?? [])]) {
      await orLog(deps, "sweep", async () => {
        hasWorked = (await work()) || hasWorked;
      });
    }
    return hasWorked;
  });
  const keepUp = everyMinute(deps, async () => {
    await orLog(deps, "prune", () => prune(deps));
    await orLog(deps, "orphans", () => cancelOrphans(deps));
  });
  // On its own, because deleting a backlog may take longer than a payment should wait.
  const keeping = repeat(stop.signal, () => PAUSE_MS, keepUp);
  // On its own as well: no purchase waits for a hash.
  const chain = createChaining(deps, stop.signal);
  const chaining = repeat(stop.signal, pauseOf, async () => {
    let hasWorked = false;
    await orLog(deps, "event log", async () => {
      hasWorked = await chain();
    });
    return hasWorked;
  });
  return async () => {
    stop.abort();
    await Promise.all([sweeping, keeping, chaining]);
  };
}

/** Repeats work until aborted, with a pause after each time; after times without work `pauseOf` makes it longer. */
async function repeat(
  signal: AbortSignal,
  pauseOf: (last: number) => number,
  work: () => Promise<boolean>,
): Promise<void> {
  for (let pause = PAUSE_MS; !signal.aborted; ) {
    pause = (await work()) ? PAUSE_MS : pauseOf(pause);
    await delay(pause, undefined, { signal }).catch(() => {});
  }
}

/** Creates a function that does work if the last time was a minute ago, by the machine's clock. */
function everyMinute({ now }: BackendDeps, work: () => Promise<void>): () => Promise<boolean> {
  let last = Number.NEGATIVE_INFINITY;
  return async () => {
    if (now() - last < UPKEEP_MS) return false;
    last = now();
    await work();
    return true;
  };
}
