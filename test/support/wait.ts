import { setTimeout as sleep } from "node:timers/promises";

/** What a test waited for did not come in time. */
export class WaitError extends Error {
  override readonly name = "WaitError";
}

/**
 * Waits until the condition gives something other than `undefined` or `false`, and gives it back.
 *
 * @param limit milliseconds
 * @param what named in the error; a function is asked at the end, for what was there instead
 * @throws WaitError
 */
export async function waitFor<Value>(
  condition: () => Value | undefined | false | Promise<Value | undefined | false>,
  limit = 10_000,
  what: string | (() => string) = "a condition",
): Promise<Value> {
  const end = performance.now() + limit;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) {
      throw new WaitError(`Waited ${limit} ms for ${typeof what === "string" ? what : what()}`);
    }
    await sleep(20);
  }
}
