/** How much a caller may send. */
export interface RateLimit {
  /** Requests per second in the long run. */
  readonly rate: number;
  /** Requests at once after a pause. */
  readonly burst: number;
}

/** How many buckets are kept at most, whatever callers do. */
const MAX_BUCKETS = 100_000;

interface Bucket {
  tokens: number;
  /** Machine clock, milliseconds. */
  at: number;
}

/** Token buckets by caller, in memory. */
export interface Buckets {
  /** Takes a token. Returns 0, or in how many seconds there is one. */
  take(caller: string): number;
  /** Returns 0 if there is a token, or in how many seconds there is one, and takes nothing. */
  wait(caller: string): number;
  has(caller: string): boolean;
  drop(caller: string): void;
  readonly size: number;
}

/**
 * Creates token buckets. The buckets of callers who have been idle until theirs was full again are dropped, because a new
 * one is as full; beyond `MAX_BUCKETS` so are those of whoever has been idle longest.
 *
 * @param now the machine's clock, milliseconds
 */
export function createBuckets({ rate, burst }: RateLimit, now: () => number): Buckets {
  /** By last use, oldest first. */
  const buckets = new Map<string, Bucket>();
  const refillMs = (burst / rate) * 1_000;

  function dropIdle(at: number): void {
    for (const [caller, bucket] of buckets) {
      if (buckets.size <= MAX_BUCKETS && at - bucket.at < refillMs) return;
      buckets.delete(caller);
    }
  }

  function tokensOf(caller: string, at: number): number {
    const bucket = buckets.get(caller);
    if (!bucket) return burst;
    // A clock that was set back gives nothing, and takes nothing.
    return Math.min(burst, bucket.tokens + (Math.max(0, at - bucket.at) * rate) / 1_000);
  }

  const secondsUntilOne = (tokens: number) => Math.max(0, 1 - tokens) / rate;

  return {
    take(caller) {
      const at = now();
      const tokens = tokensOf(caller, at);
      buckets.delete(caller);
      buckets.set(caller, { tokens: tokens < 1 ? tokens : tokens - 1, at });
      dropIdle(at);
      return secondsUntilOne(tokens);
    },
    wait: (caller) => secondsUntilOne(tokensOf(caller, now())),
    has: (caller) => buckets.has(caller),
    drop: (caller) => void buckets.delete(caller),
    get size() {
      return buckets.size;
    },
  };
}
