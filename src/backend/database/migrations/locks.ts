import { setTimeout as delay } from "node:timers/promises";
import { isSerializationFailure } from "../storageFailure.ts";
import { retryPause } from "../transaction.ts";

const MAX_TRIES = 60;

/** The pauses are longer than those of rival transactions: requests that waited behind the lock go first. */
const PAUSE_FACTOR = 10;

/** A lock was not available in time (`lock_not_available`), or another process created the same table or its type first. */
const LOCKED = /^(55P03|42P07|42710|23505)$/;

/**
 * Runs work of a migration, and again while the tables that it changes are in use. The connection's `lock_timeout` ends
 * each try, so that nobody waits behind it for longer.
 *
 * @throws the database's error of the last try
 */
export async function repeatWhileLocked<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      const isLocked = LOCKED.test(String((error as { code?: unknown }).code)) || isSerializationFailure(error);
      if (!isLocked || tries >= MAX_TRIES) throw error;
      await delay(retryPause() * PAUSE_FACTOR);
    }
  }
}
