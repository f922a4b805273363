import { setTimeout as sleep } from "node:timers/promises";

/** A condition was not met in time. */
export class WaitError extends Error {
  override readonly name = "WaitError";
}

/**
 * Waits until the condition returns something other than `undefined` or `false`, and returns it.
 *
 * @param limit milliseconds
 * @param what the description in the error; a function is called at the end, to describe what was found instead
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
