import type { Purchase } from "../../contract/billing.ts";
import type { JournalEntry } from "../journal/journal.ts";

/** What a `buy` was told to do. */
export interface BuyRequest {
  readonly licenses: number;
  readonly purchaseOrder: string | null;
  readonly note: string | null;
  /** Of `--idempotency-key`. */
  readonly explicitKey: string | null;
  /** An amount in major units of the subscription's currency, tax included. */
  readonly maxTotal: string | null;
  readonly ifPurchased: number | null;
  readonly dryRun: boolean;
}

/** Whether a command means the purchase that an earlier one began (details.md, 1). */
export function meansTheSame(request: BuyRequest, entry: JournalEntry): boolean {
  return (
    isSameOrder(request, entry) &&
    request.explicitKey === (entry.keySource === "explicit" ? entry.idempotencyKey : null)
  );
}

/** Whether licenses, PO number and note are the same (details.md, 3). */
export function isSameOrder(
  request: Pick<BuyRequest, "licenses" | "purchaseOrder" | "note">,
  other: Pick<Purchase, "licenses" | "purchaseOrder" | "note">,
): boolean {
  return (
    request.licenses === other.licenses && request.purchaseOrder === other.purchaseOrder && request.note === other.note
  );
}
