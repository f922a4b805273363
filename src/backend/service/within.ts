import { setTimeout as delay } from "node:timers/promises";

/**
 * Waits for a result, and not for longer than a limit.
 *
 * @returns `null` if the work failed or took longer; it is not canceled
 */
export async function within<Result>(limitMs: number, work: () => Promise<Result>): Promise<Result | null> {
  const timeout = new AbortController();
  const tooLate = delay(limitMs, null, { signal: timeout.signal }).catch(() => null);
  try {
    return await Promise.race([work(), tooLate]);
  } catch {
    return null;
  } finally {
    timeout.abort();
  }
}
