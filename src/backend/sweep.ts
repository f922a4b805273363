import { setImmediate } from "node:timers/promises";
import type { BackendDeps } from "./deps.ts";
import { markSent, unsentNotifications } from "./events/events.ts";
import { pruner } from "./prune.ts";
import { clocksOf } from "./purchases/charge.ts";
import { duePurchases, isOrphan } from "./purchases/leases.ts";
import { advanceOrLog } from "./purchases/processor.ts";
import { dueRetries, dueSubscriptions, renewDue, retryRenewal } from "./renewals/renew.ts";

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
  const seen = new Set<string>();
  for (;;) {
    const due = await duePurchases(deps.database, clocksOf(deps), BATCH);
    const fresh = due.filter((purchaseId) => !seen.has(purchaseId));
    if (fresh.length === 0) return;
    for (const purchaseId of fresh) {
      seen.add(purchaseId);
      await yieldToEventLoop();
      await advanceOrLog(deps, purchaseId);
    }
  }
}

/** Retries declined renewals first, because paying one makes the next ones due. */
async function renewAll(deps: BackendDeps): Promise<void> {
  for (const purchaseId of await dueRetries(deps.database, deps.clock.now())) {
    await tryOrLog(deps, `renewal ${purchaseId}`, () => retryRenewal(deps, purchaseId));
  }
  for (const organizationId of await dueSubscriptions(deps.database, deps.clock.now())) {
    await tryOrLog(deps, `renewal of organization ${organizationId}`, () => renewDue(deps, organizationId));
  }
}

/** Sends queued notifications at least once; receivers deduplicate by ID. */
async function sendOutbox(deps: BackendDeps): Promise<void> {
  for (const notification of await unsentNotifications(deps.database, BATCH)) {
    await tryOrLog(deps, `notification ${notification.id}`, async () => {
      await deps.notifier.deliver(notification);
      deps.reach("B10");
      await markSent(deps.database, notification.id, deps.now());
    });
  }
}

async function tryOrLog(deps: BackendDeps, what: string, work: () => Promise<void>): Promise<void> {
  await yieldToEventLoop();
  try {
    await work();
  } catch (error) {
    deps.log(`${what}: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
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
      .then(() => tryOrLog(deps, "prune", pruneInTime))
      .catch((error) => deps.log(`sweep: ${error}`))
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
