import { setTimeout as delay } from "node:timers/promises";
import type { BackendDeps } from "../deps.ts";
import type { PaymentChoice, PaymentGateway } from "../payments/gateway.ts";
import { beginAttempt, type NextAttempt, notPayable } from "../store/paying.ts";
import { type PurchaseRecord, readPurchase } from "../store/purchases.ts";
import { deadlineOf } from "./schedule.ts";

/** Somebody who is at work on a purchase that waits (a look of the sweep, a cancel) is done in a moment. */
const TRIES = 20;
const PAUSE_MS = 100;

/**
 * Whether another attempt to pay a declined purchase may be made: within its time, nothing bought after it, and its
 * payment not canceled at the provider (details.md, 11). A renewal that failed stays payable (details.md, 30).
 *
 * @param now the billing clock, milliseconds
 */
export function isPayableAgain(purchase: PurchaseRecord, now: number): boolean {
  if (purchase.state !== "declined" || purchase.failure_code === "payment_canceled") return false;
  const isLast = purchase.kind === "renewal" || purchase.sequence === purchase.newest_sequence;
  return isLast && now < deadlineOf(purchase, purchase.time_zone);
}

/**
 * Whether a person is asked to pay a purchase on its page now, or may try again there.
 *
 * @param now the billing clock, milliseconds
 */
export function isAsked(purchase: PurchaseRecord, now: number): boolean {
  const waits = purchase.state === "requires_approval" && now < deadlineOf(purchase, purchase.time_zone);
  return waits || isPayableAgain(purchase, now);
}

/** What a person may choose to pay with, the organization's own payment method first. */
export function cardsFor(gateway: PaymentGateway, stored: string | null): readonly PaymentChoice[] {
  const others = gateway.choices().filter(({ id }) => id !== stored);
  return stored === null ? others : [{ id: stored, label: gateway.describe(stored).label }, ...others];
}

/**
 * Begins another attempt to pay a purchase, unless it has moved on since it was read; the work itself is left to whoever
 * carries the purchase on.
 *
 * @throws ProblemError `not_payable`, `spend_limit_exceeded`
 */
export async function payNow(deps: BackendDeps, purchase: PurchaseRecord, attempt: NextAttempt): Promise<void> {
  if (purchase.state === "declined" && !isPayableAgain(purchase, deps.clock.now())) throw notPayable(purchase.id);
  const deadline = deadlineOf(purchase, purchase.time_zone);
  for (let tries = 0; tries < TRIES; tries += 1) {
    const times = { now: deps.clock.now(), machine: deps.now(), deadline };
    if (await beginAttempt(deps.database, purchase, attempt, times)) return;
    const found = await readPurchase(deps.database, purchase.organization_id, purchase.id);
    if (found.state !== purchase.state || found.confirm_count !== purchase.confirm_count) return;
    await delay(PAUSE_MS);
  }
}
