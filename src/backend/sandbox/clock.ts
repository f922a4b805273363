import { setTimeout as delay, setImmediate } from "node:timers/promises";
import type { Kysely } from "kysely";
import { dateInZone, startOfDateInZone } from "../../billing/calendar.ts";
import { isCalendarDate } from "../../billing/calendarDate.ts";
import { ADVANCED_STATES, CHECKED_STATES } from "../../billing/purchase.ts";
import type { Database } from "../database/schema.ts";
import type { BackendDeps, BillingClock } from "../deps.ts";
import { leasedPurchases, purchasesInProgress } from "../purchases/leases.ts";
import { MAX_RENEWAL_DELAY_MS } from "../renewals/renew.ts";
import { writeSetting } from "../seeding/store.ts";
import { sweep } from "../sweep.ts";

/** The setting that stores the clock's offset from the machine's. */
export const CLOCK_SETTING = "clock_distance";

/** The sandbox's billing clock: the machine's plus an offset, or held at an instant. */
export interface SandboxClock extends BillingClock {
  /** The offset from the machine's clock, in milliseconds. */
  offset(): number;
  /** Moves it to an instant, milliseconds, and lets it run. */
  moveTo(instant: number): void;
  /** Holds it at an instant, milliseconds, until it is moved again. */
  holdAt(instant: number): void;
}

/**
 * Creates the sandbox's clock.
 *
 * @param machineNow the machine's clock, milliseconds
 */
export function sandboxClock(machineNow: () => number, startOffset: number): SandboxClock {
  let offset = startOffset;
  let held: number | null = null;
  const now = () => held ?? machineNow() + offset;
  return {
    now,
    offset: () => now() - machineNow(),
    moveTo(instant) {
      held = null;
      offset = instant - machineNow();
    },
    holdAt(instant) {
      held = instant;
    },
  };
}

/** Parses the target of `advance --to`: an instant, or a date, which is its start in the billing time zone. Today is now. */
export function instantOf(to: string, now: number, timeZone: string): number {
  if (!isCalendarDate(to)) return Date.parse(to);
  return to === dateInZone(now, timeZone) ? now : startOfDateInZone(to, timeZone);
}

/** How long to wait for other workers while the clock is held, machine clock. */
const MAX_OTHERS_WAIT_MS = 5_000;

const POLL_MS = 50;

/** How far past its target the clock may go, so that payments that start at the target can settle. */
const SETTLING_MS = 5_000;

/**
 * Moves the clock forward from event to event, so that everything on the way happens in order and at its own instant:
 * checks of purchases, deadlines, renewals and their retries (src/backend/README.md, Sandbox). The clock is stored as it
 * moves, so that it never goes back after a crash.
 *
 * @param target milliseconds; if it has just passed, the clock stays
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

/** The next check of a payment in progress once the clock has arrived; `null` without one within `SETTLING_MS`. */
async function nextSettling({ database }: BackendDeps, after: number, end: number): Promise<number | null> {
  if ((await purchasesInProgress(database)).length === 0) return null;
  const next = await nextEvent(database, after);
  return next !== null && next <= end + SETTLING_MS ? next : null;
}

/** Holds the clock at an instant until nothing is left to do. Lets requests in first, because SQLite blocks the event loop. */
async function arriveAt(deps: BackendDeps, clock: SandboxClock, instant: number, stuck: Set<string>): Promise<void> {
  await setImmediate();
  clock.holdAt(instant);
  await writeSetting(deps.database, CLOCK_SETTING, String(clock.offset()));
  await sweep(deps);
  while (await waitForOthers(deps, stuck)) await sweep(deps);
}

/** Waits for other workers' leases to end. Returns whether there were any. A stuck purchase is waited for only once. */
async function waitForOthers(deps: BackendDeps, stuck: Set<string>): Promise<boolean> {
  const end = deps.now() + MAX_OTHERS_WAIT_MS;
  for (let looks = 0; ; looks += 1) {
    const leased = (await leasedPurchases(deps.database, deps.now())).filter(({ id }) => !stuck.has(id));
    if (leased.length === 0) return looks > 0;
    if (deps.now() >= end) for (const { id } of leased) stuck.add(id);
    await delay(POLL_MS);
  }
}

/**
 * Finds the next event: the check of a purchase, the retry of a renewal, a due renewal, the end of a renewal's delay, or a
 * renewal reminder.
 *
 * @param after the billing clock, milliseconds, exclusive
 * @returns the instant, milliseconds, or `null` without one
 */
async function nextEvent(database: Kysely<Database>, after: number): Promise<number | null> {
  const instants = [
    await nextPurchaseCheck(database, after),
    await nextRenewal(database, after, 0),
    await nextRenewal(database, after, MAX_RENEWAL_DELAY_MS),
    await nextReminder(database, after),
  ].filter((instant) => instant !== null);
  return instants.length === 0 ? null : Math.min(...instants);
}

async function nextPurchaseCheck(database: Kysely<Database>, after: number): Promise<number | null> {
  const { at } = await database
    .selectFrom("purchases")
    .select((expression) => expression.fn.min("next_check_at").as("at"))
    .where("next_check_at", ">", after)
    .where("state", "in", [...ADVANCED_STATES, ...CHECKED_STATES, "declined"])
    .executeTakeFirstOrThrow();
  return at;
}

/** The first instant after `after` that is `lateMs` after a renewal falls due. */
async function nextRenewal(database: Kysely<Database>, after: number, lateMs: number): Promise<number | null> {
  const { at } = await database
    .selectFrom("subscriptions")
    .select((expression) => expression.fn.min("renew_at").as("at"))
    .where("renew_at", ">", after - lateMs)
    .where("unpaid_renewal", "is", null)
    .executeTakeFirstOrThrow();
  return at === null ? null : at + lateMs;
}

async function nextReminder(database: Kysely<Database>, after: number): Promise<number | null> {
  const { at } = await database
    .selectFrom("subscriptions")
    .select((expression) => expression.fn.min("remind_at").as("at"))
    .where("remind_at", ">", after)
    .executeTakeFirstOrThrow();
  return at;
}
