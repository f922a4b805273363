import { afterEach, describe, expect, test } from "vitest";
import { createMetrics } from "../../../src/backend/service/metrics.ts";
import {
  type GaugeSources,
  type MetricsServer,
  startMetricsServer,
} from "../../../src/backend/service/metricsServer.ts";
import { storeGauges } from "../../../src/backend/service/storeGauges.ts";
import { readSections } from "../../support/page.ts";
import { startBackend } from "../support/backend.ts";

/** The metrics that operators may count on, with their types. */
const METRICS = {
  http_requests_total: "counter",
  http_request_seconds: "histogram",
  purchases_total: "counter",
  purchase_settle_seconds: "histogram",
  purchases_open: "gauge",
  needs_review: "gauge",
  oldest_due_seconds: "gauge",
  outbox_unsent: "gauge",
  renewals_total: "counter",
  pool_connections: "gauge",
  pool_wait_seconds: "histogram",
  transaction_retries_total: "counter",
  event_loop_delay_seconds: "gauge",
  clock_offset_seconds: "gauge",
  shed_total: "counter",
};

const LOOPBACK = { host: "127.0.0.1", port: 0 };

/** A line of Prometheus' text format: a comment, or a name, labels and a number. */
const LINE = /^(# (HELP|TYPE) \w+ .+|[a-z_]+(\{\w+="[^"\\\n]*"(,\w+="[^"\\\n]*")*\})? (-?[\d.]+(e[+-]?\d+)?|\+Inf))$/;

let server: MetricsServer | null = null;

afterEach(async () => {
  await server?.close();
  server = null;
});

function sources(readStore: () => Promise<void> = async () => {}): GaugeSources {
  return { pool: () => ({ total: 5, idle: 3, waiting: 2 }), loopDelay: () => 12, clockOffset: () => -1_500, readStore };
}

async function get(path = "", init: RequestInit = {}) {
  const answer = await fetch(`${server?.url}${path}`, init);
  return { status: answer.status, type: answer.headers.get("content-type"), text: await answer.text() };
}

describe("the port of the metrics", () => {
  test("shows every metric in a text that parses", async () => {
    server = await startMetricsServer(createMetrics(), sources(), LOOPBACK);
    const { status, type, text } = await get();
    expect([status, type]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
    const lines = text.trimEnd().split("\n");
    expect(lines.filter((line) => line !== "" && !LINE.test(line))).toEqual([]);
    for (const [name, type] of Object.entries(METRICS)) expect(lines).toContain(`# TYPE ${name} ${type}`);
    expect(lines).toEqual(
      expect.arrayContaining([
        'pool_connections{state="idle"} 3',
        'pool_connections{state="used"} 2',
        'pool_connections{state="waiting"} 2',
        "event_loop_delay_seconds 0.012",
        "clock_offset_seconds -1.5",
      ]),
    );
  });

  test("is described metric by metric", async () => {
    const described = (await readSections("src/backend/README.md")).get("Metrics") ?? "";
    expect(Object.keys(METRICS).filter((name) => !new RegExp(`\`${name}[{\`]`).test(described))).toEqual([]);
  });

  test("answers without what is read from the store if that is broken", async () => {
    const backend = await startBackend();
    const metrics = createMetrics();
    await backend.close();
    server = await startMetricsServer(metrics, sources(storeGauges(metrics, backend.deps)), LOOPBACK);
    const { status, text } = await get();
    expect(status).toBe(200);
    expect(text).toContain("clock_offset_seconds -1.5");
    expect(text).not.toMatch(/^(needs_review|purchases_open|oldest_due_seconds|outbox_unsent)/m);
  });

  test("has nothing else", async () => {
    server = await startMetricsServer(createMetrics(), sources(), LOOPBACK);
    expect(await get("/more")).toMatchObject({ status: 404 });
    expect(await get("", { method: "POST" })).toMatchObject({ status: 405 });
    expect(await get("", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
  });

  test("in use: says which flag to pass", async () => {
    server = await startMetricsServer(createMetrics(), sources(), LOOPBACK);
    const port = Number(new URL(server.url).port);
    await expect(startMetricsServer(createMetrics(), sources(), { host: "127.0.0.1", port })).rejects.toMatchObject({
      code: "port_in_use",
      hint: expect.stringContaining("--metrics-port"),
    });
  });
});
