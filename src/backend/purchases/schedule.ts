/** Without evidence for this long, a purchase needs an operator's eyes (purchase.md, States). */
export const REVIEW_AFTER_MS = 24 * 3_600_000;

/** How old an unsettled purchase is when the sweep looks at it, then daily (purchase.md, Paying). */
const AGES_MS = [5_000, 15_000, 60_000, 300_000, 3_600_000];
const DAY_MS = 24 * 3_600_000;

/**
 * The next look at a purchase. It follows from the purchase's age, so that looks in between (somebody waits for it)
 * delay nothing.
 *
 * @param acceptedAt and `now` by the billing clock, milliseconds
 */
export function nextCheck(acceptedAt: number, now: number): number {
  const age = now - acceptedAt;
  return acceptedAt + (AGES_MS.find((due) => due > age) ?? (Math.floor(age / DAY_MS) + 1) * DAY_MS);
}
