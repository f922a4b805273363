import type { PurchaseRow } from "../database/schema.ts";
import { GatewayUnavailable } from "../payments/gateway.ts";
import { movePurchase } from "./leases.ts";
import type { WorkerRun } from "./worker.ts";

/** How long a failure that the provider repeats may still turn out to have done something, milliseconds. */
const KEY_RETRY_MS = 60_000;

/** The columns of a request whose key was not used yet. */
export const UNSPOILED = { key_retries: 0, key_retry_at: null } as const;

/** The idempotency key of a request for a purchase. Keys that the provider has spoiled are not used again. */
export function keyOf({ id, key_retries }: PurchaseRow, request: string): string {
  return key_retries === 0 ? `${id}:${request}` : `${id}:${request}:r${key_retries}`;
}

/**
 * The idempotency key of a request that an attempt makes before it has a payment. A later attempt freezes other parameters, and
 * the key of an earlier one gives what that made, which may be gone.
 */
export function attemptKeyOf(purchase: PurchaseRow, request: string): string {
  const { confirm_count: attempt } = purchase;
  return keyOf(purchase, attempt === 0 ? request : `${request}:${attempt}`);
}

/** The columns of a purchase whose next request needs another key, after a read has shown that this one did nothing. */
export function spoiledKey(run: WorkerRun, { key_retries }: PurchaseRow) {
  return { key_retries: key_retries + 1, key_retry_at: run.clock.now() + KEY_RETRY_MS };
}

/** Whether the key of the last request is spoiled, and it is too early for another. */
export function isKeySpoiled(run: WorkerRun, { key_retry_at }: PurchaseRow): boolean {
  return key_retry_at !== null && run.clock.now() < key_retry_at;
}

/**
 * Sends a request that may be repeated under another key, because it moves no money, or not twice. Returns nothing if its key
 * is spoiled.
 */
export async function unlessSpoiled<Result>(
  run: WorkerRun,
  purchase: PurchaseRow,
  send: () => Promise<Result>,
): Promise<Result | null> {
  try {
    return await send();
  } catch (error) {
    if (!(error instanceof GatewayUnavailable && error.isReplayed)) throw error;
    await movePurchase(run.database, purchase, purchase.state, spoiledKey(run, purchase));
    return null;
  }
}
