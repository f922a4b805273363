import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { buildApp } from "../../../src/backend/app.ts";
import { passwords } from "../../../src/backend/identity/secrets.ts";
import { serviceHooks } from "../../../src/backend/service/hooks.ts";
import type { LogEntry } from "../../../src/backend/service/log.ts";
import { createMetrics } from "../../../src/backend/service/metrics.ts";
import { call, startBackend } from "../support/backend.ts";

test("requests are logged and counted, also those that are refused before they are looked at", async () => {
  const backend = await startBackend();
  const metrics = createMetrics();
  const entries: LogEntry[] = [];
  const load = { waiting: 0, loopDelay: 0 };
  const app = buildApp(backend.deps, {
    signIn: { passwords: passwords(randomBytes), passwordHashOf: async () => null },
    addHooks: serviceHooks({
      monotonic: () => 0,
      ...{ metrics, log: (entry) => entries.push(entry), limit: { rate: 1, burst: 2 } },
      ...{ now: backend.deps.now, load: () => load, connections: 1 },
    }),
  });
  try {
    const get = async (headers = {}) => call({ app }, "GET", "/openapi.json", { atRoot: true, headers });
    const answers = [await get(), await get({ host: "not a host" }), await get()];
    load.waiting = 5;
    answers.push(await get());
    await expect.poll(() => entries.length).toBe(4);
    expect(answers.map(({ status }) => status)).toEqual([200, 400, 429, 503]);
    expect(entries.map(({ status, code }) => [status, code])).toEqual([
      [200, undefined],
      [400, "invalid_request"],
      [429, "rate_limited"],
      [503, "unavailable"],
    ]);
    const text = await metrics.registry.metrics();
    for (const status of [200, 400, 429, 503]) {
      expect(text).toContain(`http_requests_total{operation="openapi",status="${status}"} 1`);
    }
    expect(text).toContain('shed_total{reason="pool"} 1');
    for (const { headers } of answers) {
      expect(headers).toMatchObject({ "x-request-id": expect.stringMatching(/^req_/), "cache-control": "no-store" });
    }
  } finally {
    await app.close();
    await backend.close();
  }
});
