import { afterEach, describe, expect, test } from "vitest";
import { limitRequests } from "../../../src/backend/service/limits.ts";
import { createMetrics, type Metrics } from "../../../src/backend/service/metrics.ts";
import { buy, call, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";

const PLENTY = { rate: 1_000, burst: 1_000 };

let backend: TestBackend;
let metrics: Metrics;
const made = organization();
const token = tokenOf(made.id);
const home = `/organizations/${made.id}`;

async function startLimited(limit: { rate: number; burst: number }, load = { waiting: 0, loopDelay: 0 }) {
  backend = await startBackend();
  metrics = createMetrics();
  await backend.addOrganization(made);
  limitRequests(backend.app, limit, { now: () => backend.clocks.machine, load: () => load, connections: 10, metrics });
  return load;
}

afterEach(() => backend.close());

const statusOf = async (path: string, options: Parameters<typeof call>[3] = {}) =>
  (await call(backend, "GET", path, options)).status;

/** Sends a request several times, and returns the statuses. */
async function times(count: number, path: string, options: Parameters<typeof call>[3] = {}): Promise<number[]> {
  const statuses = [];
  for (let sent = 0; sent < count; sent += 1) statuses.push(await statusOf(path, options));
  return statuses;
}

describe("too many requests", () => {
  test("of a token are refused with the time to wait, until its bucket refills", async () => {
    await startLimited({ rate: 0.5, burst: 2 });
    expect(await times(2, "/me", { token })).toEqual([200, 200]);
    const refused = await call(backend, "GET", "/me", { token });
    expect(refused).toMatchObject({ status: 429, body: { code: "rate_limited" }, headers: { "retry-after": "2" } });
    backend.clocks.machine += 2_000;
    expect(await times(2, "/me", { token })).toEqual([200, 429]);
  });

  test("of one address stop nobody else", async () => {
    await startLimited({ rate: 1, burst: 1 });
    const [one, other] = ["203.0.113.1", "203.0.113.2"];
    expect(await times(2, "/openapi.json", { address: one, atRoot: true })).toEqual([200, 429]);
    expect(await statusOf("/openapi.json", { address: other, atRoot: true })).toBe(200);
  });

  test.each([
    ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9", 429],
    ["2001:db8:1:2::1", "2001:db8:1:3::1", 200],
    ["2001:db8::1", "2001:DB8:0:0:5::", 429],
    ["::1", "::2", 429],
    ["::ffff:203.0.113.1", "203.0.113.1", 429],
    ["::ffff:203.0.113.1", "::ffff:203.0.113.2", 200],
  ])("of %s count for %s as its network does: %i", async (one, other, status) => {
    await startLimited({ rate: 1, burst: 1 });
    expect(await statusOf("/openapi.json", { address: one, atRoot: true })).toBe(200);
    expect(await statusOf("/openapi.json", { address: other, atRoot: true })).toBe(status);
  });

  test("with made-up tokens count for the address, and do not lock out a token that works", async () => {
    await startLimited({ rate: 0.001, burst: 3 });
    expect(await statusOf("/me", { token })).toBe(200);
    const guesses = [];
    for (let guess = 0; guess < 5; guess += 1) guesses.push(await statusOf("/me", { token: `guess-${guess}` }));
    expect(guesses).toEqual([401, 401, 401, 429, 429]);
    expect(await statusOf("/me", { token })).toBe(200);
  });

  test("under /oauth are told to clients of RFC 6749 by the status", async () => {
    await startLimited({ rate: 1, burst: 1 });
    const poll = () =>
      call(backend, "POST", "/oauth/token", {
        body: "grant_type=refresh_token&refresh_token=x",
        headers: { "content-type": "application/x-www-form-urlencoded" },
      });
    expect(await poll()).toMatchObject({ status: 400, body: { error: "invalid_grant" } });
    expect(await poll()).toMatchObject({
      status: 429,
      body: { error: "temporarily_unavailable" },
      headers: { "retry-after": "1" },
    });
  });

  test("never stop health and readiness", async () => {
    await startLimited({ rate: 1, burst: 1 });
    expect(await times(5, "/healthz", { atRoot: true })).toEqual([200, 200, 200, 200, 200]);
    expect(await times(5, "/readyz", { atRoot: true })).toEqual([200, 200, 200, 200, 200]);
  });
});

describe("an overloaded instance", () => {
  test("refuses lists and waits first, purchases next, by-key reads and pages last, health and webhooks never", async () => {
    const load = await startLimited(PLENTY);
    backend.app.post("/webhooks/example", { config: { operation: "webhook:example" } }, async () => ({}));
    const purchase = (await buy(backend, made.id, 1, "bought-before")).body;
    const admitted = async () => ({
      list: (await statusOf(`${home}/purchases`, { token })) === 200,
      wait: (await statusOf(`${home}/purchases/${purchase.id}?wait=1`, { token })) === 200,
      read: (await statusOf(`${home}/purchases/${purchase.id}`, { token })) === 200,
      byKey: (await statusOf(`${home}/purchases/by-key/bought-before`, { token })) === 200,
      page: (await backend.app.inject({ url: "/device" })).statusCode === 200,
      health: (await statusOf("/healthz", { atRoot: true })) === 200,
      webhook: (await call(backend, "POST", "/webhooks/example", { atRoot: true, body: {} })).status === 200,
    });
    const all = { list: true, wait: true, read: true, byKey: true, page: true, health: true, webhook: true };
    expect(await admitted()).toEqual(all);
    load.waiting = 21;
    expect(await admitted()).toEqual({ ...all, list: false, wait: false });
    load.waiting = 41;
    expect(await admitted()).toEqual({ ...all, list: false, wait: false, read: false });
    load.waiting = 81;
    expect(await admitted()).toEqual({
      ...all,
      ...{ list: false, wait: false, read: false, byKey: false, page: false },
    });
    load.waiting = 0;
    expect(await admitted()).toEqual(all);
  });

  test("accepts nothing of a purchase that it refuses", async () => {
    const load = await startLimited(PLENTY);
    const quote = await call(backend, "POST", `${home}/quotes`, { token, body: { licenses: 1 } });
    load.loopDelay = 251;
    const refused = await call(backend, "POST", `${home}/purchases`, {
      token,
      body: { quoteId: quote.body.id },
      headers: { "idempotency-key": "refused" },
    });
    expect(refused).toMatchObject({ status: 503, body: { code: "unavailable" }, headers: { "retry-after": "1" } });
    expect(await metrics.registry.metrics()).toContain('shed_total{reason="event_loop"} 1');
    load.loopDelay = 0;
    const byKey = await call(backend, "GET", `${home}/purchases/by-key/refused`, { token });
    expect(byKey).toMatchObject({ status: 404, body: { code: "idempotency_key_unknown" } });
    expect(backend.captures()).toEqual([]);
    expect(backend.log).toEqual([]);
  });

  test("counts the requests without an answer", async () => {
    await startLimited({ rate: 10_000, burst: 10_000 });
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    backend.app.get("/held", async () => {
      await held;
      return {};
    });
    // Nothing is sent before `then`.
    const waiting = Array.from({ length: 1_000 }, () =>
      backend.app.inject({ url: "/held" }).then(({ statusCode }) => statusCode),
    );
    await expect.poll(() => statusOf("/openapi.json", { atRoot: true })).toBe(503);
    release();
    const answered = (await Promise.all(waiting)).filter((status) => status === 200);
    expect(answered).toHaveLength(1_000);
    expect(await statusOf("/openapi.json", { atRoot: true })).toBe(200);
  });
});
