import { setTimeout as delay } from "node:timers/promises";

/** How fast work may begin. */
interface PaceOptions {
  /** How often per second in the long run. */
  readonly rate: number;
  /** How often at once after a pause; 1 by default. */
  readonly burst?: number;
  /** Milliseconds that never go back. */
  monotonic(): number;
}

/** Paces work. Returns a function that resolves when the next may begin, in the order of its calls. */
export function pace({ rate, burst = 1, monotonic }: PaceOptions): () => Promise<void> {
  const interval = 1_000 / rate;
  const credit = (burst - 1) * interval;
  let next = Number.NEGATIVE_INFINITY;
  return async () => {
    const now = monotonic();
    const at = Math.max(now - credit, next);
    next = at + interval;
    if (at > now) await delay(at - now);
  };
}
