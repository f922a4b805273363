import { paymentDeadline } from "../../billing/purchase.ts";
import type { Quote } from "../../contract/billing.ts";
import type { PurchaseRow } from "../store/schema.ts";

/** Without evidence for this long, a purchase needs an operator's eyes (purchase.md, States). */
export const REVIEW_AFTER_MS = 24 * 3_600_000;

/** How old an unsettled purchase is when the sweep looks at it, then daily (purchase.md, Paying). */
const AGES_MS = [5_000, 15_000, 60_000, 300_000, 3_600_000];
const DAY_MS = 24 * 3_600_000;

/**
 * The next look at a purchase. It follows from the purchase's age, so that looks in between (somebody waits for it)
 * delay nothing.
 *
 * @param since when it was accepted, or ended for one that is only watched, and `now`, by the billing clock, milliseconds
 */
export function nextCheck(since: number, now: number): number {
  const age = now - since;
  return since + (AGES_MS.find((due) => due > age) ?? (Math.floor(age / DAY_MS) + 1) * DAY_MS);
}

/**
 * Until when a purchase may be paid, by the billing clock, milliseconds (see `paymentDeadline`).
 *
 * @param timeZone the billing time zone of its organization
 */
export function deadlineOf(purchase: Pick<PurchaseRow, "accepted_at" | "price_json">, timeZone: string): number {
  const { term } = JSON.parse(purchase.price_json) as Quote;
  return paymentDeadline(purchase.accepted_at, term.renewalDate, timeZone);
}
