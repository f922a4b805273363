import type { Purchase } from "../../contract/billing.ts";

/** Clients refuse an answer of more than a million bytes. */
const MOST_BYTES = 900_000;

/**
 * As many of the newest renewals as fit into one answer, and how many there were where that is not all of them.
 *
 * @param renewals oldest first
 */
export function newestThatFit(renewals: readonly Purchase[]): { renewals: readonly Purchase[]; renewalCount?: number } {
  let bytes = 0;
  const tooMany = renewals.findLastIndex((renewal) => {
    bytes += Buffer.byteLength(JSON.stringify(renewal)) + 1;
    return bytes > MOST_BYTES;
  });
  if (tooMany === -1) return { renewals };
  return { renewals: renewals.slice(tooMany + 1), renewalCount: renewals.length };
}
