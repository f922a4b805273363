import { dateInZone, isCalendarDate, startOfDateInZone } from "../../billing/calendar.ts";
import type { BillingClock } from "../deps.ts";

/** The sandbox's billing clock: the machine's, plus a distance that can grow. */
export interface SandboxClock extends BillingClock {
  /** How far it is from the machine's clock, in milliseconds. */
  distance(): number;
  /** Moves it to an instant, milliseconds. */
  moveTo(instant: number): void;
}

/** @param machineNow the machine's clock, milliseconds */
export function sandboxClock(machineNow: () => number, distance: number): SandboxClock {
  let offset = distance;
  return {
    now: () => machineNow() + offset,
    distance: () => offset,
    moveTo(instant) {
      offset = instant - machineNow();
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
