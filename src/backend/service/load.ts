import { monitorEventLoopDelay } from "node:perf_hooks";

/** How busy an instance is. */
export interface Load {
  /** Callers that wait for a connection to the database. */
  readonly waiting: number;
  /** The mean delay of the event loop, milliseconds. */
  readonly loopDelay: number;
  /** Requests without an answer, the current one included. */
  readonly openRequests: number;
}

/** What is over its limit. */
export type ShedReason = "pool" | "event_loop" | "open_requests";

/**
 * How early requests of a class are refused, as a multiple of the limits: lists and what waits at half of them, reads of a
 * purchase by its key and pages at twice them, because those are what a buyer needs to learn what became of a purchase.
 */
const SHED_AT = { first: 0.5, normal: 1, last: 2, never: Number.POSITIVE_INFINITY } as const;

/** When requests of a class are refused. */
export type ShedClass = keyof typeof SHED_AT;

const MAX_WAITING_PER_CONNECTION = 4;
const MAX_LOOP_DELAY_MS = 250;
const MAX_OPEN_REQUESTS = 1_000;

/**
 * Decides whether to refuse a request because of the load.
 *
 * @param connections the size of the pool
 * @returns why, or `null` to admit it
 */
export function shedReason(
  { waiting, loopDelay, openRequests }: Load,
  connections: number,
  shedClass: ShedClass,
): ShedReason | null {
  const at = SHED_AT[shedClass];
  if (waiting > MAX_WAITING_PER_CONNECTION * connections * at) return "pool";
  if (loopDelay > MAX_LOOP_DELAY_MS * at) return "event_loop";
  return openRequests > MAX_OPEN_REQUESTS * at ? "open_requests" : null;
}

/** How often the event loop is looked at, and over how long the mean is taken, milliseconds. */
const RESOLUTION_MS = 10;
const WINDOW_MS = 1_000;

/** The delay of the event loop, measured. */
export interface LoopDelay {
  /** The mean of the last second, milliseconds. A single long task hardly counts, unlike a loop that is always late. */
  read(): number;
  stop(): void;
}

/** Starts to measure the delay of the event loop. */
export function measureLoopDelay(): LoopDelay {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  let mean = 0;
  const timer = setInterval(() => {
    // Without a sample the mean is not a number.
    mean = Math.max(0, (histogram.mean || 0) / 1e6 - RESOLUTION_MS);
    histogram.reset();
  }, WINDOW_MS);
  timer.unref();
  return {
    read: () => mean,
    stop() {
      clearInterval(timer);
      histogram.disable();
    },
  };
}
