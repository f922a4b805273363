/** Without evidence for this long, a purchase needs an operator's eyes (purchase.md, States). */
export const REVIEW_AFTER_MS = 24 * 3_600_000;

/** When the sweep looks at an unsettled purchase: 5 s, 15 s, 1 min, 5 min, 1 h, then daily (purchase.md, Paying). */
const DELAYS_MS = [5_000, 15_000, 60_000, 300_000, 3_600_000];

/**
 * The next look at a purchase.
 *
 * @param checks how many looks it had
 * @param now the billing clock, milliseconds
 */
export function nextCheck(checks: number, now: number): number {
  return now + (DELAYS_MS[checks] ?? 24 * 3_600_000);
}
