import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { buildApp } from "../../../src/backend/app.ts";
import type { BackendDeps } from "../../../src/backend/deps.ts";
import { passwords } from "../../../src/backend/identity/secrets.ts";
import { createMetrics, observePurchase, observeRequests } from "../../../src/backend/service/metrics.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import { buy, call, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";

let backend: TestBackend;

afterEach(() => backend.close());

let seconds = 0;

/** A clock that is 2 seconds further at each look, in milliseconds. */
function ticking(): number {
  seconds += 2;
  return seconds * 1_000;
}

describe("requests", () => {
  test("are counted by operation and status, never by URL", async () => {
    backend = await startBackend();
    const metrics = createMetrics();
    const made = organization();
    await backend.addOrganization(made);
    observeRequests(backend.app, metrics, ticking);
    await buy(backend, made.id, 1, "key-1");
    await call(backend, "GET", `/organizations/${made.id}/purchases/pur_1`, { token: tokenOf(made.id) });
    await backend.app.inject({ url: "/device" });
    await backend.app.inject({ url: "/pay/pur_1/signature" });
    await backend.app.inject({ url: "/pay/pur_1/signature/receipt" });
    await backend.app.inject({ url: "/secret-path" });
    const counts = async () => {
      const { values } = await metrics.requests.get();
      return values.map(({ labels, value }) => `${labels.operation} ${labels.status} ${value}`);
    };
    await expect
      .poll(counts)
      .toEqual([
        "createQuote 201 1",
        "createPurchase 201 1",
        "getPurchase 404 1",
        "page:device 200 1",
        "page:pay 404 1",
        "page:pay-receipt 404 1",
        "none 404 1",
      ]);
    const text = await metrics.registry.metrics();
    expect(text).toContain('http_request_seconds_count{operation="createPurchase"} 1');
    expect(text).toContain('http_request_seconds_sum{operation="createPurchase"} 2');
    expect(text).not.toMatch(/pur_1|secret-path/);
  });

  test("whose caller went away are counted as aborted", async () => {
    backend = await startBackend();
    const metrics = createMetrics();
    observeRequests(backend.app, metrics, ticking);
    let isReached = false;
    backend.app.get("/slow", { config: { operation: "slow" } }, async (request) => {
      isReached = true;
      await once(request.raw.socket, "close");
      return {};
    });
    const url = new URL(await backend.app.listen({ host: "127.0.0.1", port: 0 }));
    const socket = connect(Number(url.port), url.hostname);
    socket.write(`GET /slow HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
    await expect.poll(() => isReached).toBe(true);
    socket.destroy();
    await expect
      .poll(() => metrics.registry.metrics())
      .toContain('http_requests_total{operation="slow",status="aborted"} 1');
  });
});

describe("purchases", () => {
  test("are counted with how long they took, renewals by themselves", async () => {
    backend = await startBackend();
    const metrics = createMetrics();
    const deps: BackendDeps = { ...backend.deps, observe: (settled) => observePurchase(metrics, settled) };
    const signIn = { passwords: passwords(randomBytes), passwordHashOf: async () => null };
    const app = buildApp(deps, { signIn });
    const [good, bad] = [organization(), organization({ paymentMethod: "card_declined" })];
    for (const each of [good, bad]) await backend.addOrganization(each);
    await buy({ app }, good.id, 1, "key-1");
    await buy({ app }, bad.id, 1, "key-2");
    expect(await metrics.registry.metrics()).toContain('purchases_total{outcome="fulfilled"} 1');
    expect(await metrics.registry.metrics()).toContain('purchases_total{outcome="declined"} 1');
    backend.clocks.billing += 366 * 24 * 3_600_000;
    await sweep(deps);
    const text = await metrics.registry.metrics();
    expect(text).toContain('renewals_total{outcome="fulfilled"} 1');
    expect(text).toContain('renewals_total{outcome="declined"} 1');
    expect(text).toContain("purchase_settle_seconds_count 2");
  });
});
