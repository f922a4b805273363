import { setTimeout as delay } from "node:timers/promises";
import type { BackendDeps } from "../deps.ts";
import { isSettled, type PurchaseWithReceipt, readPurchase } from "../store/purchases.ts";
import { advancePurchase } from "./processor.ts";

/** How often a request that waits looks again. */
const LOOK_MS = 250;
/** How long an answer may take although nobody asked to wait. */
const PATIENCE_MS = 5_000;

/**
 * Carries a purchase on and answers with where it is: at once when it is settled or waits for a person, else after
 * `waitMs`. Never fails because the work does: the sweep goes on with it.
 *
 * @param waitMs how long to wait for a purchase that needs time, in milliseconds
 */
export async function settleWithin(
  deps: BackendDeps,
  purchase: { organizationId: number; id: string },
  waitMs: number,
  isClosing: () => boolean,
): Promise<PurchaseWithReceipt> {
  const deadline = deps.now() + waitMs;
  for (;;) {
    const work = advancePurchase(deps, purchase.id).catch((error) => deps.log(`purchase ${purchase.id}: ${error}`));
    const patience = new AbortController();
    await Promise.race([work, delay(PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => {})]);
    patience.abort();
    const row = await readPurchase(deps.database, purchase.organizationId, purchase.id);
    const done = isSettled(row) || row.state === "requires_approval";
    if (done || isClosing() || deps.now() >= deadline) return row;
    await delay(Math.min(LOOK_MS, Math.max(0, deadline - deps.now())));
  }
}
