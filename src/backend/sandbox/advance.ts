import { setTimeout as delay, setImmediate } from "node:timers/promises";
import type { BackendDeps } from "../deps.ts";
import { sweep } from "../purchases/sweep.ts";
import { nextEvent } from "../store/agenda.ts";
import { purchasesLeased, purchasesUnderWay } from "../store/leases.ts";
import { writeSetting } from "../store/seeding.ts";
import { CLOCK_SETTING, type SandboxClock } from "./clock.ts";

/** How long others may be at work on a purchase while the clock stands, by the machine's clock. */
const OTHERS_MS = 5_000;
const PAUSE_MS = 50;

/** When a payment is looked at that begins with the very end: so much later the clock may stop. */
const SETTLING_MS = 5_000;

/**
 * Moves the clock forward from event to event, so that everything on the way happens at its own instant and in order:
 * looks at payments, deadlines, renewals and their retries (details.md, 19 and 30). The clock is kept as it moves, so that
 * it never goes back after a crash. Payments that begin with the very end have the few seconds that they take.
 *
 * @param target milliseconds; where it has just gone by, the clock stays
 */
export async function advanceTo(deps: BackendDeps, clock: SandboxClock, target: number): Promise<void> {
  const stuck = new Set<string>();
  const arrive = (instant: number) => arriveAt(deps, clock, instant, stuck);
  let next: number | null = clock.now();
  const end = Math.max(next, target);
  try {
    for (; next !== null && next < end; next = await nextEvent(deps.database, next)) await arrive(next);
    for (next = end; next !== null; next = await nextSettling(deps, next, end)) await arrive(next);
  } finally {
    clock.moveTo(clock.now());
  }
}

/** The next look at what is still being paid when the clock has arrived; `null` when nothing is, or not for long. */
async function nextSettling({ database }: BackendDeps, after: number, end: number): Promise<number | null> {
  if ((await purchasesUnderWay(database)).length === 0) return null;
  const next = await nextEvent(database, after);
  return next !== null && next <= end + SETTLING_MS ? next : null;
}

/** Stands at an instant until nothing is left to do then. Before it lets requests in, which SQLite would keep waiting. */
async function arriveAt(deps: BackendDeps, clock: SandboxClock, instant: number, stuck: Set<string>): Promise<void> {
  await setImmediate();
  clock.standAt(instant);
  await writeSetting(deps.database, CLOCK_SETTING, String(clock.distance()));
  await sweep(deps);
  while (await othersWere(deps, stuck)) await sweep(deps);
}

/** Waits for those who are at work on purchases now; gives whether there were any. One that is stuck is waited for once. */
async function othersWere(deps: BackendDeps, stuck: Set<string>): Promise<boolean> {
  const end = deps.now() + OTHERS_MS;
  for (let looks = 0; ; looks += 1) {
    const leased = (await purchasesLeased(deps.database, deps.now())).filter((purchaseId) => !stuck.has(purchaseId));
    if (leased.length === 0) return looks > 0;
    if (deps.now() >= end) for (const purchaseId of leased) stuck.add(purchaseId);
    await delay(PAUSE_MS);
  }
}
