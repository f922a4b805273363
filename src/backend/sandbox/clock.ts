import { dateInZone, startOfDateInZone } from "../../billing/calendar.ts";
import { isCalendarDate } from "../../billing/calendarDate.ts";
import type { BillingClock } from "../deps.ts";

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
