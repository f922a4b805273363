import type { PurchaseRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { type Clocks, LEASE_MS, renewLease, StaleLease } from "./leases.ts";
import type { PurchaseRecord } from "./store.ts";

/** The dependencies of a worker. */
export type WorkerDeps = Pick<
  BackendDeps,
  "database" | "gateway" | "seller" | "clock" | "now" | "reach" | "log" | "changes" | "leases" | "observe"
>;

/** One worker's run on a purchase, under one lease. */
export interface WorkerRun extends WorkerDeps {
  /** A run confirms at most once. If the outcome stays unknown, a later run checks it. */
  hasConfirmed: boolean;
  /** The purchase once it is fulfilled, if it need not be read again. */
  fulfilled?: PurchaseRecord | null;
}

/** The result of a step: the purchase in its new state, `settled`, or `wait` for a later check. */
export type Step = PurchaseRow | "settled" | "wait";

/** Reads both clocks. */
export function clocksOf({ clock, now }: Pick<WorkerDeps, "clock" | "now">): Clocks {
  return { billing: clock.now(), machine: now() };
}

/** Renews a lease while `work` runs. If the lease is lost, the work is dropped, because another worker continues it. */
export async function holdLease(deps: WorkerDeps, lease: PurchaseRow, work: () => Promise<void>): Promise<void> {
  const renewal = setInterval(() => {
    renewLease(deps.database, lease, deps.now()).catch((error) => deps.log(`lease of purchase ${lease.id}`, error));
  }, LEASE_MS / 3);
  deps.leases?.add(lease);
  try {
    await work();
  } catch (error) {
    if (!(error instanceof StaleLease)) throw error;
    deps.log(`purchase ${lease.id}: lease lost to another worker`);
  } finally {
    clearInterval(renewal);
    deps.leases?.delete(lease);
    deps.changes.emit(lease.id);
  }
}
