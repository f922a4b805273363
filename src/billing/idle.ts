/** After how many days without a sign-in a user counts as idle, unless said otherwise. */
export const IDLE_DAYS = 90;

const DAY_MS = 86_400_000;

/** When a user was added, joined and last signed in, in milliseconds; `null` if it never happened or is not known. */
export interface Activity {
  readonly added: number | null;
  readonly joined: number | null;
  readonly lastLogin: number | null;
}

/** The instant from which on a user has done nothing: the last sign-in, or joining, or being added; `null` if none is known. */
export function idleSince({ added, joined, lastLogin }: Activity): number | null {
  const began = joined ?? added;
  return lastLogin !== null && (began === null || lastLogin > began) ? lastLogin : began;
}

/** The latest instant that makes a user idle now: a day has 24 hours, and exactly so many days ago is idle. */
export function idleCutoff(now: number, days: number): number {
  return now - days * DAY_MS;
}
