import { afterEach, describe, expect, test } from "vitest";
import { saveReconciled } from "../../../src/backend/service/findings.ts";
import { createMetrics, type Metrics } from "../../../src/backend/service/metrics.ts";
import { storeGauges } from "../../../src/backend/service/storeGauges.ts";
import { buy, organization, startBackend, type TestBackend } from "../support/backend.ts";
import { DIALECTS } from "../support/stores.ts";

const DAY_MS = 24 * 3_600_000;

let backend: TestBackend;
let metrics: Metrics;

afterEach(() => backend.close());

async function linesOf(...names: string[]): Promise<string[]> {
  const text = await metrics.registry.metrics();
  return text.split("\n").filter((line) => names.some((name) => line.startsWith(name)));
}

describe.each(DIALECTS)("the gauges of the store on %s", (dialect) => {
  test("say what the last reconciliation left", async () => {
    backend = await startBackend(dialect);
    metrics = createMetrics();
    const read = storeGauges(metrics, backend.deps);
    await read();
    expect(await linesOf("reconcile_difference")).toEqual([]);
    const { database } = backend.deps;
    await saveReconciled(database, { until: 2, differences: { GBP: 700, JPY: 0 } });
    await saveReconciled(database, { until: 1, differences: {} });
    await read();
    expect(await linesOf("reconcile_difference")).toEqual([
      'reconcile_difference{currency="GBP"} 700',
      'reconcile_difference{currency="JPY"} 0',
    ]);
    await saveReconciled(database, { until: 3, differences: {} });
    await read();
    expect(await linesOf("reconcile_difference")).toEqual([]);
  });

  test("say what is open, due and not sent", async () => {
    backend = await startBackend(dialect);
    metrics = createMetrics();
    const read = storeGauges(metrics, backend.deps);
    await read();
    expect(await linesOf("needs_review", "outbox_unsent", "oldest_due_seconds")).toEqual([
      "needs_review 0",
      'oldest_due_seconds{kind="purchase"} 0',
      'oldest_due_seconds{kind="retry"} 0',
      'oldest_due_seconds{kind="renewal"} 0',
      'oldest_due_seconds{kind="notification"} 0',
      'oldest_due_seconds{kind="webhook"} 0',
      "outbox_unsent 0",
    ]);
    const waiting = organization({ paymentMethod: "card_requires_approval" });
    const paid = organization({ subscription: { anchorDate: "2026-11-01", interval: "month" } });
    for (const each of [waiting, paid]) await backend.addOrganization(each);
    await buy(backend, waiting.id, 1, "key-1");
    await buy(backend, paid.id, 1, "key-2");
    const webhook = { id: "evt_1", type: "refund.created", object_id: "pi_1", check_at: backend.clocks.machine };
    await backend.deps.database
      .insertInto("webhook_events")
      .values({ ...webhook, received_at: backend.clocks.machine - 90_000 })
      .execute();
    backend.clocks.billing += 10 * DAY_MS;
    await backend.deps.database
      .updateTable("purchases")
      .set({ next_check_at: backend.clocks.billing - 30_000 })
      .where("organization_id", "=", waiting.id)
      .execute();
    await read();
    const open = await linesOf("purchases_open");
    expect(open).toContain('purchases_open{state="requires_approval"} 1');
    expect(open).toContain('purchases_open{state="charging"} 0');
    expect(await linesOf("outbox_unsent")).toEqual(["outbox_unsent 1"]);
    const due = await linesOf("oldest_due_seconds");
    expect(due).toContain('oldest_due_seconds{kind="purchase"} 30');
    expect(due).toContain('oldest_due_seconds{kind="webhook"} 90');
    expect(due).toContain(`oldest_due_seconds{kind="notification"} ${(10 * DAY_MS) / 1_000}`);
    // The term ended on 1 December at midnight in London.
    const renewal = (backend.clocks.billing - Date.parse("2026-12-01T00:00:00Z")) / 1_000;
    expect(due).toContain(`oldest_due_seconds{kind="renewal"} ${renewal}`);
    await backend.deps.database
      .updateTable("purchases")
      .set({ state: "needs_review" })
      .where("organization_id", "=", waiting.id)
      .execute();
    await read();
    expect(await linesOf("needs_review")).toEqual(["needs_review 1"]);
  });
});

describe("a store that does not answer", () => {
  test("leaves its gauges out, and is asked again at the next scrape", async () => {
    backend = await startBackend("sqlite");
    metrics = createMetrics();
    const broken = backend.deps.database.withSchema("missing");
    let database = backend.deps.database;
    const read = storeGauges(metrics, {
      ...backend.deps,
      get database() {
        return database;
      },
    });
    const names = ["purchases_open", "needs_review", "oldest_due_seconds", "outbox_unsent"];
    await read();
    expect(await linesOf("needs_review")).toEqual(["needs_review 0"]);
    database = broken;
    await read();
    expect(await linesOf(...names)).toEqual([]);
    database = backend.deps.database;
    await read();
    expect(await linesOf("needs_review")).toEqual(["needs_review 0"]);
  });

  test("is asked once, and waited for a second each time", async () => {
    backend = await startBackend("sqlite");
    metrics = createMetrics();
    let asked = 0;
    const read = storeGauges(metrics, {
      ...backend.deps,
      get clock() {
        asked += 1;
        return backend.deps.clock;
      },
      database: neverAnswering(backend.deps.database),
    });
    const began = performance.now();
    await Promise.all([read(), read()]);
    await read();
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(asked).toBe(1);
    expect(await linesOf("needs_review")).toEqual([]);
  });
});

/** A database whose queries never end. */
function neverAnswering(database: TestBackend["deps"]["database"]): TestBackend["deps"]["database"] {
  return database.withPlugin({
    transformQuery: ({ node }) => node,
    transformResult: () => new Promise(() => {}),
  });
}
