import type { FastifyInstance } from "fastify";
import type { RateLimit } from "./buckets.ts";
import { type LimitDeps, limitRequests } from "./limits.ts";
import { type Log, logRequests } from "./log.ts";
import { type Metrics, observeRequests } from "./metrics.ts";

/** The dependencies of the hooks of the service. */
export interface HookDeps extends LimitDeps {
  readonly metrics: Metrics;
  readonly log: Log;
  /** A clock that never goes back, milliseconds. */
  monotonic(): number;
  readonly limit: RateLimit;
}

/** Returns the `addHooks` of the service: requests are logged and counted, also those that the limits refuse. */
export function serviceHooks(deps: HookDeps): (app: FastifyInstance) => void {
  return (app) => {
    logRequests(app, deps.log, deps.monotonic);
    observeRequests(app, deps.metrics, deps.monotonic);
    limitRequests(app, deps.limit, deps);
  };
}
