import { expect, test } from "vitest";
import type { LogEntry } from "../../../src/backend/service/log.ts";
import { createMetrics } from "../../../src/backend/service/metrics.ts";
import { observeStripe } from "../../../src/backend/service/stripeCalls.ts";

function observed(calls: readonly (readonly [call: string, status: number | null, at: number])[]) {
  const metrics = createMetrics();
  const entries: LogEntry[] = [];
  let now = 0;
  const observe = observeStripe(
    metrics,
    (entry) => entries.push(entry),
    () => now,
  );
  for (const [call, status, at] of calls) {
    now = at;
    observe({ call, status, seconds: 0.2, requestId: status === null ? null : "req_1" });
  }
  return { metrics, entries };
}

test("each request is counted by call and status, measured, and logged with Stripe's ID", async () => {
  const { metrics, entries } = observed([
    ["POST payment_intents/confirm", 200, 0],
    ["POST payment_intents/confirm", 402, 0],
    ["GET payment_intents", null, 0],
  ]);
  const text = await metrics.registry.metrics();
  expect(text).toContain('stripe_requests_total{call="POST payment_intents/confirm",result="402"} 1');
  expect(text).toContain('stripe_requests_total{call="GET payment_intents",result="none"} 1');
  expect(text).toContain("stripe_request_seconds_count 3");
  expect(entries).toMatchObject([
    { level: "debug", msg: "stripe POST payment_intents/confirm", stripeRequestId: "req_1", status: 200, ms: 200 },
    { level: "debug", status: 402 },
    { level: "warn", stripeRequestId: undefined },
  ]);
});

test("a key that is refused is an alarm, once a minute", () => {
  const { entries } = observed([
    ["GET account", 403, 0],
    ["GET payment_intents", 401, 1_000],
    ["GET payment_intents", 403, 60_000],
    ["POST refunds", 403, 62_000],
  ]);
  expect(entries.filter(({ level }) => level === "error").map(({ msg }) => msg)).toEqual([
    "Stripe rejects the key: run serve check",
    "the key lacks a permission: run serve check",
  ]);
  expect(entries[0]?.level).toBe("debug");
});
