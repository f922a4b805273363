import { setTimeout as delay } from "node:timers/promises";
import type { Kysely, Transaction } from "kysely";
import type { Database } from "./schema.ts";
import { isSerializationFailure } from "./storageFailure.ts";

/** How often a transaction or statement is tried that other transactions get in the way of. */
export const MAX_TRIES = 10;

const [MIN_PAUSE_MS, MAX_PAUSE_MS] = [5, 200];

/** Returns how long to wait before another try, milliseconds: random, so that rivals do not meet again. */
export function retryPause(): number {
  return MIN_PAUSE_MS + Math.random() * (MAX_PAUSE_MS - MIN_PAUSE_MS);
}

/**
 * Runs work in a transaction, and again if PostgreSQL refuses it because of another one (40001, 40P01). The only way to a
 * transaction: `work` is SQL alone, so that repeating it is harmless. A connection that is lost at COMMIT leaves it unknown
 * whether the work was done; the caller reads it back.
 */
export async function inTransaction<Result>(
  database: Kysely<Database>,
  work: (tx: Transaction<Database>) => Promise<Result>,
): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await database.transaction().execute(work);
    } catch (error) {
      if (!isSerializationFailure(error) || tries >= MAX_TRIES) throw error;
      await delay(retryPause());
    }
  }
}
