import { paymentDeadline } from "../../billing/purchase.ts";
import type { Price } from "../../billing/quote.ts";
import type { PurchaseRow } from "../database/schema.ts";

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

/** When the last attempt to pay a purchase began, by the billing clock, milliseconds. */
export function attemptBegan({ attempted_at, accepted_at }: Pick<PurchaseRow, "attempted_at" | "accepted_at">): number {
  return attempted_at ?? accepted_at;
}

/** What a purchase costs, as it was frozen when it was accepted. */
export function priceOf({ price_json }: Pick<PurchaseRow, "price_json">): Price {
  return JSON.parse(price_json) as Price;
}

/**
 * Until when a purchase may be paid, by the billing clock, milliseconds (see `paymentDeadline`). A renewal stays payable.
 *
 * @param timeZone the billing time zone of its organization
 */
export function deadlineOf(
  purchase: Pick<PurchaseRow, "kind" | "accepted_at" | "price_json">,
  timeZone: string,
): number {
  if (purchase.kind === "renewal") return Number.POSITIVE_INFINITY;
  return paymentDeadline(purchase.accepted_at, priceOf(purchase).term.renewalDate, timeZone);
}

/**
 * Until when people are asked to pay a purchase, by the billing clock, milliseconds; the same at every look. Of a renewal
 * it is the end of the grace period, although it stays payable after that: the subscription is suspended from then on.
 *
 * @param timeZone the billing time zone of its organization
 */
export function payUntil(
  purchase: Pick<PurchaseRow, "kind" | "accepted_at" | "price_json" | "grace_until">,
  timeZone: string,
): number {
  return purchase.grace_until ?? deadlineOf(purchase, timeZone);
}
