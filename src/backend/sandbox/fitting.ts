import type { Purchase } from "../../contract/billing.ts";

/** Clients refuse an answer of more than a million bytes. */
const MAX_BYTES = 900_000;

/**
 * Takes as many of the newest renewals as fit into one answer, and reads no more pages than that takes.
 *
 * @param pages newest first
 * @returns oldest first
 */
export async function newestThatFit(pages: AsyncIterable<readonly Purchase[]>): Promise<Purchase[]> {
  const renewals: Purchase[] = [];
  let bytes = 0;
  for await (const page of pages) {
    for (const renewal of page) {
      bytes += Buffer.byteLength(JSON.stringify(renewal)) + 1;
      if (bytes > MAX_BYTES) return renewals.reverse();
      renewals.push(renewal);
    }
  }
  return renewals.reverse();
}
