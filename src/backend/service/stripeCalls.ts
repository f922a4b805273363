import type { StripeCall } from "../payments/stripe/client.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";

/** The call that a restricted key may not be allowed to make; `--seller` stands in for it. */
const OPTIONAL_CALL = "GET account";

/** The shortest time between two errors about the key in the log, milliseconds. */
const ALARM_EVERY_MS = 60_000;

/**
 * Returns a function that counts, times and logs each request to Stripe. A key that is rejected or lacks a permission
 * is logged as an error: nothing can be sold with it.
 *
 * @param monotonic a clock that never goes back, milliseconds
 */
export function observeStripe(
  metrics: Pick<Metrics, "stripeRequests" | "stripeSeconds">,
  log: Log,
  monotonic: () => number,
): (call: StripeCall) => void {
  let alarmAt = Number.NEGATIVE_INFINITY;
  return ({ call, status, seconds, requestId }) => {
    metrics.stripeRequests.inc({ call, result: status === null ? "none" : String(status) });
    metrics.stripeSeconds.observe(seconds);
    const ids = {
      stripeRequestId: requestId ?? undefined,
      status: status ?? undefined,
      ms: Math.round(seconds * 1_000),
    };
    const isRefused = status === 401 || (status === 403 && call !== OPTIONAL_CALL);
    log({ level: isRefused || isFailure(status) ? "warn" : "debug", msg: `stripe ${call}`, ...ids });
    if (!isRefused || monotonic() < alarmAt) return;
    alarmAt = monotonic() + ALARM_EVERY_MS;
    const reason = status === 401 ? "Stripe rejects the key" : "the key lacks a permission";
    log({ level: "error", msg: `${reason}: run serve check`, ...ids });
  };
}

function isFailure(status: number | null): boolean {
  return status === null || status === 429 || status >= 500;
}
