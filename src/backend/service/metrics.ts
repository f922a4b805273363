import type { FastifyInstance } from "fastify";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { PostgresOptions } from "../database/postgres.ts";
import type { SettledPurchase } from "../deps.ts";
import { operationOf } from "../http/register.ts";

/**
 * Upper bounds in seconds: requests wait up to 20 s, purchases may wait for a person, and callers for the pool. Webhooks are
 * repeated for three days.
 */
const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25];
const SETTLE_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3_600, 86_400];
const LAG_BUCKETS = [0.5, 1, 2.5, 5, 15, 60, 300, 3_600, 86_400];
const WAIT_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2];

/** The metrics of one instance of the service (src/backend/README.md, Metrics). */
export type Metrics = ReturnType<typeof createMetrics>;

/** Creates the metrics, on a registry of their own. */
export function createMetrics() {
  const registry = new Registry();
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name, help, labelNames, registers: [registry] });
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[] = []) =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  const seconds = <Label extends string>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: readonly Label[] = [],
  ) => new Histogram({ name, help, buckets, labelNames, registers: [registry] });
  return {
    registry,
    requests: counter("http_requests_total", "Requests, by operation and HTTP status", ["operation", "status"]),
    requestSeconds: seconds("http_request_seconds", "Request duration", REQUEST_BUCKETS, ["operation"]),
    purchases: counter("purchases_total", "Settled purchases", ["outcome"]),
    settleSeconds: seconds(
      "purchase_settle_seconds",
      "Time from the last payment attempt until the purchase settled, billing clock",
      SETTLE_BUCKETS,
    ),
    purchasesOpen: gauge("purchases_open", "Purchases that are not settled", ["state"]),
    needsReview: gauge("needs_review", "Purchases that need review by an operator"),
    oldestDue: gauge("oldest_due_seconds", "How overdue the oldest due work is", ["kind"]),
    reconcileDifference: gauge(
      "reconcile_difference",
      "Difference between the provider's payments and the ledger, in minor units",
      ["currency"],
    ),
    outboxUnsent: gauge("outbox_unsent", "Notifications not sent yet"),
    renewals: counter("renewals_total", "Settled renewals", ["outcome"]),
    webhooks: counter("webhooks_total", "Webhooks received, by type of event and what became of them", [
      "type",
      "result",
    ]),
    webhookLag: seconds("webhook_lag_seconds", "Time from an event until its webhook was stored", LAG_BUCKETS),
    stripeRequests: counter("stripe_requests_total", "Requests to Stripe, by call and HTTP status", ["call", "result"]),
    stripeSeconds: seconds("stripe_request_seconds", "Duration of requests to Stripe", REQUEST_BUCKETS),
    poolConnections: gauge("pool_connections", "Database connections, and callers waiting for one", ["state"]),
    poolWait: seconds("pool_wait_seconds", "Time a caller waited for a connection", WAIT_BUCKETS),
    transactionRetries: counter("transaction_retries_total", "Statements and transactions retried, by SQLSTATE", [
      "code",
    ]),
    loopDelay: gauge("event_loop_delay_seconds", "Mean delay of the event loop in the last second"),
    clockOffset: gauge("clock_offset_seconds", "The database's clock minus this machine's"),
    shed: counter("shed_total", "Requests refused because of load, by the limit exceeded", ["reason"]),
  };
}

/** Counts a purchase that settled: the `observe` of the backend's dependencies. */
export function observePurchase(metrics: Metrics, { kind, outcome, seconds }: SettledPurchase): void {
  if (kind === "renewal") {
    metrics.renewals.inc({ outcome });
    return;
  }
  metrics.purchases.inc({ outcome });
  metrics.settleSeconds.observe(seconds);
}

/** Returns the options of the pool that measure it. */
export function poolObservers(metrics: Metrics): Required<Pick<PostgresOptions, "onAcquire" | "onRetry">> {
  return {
    onAcquire: () => metrics.poolWait.startTimer(),
    onRetry: (code) => metrics.transactionRetries.inc({ code }),
  };
}

/**
 * Counts every request by its operation, never by its URL, once it was answered. A request that
 * the client aborted has the status `aborted`.
 *
 * @param monotonic a clock that never goes back, milliseconds
 */
export function observeRequests(app: FastifyInstance, metrics: Metrics, monotonic: () => number): void {
  app.addHook("onRequest", async (request, reply) => {
    const operation = operationOf(request);
    const began = monotonic();
    reply.raw.once("close", () => {
      const status = reply.raw.writableEnded ? String(reply.statusCode) : "aborted";
      metrics.requests.inc({ operation, status });
      metrics.requestSeconds.observe({ operation }, (monotonic() - began) / 1_000);
    });
  });
}
