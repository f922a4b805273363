import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { importSeed } from "../../../src/backend/service/import.ts";
import { migrateService } from "../../../src/backend/service/migrate.ts";
import { operatorProvider } from "../../../src/backend/service/operatorProvider.ts";
import { startService } from "../../../src/backend/service/server.ts";
import { readServiceSettings } from "../../../src/backend/service/settings.ts";
import { withStore } from "../../../src/backend/service/store.ts";
import { organization, seed, tokenOf } from "../../support/seed.ts";
import { createDatabase, POSTGRES, serviceEnvironment, type TestDatabase } from "../../support/service.ts";
import { waitFor } from "../../support/wait.ts";
import { serviceMachine } from "../support/serviceMachine.ts";

describe.skipIf(!POSTGRES)("an instance whose payment provider does not answer", () => {
  let database: TestDatabase;

  const given = () => ({
    flags: { payments: "sandbox", "test-mode": true, port: "0", "drain-seconds": "20" },
    env: serviceEnvironment(database),
  });
  const settingsOf = () => readServiceSettings(given());

  beforeAll(async () => {
    database = await createDatabase();
    const { database: settings } = await settingsOf();
    await migrateService(settings, { isPlan: false, serviceRole: null }, () => {});
    const file = { path: "seed.json", text: JSON.stringify(seed(organization(1))) };
    const provider = await operatorProvider(given(), serviceMachine());
    const options = { isTestMode: true, provider, masterKeys: [], random: randomBytes };
    await withStore(
      settings,
      () => {},
      (store) => importSeed(store, file, options),
    );
  });
  afterAll(async () => {
    vi.restoreAllMocks();
    await database.drop();
  });

  test("ends within 25 seconds, and gives back its lease", async () => {
    const service = await startService(await settingsOf(), serviceMachine());
    const headers = { authorization: `Bearer ${tokenOf(1)}`, "content-type": "application/json" };
    const post = (path: string, body: unknown, more: Record<string, string> = {}) =>
      fetch(`${service.ready.url}/organizations/1${path}`, {
        method: "POST",
        headers: { ...headers, ...more },
        body: JSON.stringify(body),
      });
    const { id: quoteId } = (await (await post("/quotes", { licenses: 1 })).json()) as { id: string };
    const query = pg.Client.prototype.query as unknown as (...all: unknown[]) => Promise<unknown>;
    let isHanging = false;
    vi.spyOn(pg.Client.prototype, "query").mockImplementation(function (this: pg.Client, ...all: unknown[]) {
      if (!String((all[0] as { text?: string }).text).includes("sandbox_attempts")) return query.apply(this, all);
      isHanging = true;
      return new Promise(() => {});
    } as never);
    const buying = post("/purchases", { quoteId }, { "idempotency-key": "k" }).catch(() => null);
    await waitFor(() => isHanging, 10_000, "the attempt to pay");
    const start = performance.now();
    expect(await service.close()).toBe(false);
    expect(performance.now() - start).toBeLessThan(25_000);
    await buying;
    const [purchase] = await database.query("select state, lease_until::text, next_check_at::text from purchases");
    expect(purchase).toMatchObject({ state: "charging", lease_until: "0" });
    expect(Math.abs(Number(purchase?.next_check_at) - Date.now())).toBeLessThan(5_000);
  }, 60_000);
});
