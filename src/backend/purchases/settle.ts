import { setTimeout as delay } from "node:timers/promises";
import type { BackendDeps } from "../deps.ts";
import { isSettled, type PurchaseRecord, readPurchase } from "../store/purchases.ts";
import { carryOn } from "./processor.ts";

/** How often a request that waits looks again. */
const LOOK_MS = 250;
/** How long an answer may take although nobody asked to wait. */
const PATIENCE_MS = 5_000;

/**
 * Carries a purchase on and answers with where it is: at once when it is settled or has come to wait for a person, else
 * after `waitMs`; one that waited for a person before is held until that changes. Never fails because the work does: the
 * sweep goes on with it.
 *
 * @param waitMs how long to wait for a purchase that needs time, in milliseconds
 */
export async function settleWithin(
  deps: BackendDeps,
  purchase: Pick<PurchaseRecord, "organization_id" | "id" | "state">,
  waitMs: number,
  isClosing: () => boolean,
): Promise<PurchaseRecord> {
  const { organization_id: organizationId, id, state: before } = purchase;
  const deadline = deps.now() + waitMs;
  for (;;) {
    const work = carryOn(deps, id);
    const patience = new AbortController();
    await Promise.race([work, delay(PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => {})]);
    patience.abort();
    const row = await readPurchase(deps.database, organizationId, id);
    const asksNow = row.state === "requires_approval" && before !== "requires_approval";
    if (isSettled(row) || asksNow || isClosing() || deps.now() >= deadline) return row;
    await delay(Math.min(LOOK_MS, Math.max(0, deadline - deps.now())));
  }
}
