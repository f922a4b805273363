import { type CiRun, ciKey } from "../journal/ciKey.ts";
import type { JournalEntry } from "../journal/journal.ts";
import { fileKey } from "./quoteFile.ts";
import type { BuyRequest } from "./request.ts";

/** The idempotency keys that one command may use, one after the other. */
export interface KeySeries {
  readonly source: JournalEntry["keySource"];
  current(): string;
  /** Moves on to the next key; false where there is no other, as with `--idempotency-key`. */
  advance(): boolean;
}

/** What keys are made of. */
export interface KeyIngredients {
  readonly ciRun: CiRun | null;
  readonly apiUrl: string;
  readonly organizationId: number;
  /** So many random bytes. */
  randomBytes(count: number): Buffer;
}

/**
 * The keys of a command that buys: the one given, else derived from a quote file, else from a known CI run, else random
 * (purchase.md, In the CLI). A target needs none that is derived: it says by itself what is still to be bought.
 */
export function keySeries(request: BuyRequest, ingredients: KeyIngredients): KeySeries {
  const { explicitKey, quoteFile, wanted, purchaseOrder, note } = request;
  const { ciRun, apiUrl, organizationId } = ingredients;
  if (explicitKey !== null) return { source: "explicit", current: () => explicitKey, advance: () => false };
  if (quoteFile !== null) return series("file", (ordinal) => fileKey(quoteFile, ordinal));
  if (ciRun !== null && "licenses" in wanted) {
    const meaning = { apiUrl, organizationId, licenses: wanted.licenses, purchaseOrder, note };
    return series("ci", (ordinal) => ciKey(ciRun, meaning, ordinal));
  }
  return series("random", () => `cli_${ingredients.randomBytes(16).toString("hex")}`);
}

function series(source: KeySeries["source"], make: (ordinal: number) => string): KeySeries {
  let ordinal = 1;
  let key = make(ordinal);
  return {
    source,
    current: () => key,
    advance: () => {
      ordinal += 1;
      key = make(ordinal);
      return true;
    },
  };
}
