import type { Purchase } from "../../contract/billing.ts";
import type { JournalEntry } from "../journal/journal.ts";
import { isFileKey, type QuoteFile } from "./quoteFile.ts";
import { isSameTarget, targetOf, type Wanted } from "./wanted.ts";

/** What stops a purchase that goes beyond what the command allows. */
export interface Guards {
  /** An amount in major units of the subscription's currency, tax included. */
  readonly maxTotal: string | null;
  readonly maxLicenses: number | null;
  readonly ifPurchased: number | null;
}

/** What a command that buys was told to do. */
export interface BuyRequest extends Guards {
  readonly wanted: Wanted;
  readonly purchaseOrder: string | null;
  readonly note: string | null;
  /** Of `--idempotency-key`. */
  readonly explicitKey: string | null;
  /** Of `--from`: the offer that was reviewed and is bought from. */
  readonly quoteFile: QuoteFile | null;
  readonly dryRun: boolean;
}

/** Whether a command means the purchase that an earlier one began (details.md, 1). */
export function meansTheSame(request: BuyRequest, entry: JournalEntry): boolean {
  return (
    isSameOrder(request, entry) && isSameTarget(targetOf(request.wanted), entry.target) && hasSameKey(request, entry)
  );
}

function hasSameKey({ explicitKey, quoteFile }: BuyRequest, { keySource, idempotencyKey }: JournalEntry): boolean {
  if (explicitKey !== null) return keySource === "explicit" && idempotencyKey === explicitKey;
  if (quoteFile !== null) return keySource === "file" && isFileKey(quoteFile, idempotencyKey);
  return keySource === "random" || keySource === "ci";
}

/** Whether licenses, PO number and note are the same (details.md, 3); a target is met by any number of licenses. */
export function isSameOrder(
  { wanted, purchaseOrder, note }: Pick<BuyRequest, "wanted" | "purchaseOrder" | "note">,
  other: Pick<Purchase, "licenses" | "purchaseOrder" | "note">,
): boolean {
  const isCount = !("licenses" in wanted) || wanted.licenses === other.licenses;
  return isCount && purchaseOrder === other.purchaseOrder && note === other.note;
}
