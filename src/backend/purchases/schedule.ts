import { approvalDeadline, paymentDeadline } from "../../billing/purchase.ts";
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

/** When a page of the provider has surely stopped asking for a card, milliseconds after it was opened. */
export const CARD_ENTRY_MS = 62 * 60_000;

/**
 * When to check a purchase that begins to wait for a person: as planned, or earlier if a page asks for a card, or if the check
 * was moved meanwhile, because the provider may have told about something that its worker has not seen.
 *
 * @param before the purchase as its worker knows it, and `after` as it is stored
 * @param times `now` and the planned check, billing clock, milliseconds
 */
export function waitingCheck(
  before: Pick<PurchaseRow, "next_check_at">,
  after: Pick<PurchaseRow, "next_check_at" | "card_entry">,
  { now, checkAt }: { now: number; checkAt: number },
): number {
  const latest = after.card_entry === null ? checkAt : Math.min(checkAt, now + CARD_ENTRY_MS);
  const { next_check_at: stored } = after;
  return stored === null || stored === before.next_check_at ? latest : Math.min(latest, stored);
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

/** What the deadline of a purchase depends on. */
type Dated = Pick<
  PurchaseRow,
  "kind" | "state" | "accepted_at" | "attempted_at" | "approved_at" | "price_json" | "time_zone"
>;

/**
 * Until when a purchase can be paid, or approved while it waits for another administrator; billing clock, milliseconds (see
 * `paymentDeadline` and `approvalDeadline`). A renewal stays payable.
 */
export function deadlineOf(purchase: Dated): number {
  if (purchase.kind === "renewal") return Number.POSITIVE_INFINITY;
  const { renewalDate } = priceOf(purchase).term;
  if (purchase.state === "awaiting_approval") {
    return approvalDeadline(lastAttemptAt(purchase), renewalDate, purchase.time_zone);
  }
  return paymentDeadline(purchase.approved_at ?? purchase.accepted_at, renewalDate, purchase.time_zone);
}

/**
 * The deadline to show for a purchase, billing clock, milliseconds; it moves with an approval only. For a renewal it is the
 * end of the grace period, although the renewal stays payable after it: the subscription is suspended from then on.
 */
export function payUntil(purchase: Dated & Pick<PurchaseRow, "grace_until">): number {
  return purchase.grace_until ?? deadlineOf(purchase);
}
