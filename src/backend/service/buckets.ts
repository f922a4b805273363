/** How much a caller may send. */
export interface RateLimit {
  /** Requests per second in the long run. */
  readonly rate: number;
  /** Requests at once after a pause. */
  readonly burst: number;
}

/** How many buckets are kept at most, whatever callers do. */
const MAX_BUCKETS = 100_000;

/** How long the bucket of an idle caller is kept at least, milliseconds. */
const IDLE_MS = 60_000;

/** What the sum of rates that are no whole numbers is off by at most, milliseconds. */
const ROUNDING = 1e-6;

interface Bucket {
  /** After how long it is full again, milliseconds. */
  debt: number;
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
 * Creates token buckets. Those of callers who have been idle for a minute, and whose bucket is full again, are dropped;
 * beyond `MAX_BUCKETS` so are those of whoever has been idle longest.
 *
 * @param now the machine's clock, milliseconds
 */
export function createBuckets({ rate, burst }: RateLimit, now: () => number): Buckets {
  /** By last use, oldest first. */
  const buckets = new Map<string, Bucket>();
  // Milliseconds, so that the usual rates are counted in whole numbers.
  const cost = 1_000 / rate;
  const mostDebt = (burst - 1) * cost + ROUNDING;
  const idleMs = Math.max(IDLE_MS, burst * cost);

  function dropIdle(at: number): void {
    for (const [caller, bucket] of buckets) {
      if (buckets.size <= MAX_BUCKETS && at - bucket.at < idleMs) return;
      buckets.delete(caller);
    }
  }

  function debtOf(caller: string, at: number): number {
    const bucket = buckets.get(caller);
    // A clock that was set back gives nothing, and takes nothing.
    return bucket ? Math.max(0, bucket.debt - Math.max(0, at - bucket.at)) : 0;
  }

  const secondsUntil = (debt: number) => (debt <= mostDebt ? 0 : (debt - mostDebt + ROUNDING) / 1_000);

  return {
    take(caller) {
      const at = now();
      const debt = debtOf(caller, at);
      buckets.delete(caller);
      buckets.set(caller, { debt: debt <= mostDebt ? debt + cost : debt, at });
      dropIdle(at);
      return secondsUntil(debt);
    },
    wait: (caller) => secondsUntil(debtOf(caller, now())),
    has: (caller) => buckets.has(caller),
    drop: (caller) => void buckets.delete(caller),
    get size() {
      return buckets.size;
    },
  };
}
