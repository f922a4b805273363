import { join } from "node:path";
import { execa } from "execa";
import { ROOT } from "../support/places.ts";
import { tokenOf } from "../support/seed.ts";

/** What to send. */
export interface Load {
  /** The base address of the API. */
  readonly url: string;
  readonly seconds: number;
  /**
   * Seconds before those, whose times are not kept: a new client is slow at first, and opens its connections. 0 if left out.
   */
  readonly warmUp?: number;
  readonly connections: number;
  /** The organizations to buy for, `first` and those after it. */
  readonly first: number;
  readonly organizations: number;
  /** Purchases to begin per second; without it, each connection begins one after the other. */
  readonly rate?: number;
}

/** What came of it. */
export interface LoadResult {
  /** Purchases that were answered as paid. */
  readonly sold: number;
  /** Purchases that were refused because another one came first. */
  readonly conflicts: number;
  /** Any other answers. */
  readonly failures: readonly string[];
  readonly quoteMs: readonly number[];
  readonly purchaseMs: readonly number[];
  readonly seconds: number;
  /** What sending took of the processor. */
  readonly cpuSeconds: number;
}

/** A backend answered otherwise than it should. */
class LoadError extends Error {
  override readonly name = "LoadError";
}

/** Prime to every number of organizations, so that the same index does not mean neighbors in the tables. */
const STRIDE = 7_919;

/**
 * Gets quotes and buys them, in a process of its own.
 *
 * @throws LoadError for an answer that is neither a sale nor a conflict
 */
export async function buyUnderLoad(load: Load): Promise<LoadResult> {
  const given = { rate: null, warmUp: 0, stride: STRIDE, tokenPrefix: tokenOf(0).slice(0, -1), ...load };
  const { stdout } = await execa(process.execPath, [join(ROOT, "test/bench/load.mjs"), JSON.stringify(given)]);
  const result = JSON.parse(stdout) as LoadResult;
  if (result.failures.length > 0) {
    throw new LoadError(`${result.failures.length} failures: ${[...new Set(result.failures)].join(", ")}`);
  }
  return result;
}
