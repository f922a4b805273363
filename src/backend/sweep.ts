import { setImmediate } from "node:timers/promises";
import type { BackendDeps } from "./deps.ts";
import { markSent, unsentNotifications } from "./events/events.ts";
import { clocksOf } from "./purchases/charge.ts";
import { isOrphan, purchasesDue } from "./purchases/leases.ts";
import { carryOn } from "./purchases/processor.ts";
import { renewDue, retriesDue, retryRenewal, subscriptionsDue } from "./renewals/renew.ts";

const BATCH = 100;

/**
 * One round of the work that nobody waits for: carries on unsettled purchases that are due, renews subscriptions, and
 * sends what is in the outbox. Any number of backends may run it on one database. What fails is logged, left for a later
 * round, and holds nothing else up.
 */
export async function sweep(deps: BackendDeps): Promise<void> {
  await carryOnDue(deps);
  await renewAll(deps);
  await sendOutbox(deps);
  await cancelOrphans(deps);
}

async function carryOnDue(deps: BackendDeps): Promise<void> {
  const seen = new Set<string>();
  for (;;) {
    const due = await purchasesDue(deps.database, clocksOf(deps), BATCH);
    const fresh = due.filter((purchaseId) => !seen.has(purchaseId));
    if (fresh.length === 0) return;
    for (const purchaseId of fresh) {
      seen.add(purchaseId);
      await letOthersIn();
      await carryOn(deps, purchaseId);
    }
  }
}

/** Tries failed renewals again first: when one is paid, the next ones are due. */
async function renewAll(deps: BackendDeps): Promise<void> {
  for (const purchaseId of await retriesDue(deps.database, deps.clock.now())) {
    await attempt(deps, `renewal ${purchaseId}`, () => retryRenewal(deps, purchaseId));
  }
  for (const organizationId of await subscriptionsDue(deps.database, deps.clock.now())) {
    await attempt(deps, `renewal of organization ${organizationId}`, () => renewDue(deps, organizationId));
  }
}

/** Sends queued notifications: at least once, and the receiver knows one by its id (purchase.md, B10). */
async function sendOutbox(deps: BackendDeps): Promise<void> {
  for (const notification of await unsentNotifications(deps.database, BATCH)) {
    await attempt(deps, `notification ${notification.id}`, async () => {
      await deps.notifier.deliver(notification);
      deps.reach("B10");
      await markSent(deps.database, notification.id, deps.now());
    });
  }
}

async function attempt(deps: BackendDeps, what: string, work: () => Promise<void>): Promise<void> {
  await letOthersIn();
  try {
    await work();
  } catch (error) {
    deps.log(`${what}: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
  }
}

/** SQLite answers without a turn of the event loop, so that long work on it would keep every request waiting. */
const letOthersIn = setImmediate;

/** Cancels payments that were created and whose id no purchase kept: harmless, but untidy (purchase.md, Paying 3). */
export async function cancelOrphans(deps: BackendDeps): Promise<void> {
  for (const payment of await deps.gateway.unconfirmed(deps.now() - ORPHAN_AGE_MS)) {
    if (await isOrphan(deps.database, payment)) await deps.gateway.cancel(payment.id);
  }
}

const ORPHAN_AGE_MS = 3_600_000;

/**
 * Runs the sweep every second until stopped, one round at a time; a round that fails is logged and the next one tries.
 *
 * @returns stops it, and resolves when the round under way is over
 */
export function startSweeping(deps: BackendDeps): () => Promise<void> {
  let round: Promise<void> = Promise.resolve();
  let busy = false;
  const tick = () => {
    if (busy) return;
    busy = true;
    round = sweep(deps)
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
