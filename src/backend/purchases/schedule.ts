import { paymentDeadline } from "../../billing/purchase.ts";
import type { Price } from "../../billing/quote.ts";
import type { PurchaseRow } from "../database/schema.ts";

/** How long the outcome of a payment can stay unknown before an operator has to review it (src/backend/README.md, States). */
export const REVIEW_AFTER_MS = 24 * 3_600_000;

/** The ages at which the sweep checks an unsettled purchase; after the last one, daily. */
const AGES_MS = [5_000, 15_000, 60_000, 300_000, 3_600_000];

const DAY_MS = 24 * 3_600_000;

/**
 * When to check a purchase next. It depends on the purchase's age only, so that checks in between delay nothing.
 *
 * @param since when it was accepted, or ended if it is only watched, and `now`; billing clock, milliseconds
 */
export function nextCheck(since: number, now: number): number {
  const age = now - since;
  return since + (AGES_MS.find((due) => due > age) ?? (Math.floor(age / DAY_MS) + 1) * DAY_MS);
}

/** When the last attempt to pay a purchase began, billing clock, milliseconds. */
export function lastAttemptAt({
  attempted_at,
  accepted_at,
}: Pick<PurchaseRow, "attempted_at" | "accepted_at">): number {
  return attempted_at ?? accepted_at;
}

/** The price of a purchase, frozen at acceptance. */
export function priceOf({ price_json }: Pick<PurchaseRow, "price_json">): Price {
  return JSON.parse(price_json) as Price;
}

/**
 * Until when a purchase can be paid, billing clock, milliseconds (see `paymentDeadline`). A renewal stays payable.
 */
export function deadlineOf(purchase: Pick<PurchaseRow, "kind" | "accepted_at" | "price_json" | "time_zone">): number {
  if (purchase.kind === "renewal") return Number.POSITIVE_INFINITY;
  return paymentDeadline(purchase.accepted_at, priceOf(purchase).term.renewalDate, purchase.time_zone);
}

/**
 * The deadline to show for a purchase, billing clock, milliseconds; it never moves. For a renewal it is the end of the grace
 * period, although the renewal stays payable after it: the subscription is suspended from then on.
 */
export function payUntil(
  purchase: Pick<PurchaseRow, "kind" | "accepted_at" | "price_json" | "time_zone" | "grace_until">,
): number {
  return purchase.grace_until ?? deadlineOf(purchase);
}
