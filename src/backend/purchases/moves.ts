import type { PurchaseRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { BackendDeps } from "../deps.ts";
import { BACKEND, recordEvent } from "../events/events.ts";
import { movePurchase } from "./leases.ts";

/**
 * Moves a leased purchase to a state in which it is not settled yet, and records that in the audit log unless it was in that
 * state before.
 *
 * @throws StaleLease; BillingError `invalid_state` for a transition that does not exist
 */
export async function moveOn(
  { database, clock }: Pick<BackendDeps, "database" | "clock">,
  lease: PurchaseRow,
  to: Parameters<typeof movePurchase>[2],
  changes: Parameters<typeof movePurchase>[3] = {},
): Promise<PurchaseRow> {
  return inTransaction(database, async (tx) => {
    const moved = await movePurchase(tx, lease, to, changes);
    if (moved.state === lease.state) return moved;
    const { organization_id: organizationId, id: purchaseId, state } = moved;
    await recordEvent(tx, { organizationId, at: clock.now(), type: `purchase.${state}`, actor: BACKEND, purchaseId });
    return moved;
  });
}
