import { setImmediate } from "node:timers/promises";
import type { BackendDeps } from "./deps.ts";
import { claimNotifications, markSent } from "./events/events.ts";
import { pruner } from "./prune.ts";
import { clocksOf } from "./purchases/charge.ts";
import { duePurchases, isOrphan } from "./purchases/leases.ts";
import { advanceOrLog } from "./purchases/processor.ts";
import { dueRetries, dueSubscriptions, renewDue, retryRenewal } from "./renewals/renew.ts";

/** How many rows are listed at once. */
const BATCH = 100;

/**
 * Runs one round of background work: advances due purchases, makes renewals, sends the outbox, and cancels orphaned
 * payments. Any number of backends may run it on one database. A failure is logged, left for a later round, and stops
 * nothing else (src/backend/README.md, Leases and the sweep).
 */
export async function sweep(deps: BackendDeps): Promise<void> {
  await advanceDue(deps);
  await renewAll(deps);
  await sendOutbox(deps);
  await cancelOrphans(deps);
}

async function advanceDue(deps: BackendDeps): Promise<void> {
  await inBatches(
    () => duePurchases(deps.database, clocksOf(deps), BATCH),
    ({ id }) => id,
    (purchase) => advanceOrLog(deps, purchase),
  );
}

/** Retries declined renewals first, because paying one makes the next ones due. */
async function renewAll(deps: BackendDeps): Promise<void> {
  await inBatches(
    () => dueRetries(deps.database, deps.clock.now(), BATCH),
    ({ id }) => id,
    (renewal) => orLog(deps, `renewal ${renewal.id}`, () => retryRenewal(deps, renewal)),
  );
  await inBatches(
    () => dueSubscriptions(deps.database, deps.clock.now(), BATCH),
    String,
    (organizationId) => orLog(deps, `renewal of organization ${organizationId}`, () => renewDue(deps, organizationId)),
  );
}

/** Lists and handles what is due until nothing new is listed. What stays due is handled once. */
async function inBatches<Due>(
  list: () => Promise<readonly Due[]>,
  idOf: (due: Due) => string,
  handle: (due: Due) => Promise<void>,
): Promise<void> {
  const seen = new Set<string>();
  for (;;) {
    const fresh = (await list()).filter((due) => !seen.has(idOf(due)));
    if (fresh.length === 0) return;
    for (const due of fresh) {
      seen.add(idOf(due));
      await yieldToEventLoop();
      await handle(due);
    }
  }
}

/** Sends queued notifications at least once; receivers deduplicate by ID. */
async function sendOutbox(deps: BackendDeps): Promise<void> {
  for (const notification of await claimNotifications(deps.database, deps.now(), BATCH)) {
    await yieldToEventLoop();
    await orLog(deps, `notification ${notification.id}`, async () => {
      await deps.notifier.deliver(notification);
      deps.reach("B10");
      await markSent(deps.database, notification, deps.now());
    });
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

/**
 * Runs the sweep every second until stopped, one round at a time, and prunes once a minute. A round that fails is logged.
 *
 * @returns a function that stops it, and resolves when the current round is over
 */
export function startSweeping(deps: BackendDeps): () => Promise<void> {
  let round: Promise<void> = Promise.resolve();
  let busy = false;
  const pruneInTime = pruner(deps);
  const tick = () => {
    if (busy) return;
    busy = true;
    round = sweep(deps)
      .then(() => orLog(deps, "prune", pruneInTime))
      .catch((error) => deps.log("sweep", error))
      .finally(() => {
        busy = false;
      });
  };
  const timer = setInterval(tick, 1_000);
  tick();
  return async () => {
    clearInterval(timer);
    await round;
  };
}
