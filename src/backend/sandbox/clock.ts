import { setTimeout as delay, setImmediate } from "node:timers/promises";
import type { Kysely } from "kysely";
import { dateInZone, startOfDateInZone } from "../../billing/calendar.ts";
import { isCalendarDate } from "../../billing/calendarDate.ts";
import { WATCHED_STATES, WORKABLE_STATES } from "../../billing/purchase.ts";
import type { Database } from "../database/schema.ts";
import type { BackendDeps, BillingClock } from "../deps.ts";
import { purchasesLeased, purchasesUnderWay } from "../purchases/leases.ts";
import { HELD_UP_MS } from "../renewals/renew.ts";
import { sweep } from "../sweep.ts";
import { writeSetting } from "./settings.ts";

/** The name of the setting that keeps the clock's distance from the machine's. */
export const CLOCK_SETTING = "clock_distance";

/** The sandbox's billing clock: the machine's, plus a distance that can grow. */
export interface SandboxClock extends BillingClock {
  /** How far it is from the machine's clock, in milliseconds. */
  distance(): number;
  /** Moves it to an instant, milliseconds, from which it runs on. */
  moveTo(instant: number): void;
  /** Moves it to an instant, where it stands until it is moved again. */
  standAt(instant: number): void;
}

/** @param machineNow the machine's clock, milliseconds */
export function sandboxClock(machineNow: () => number, distance: number): SandboxClock {
  let offset = distance;
  let standing: number | null = null;
  const now = () => standing ?? machineNow() + offset;
  return {
    now,
    distance: () => now() - machineNow(),
    moveTo(instant) {
      standing = null;
      offset = instant - machineNow();
    },
    standAt(instant) {
      standing = instant;
    },
  };
}

/**
 * The instant that `advance --to` means: an instant is itself; a date is its beginning in the billing time zone, and
 * today is now.
 */
export function instantOf(to: string, now: number, timeZone: string): number {
  if (!isCalendarDate(to)) return Date.parse(to);
  return to === dateInZone(now, timeZone) ? now : startOfDateInZone(to, timeZone);
}

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

/**
 * When something happens by itself next: a look at a purchase, another try at a failed renewal, a renewal that falls due,
 * or one that waits no longer for purchases of the old term.
 *
 * @param after the billing clock, milliseconds; what is due by then is not looked for
 * @returns the instant, milliseconds, or `null` when nothing is on the way
 */
async function nextEvent(database: Kysely<Database>, after: number): Promise<number | null> {
  const instants = [
    await nextLook(database, after),
    await nextRenewal(database, after, 0),
    await nextRenewal(database, after, HELD_UP_MS),
  ].filter((instant) => instant !== null);
  return instants.length === 0 ? null : Math.min(...instants);
}

async function nextLook(database: Kysely<Database>, after: number): Promise<number | null> {
  const { at } = await database
    .selectFrom("purchases")
    .select((expression) => expression.fn.min("next_check_at").as("at"))
    .where("next_check_at", ">", after)
    .where("state", "in", [...WORKABLE_STATES, ...WATCHED_STATES, "declined"])
    .executeTakeFirstOrThrow();
  return at;
}

/** The first renewal that fell or falls due `lateMs` before something happens to it. */
async function nextRenewal(database: Kysely<Database>, after: number, lateMs: number): Promise<number | null> {
  const { at } = await database
    .selectFrom("subscriptions")
    .select((expression) => expression.fn.min("renew_at").as("at"))
    .where("renew_at", ">", after - lateMs)
    .where("unpaid_renewal", "is", null)
    .executeTakeFirstOrThrow();
  return at === null ? null : at + lateMs;
}
