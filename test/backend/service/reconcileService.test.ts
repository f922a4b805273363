import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { checkService } from "../../../src/backend/service/check.ts";
import { holdBuying, releaseBuying } from "../../../src/backend/service/holding.ts";
import { importSeed } from "../../../src/backend/service/import.ts";
import { migrateService } from "../../../src/backend/service/migrate.ts";
import { operatorProvider } from "../../../src/backend/service/operatorProvider.ts";
import { reconcileService } from "../../../src/backend/service/reconcileService.ts";
import { listReview } from "../../../src/backend/service/review.ts";
import { type RunningService, type ServiceDeps, startService } from "../../../src/backend/service/server.ts";
import { readServiceSettings } from "../../../src/backend/service/settings.ts";
import { withStore } from "../../../src/backend/service/store.ts";
import { organization, seed, tokenOf } from "../../support/seed.ts";
import { createDatabase, POSTGRES, serviceEnvironment, type TestDatabase } from "../../support/service.ts";
import { waitFor } from "../../support/wait.ts";
import { SimulatedCrash } from "../support/backend.ts";
import { serviceMachine } from "../support/serviceMachine.ts";

const HOUR_MS = 3_600_000;

describe.skipIf(!POSTGRES)("a restored database", () => {
  const machine = serviceMachine();
  let original: TestDatabase;
  let restored: TestDatabase;
  let interrupted: string;
  /** Bought after the copy. */
  let lost: string[];
  const running: RunningService[] = [];

  const settingsOf = (database: TestDatabase, roles = "http") =>
    readServiceSettings({
      flags: { payments: "sandbox", "test-mode": true, port: "0", "drain-seconds": "0", roles },
      env: serviceEnvironment(database),
    });

  async function start(database: TestDatabase, deps: Partial<ServiceDeps> = {}): Promise<RunningService> {
    const service = await startService(await settingsOf(database), { ...machine, ...deps });
    running.push(service);
    return service;
  }

  const on = async <Result>(database: TestDatabase, work: Parameters<typeof withStore<Result>>[2]) =>
    withStore((await settingsOf(database)).database, () => {}, work);

  async function send({ ready }: RunningService, path: string, body?: unknown, key?: string) {
    const answer = await fetch(`${ready.url}/organizations/1${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        authorization: `Bearer ${tokenOf(1)}`,
        "content-type": "application/json",
        ...(key && { "idempotency-key": key }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: answer.status, headers: answer.headers, body: await answer.json() };
  }

  async function buy(service: RunningService, key: string) {
    const quote = await send(service, "/quotes", { licenses: 1 });
    expect(quote.status).toBe(201);
    return send(service, "/purchases", { quoteId: quote.body.id }, key);
  }

  async function bought(service: RunningService, keys: readonly string[]): Promise<string[]> {
    const ids = [];
    for (const key of keys) {
      const { status, body } = await buy(service, key);
      expect(status).toBe(201);
      ids.push(body.id);
    }
    return ids;
  }

  const stop = async () => {
    await Promise.all(running.splice(0).map((service) => service.close()));
  };

  const reconcileAll = async (from = Date.now() - HOUR_MS) =>
    reconcileService(await settingsOf(restored), from, machine);

  beforeAll(async () => {
    original = await createDatabase();
    const { database: settings } = await settingsOf(original);
    await migrateService(settings, { isPlan: false, serviceRole: null }, () => {});
    const file = { path: "seed.json", text: JSON.stringify(seed(organization(1))) };
    const given = { flags: { payments: "sandbox", "test-mode": true }, env: {} };
    const provider = await operatorProvider(given, machine);
    await on(original, (store) =>
      importSeed(store, file, { isTestMode: true, provider, masterKeys: [], random: randomBytes }),
    );
    let isArmed = false;
    const service = await start(original, {
      reach(point) {
        if (isArmed && point === "B6") throw new SimulatedCrash(point);
      },
    });
    await bought(service, ["1", "2", "3", "4", "5"]);
    isArmed = true;
    interrupted = (await buy(service, "6")).body.id;
    await stop();
    restored = await createDatabase(original);
    const later = await start(original);
    lost = await bought(later, ["7", "8", "9"]);
    await stop();
    // The provider's record is not restored with ours, and the charge that was interrupted went through.
    for (const table of ["sandbox_payments", "sandbox_attempts"]) {
      await restored.query(`truncate ${table}`);
      for (const row of await original.query(`select to_jsonb(t) as row from ${table} t`)) {
        const insert = `insert into ${table} select * from jsonb_populate_record(null::${table}, $1)`;
        await restored.query(insert, [row.row]);
      }
    }
    await restored.query(
      `update sandbox_payments set status = 'succeeded', captured_at = created_at where purchase_id = $1`,
      [interrupted],
    );
    await restored.query("update purchases set lease_until = 0");
    // A restore from a backup continues on a new timeline; a copy within a server does not.
    await restored.query("update settings set value = '0' where name = 'timeline'");
  }, 120_000);
  afterEach(stop);
  afterAll(async () => {
    await original.drop();
    await restored.drop();
  });

  test("sells nothing until it is released, and finds exactly what was lost", async () => {
    const service = await start(restored);
    const held = await buy(service, "10");
    expect(held).toMatchObject({ status: 503, body: { code: "unavailable" } });
    expect(held.headers.get("retry-after")).toBe("300");
    expect((await send(service, `/purchases/${interrupted}`)).body).toMatchObject({ status: "processing" });

    const found = await reconcileAll();
    expect(found).toMatchObject({ payments: 9, advanced: 1, hold: "kept" });
    expect(found.findings.map(({ purchaseId }) => purchaseId).sort()).toEqual(lost.toSorted());
    expect(new Set(found.findings.map(({ finding }) => finding))).toEqual(new Set(["unknownPurchase"]));
    expect((await send(service, `/purchases/${interrupted}`)).body).toMatchObject({ status: "succeeded" });
    const review = await on(restored, listReview);
    expect(review.map(({ id, organizationId, kind }) => [id, organizationId, kind]).sort()).toEqual(
      lost.toSorted().map((id) => [id, 1, "purchase"]),
    );
    expect((await buy(service, "10")).status).toBe(503);

    expect(await on(restored, releaseBuying)).toBe(true);
    await waitFor(async () => (await buy(service, "11")).status === 201, 5_000, "the release");
    const receipts = await restored.query("select number::int from receipts order by number");
    expect(receipts.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const captured = await restored.query(
      "select purchase_id, count(*)::int from sandbox_payments where status = 'succeeded' group by 1 having count(*) > 1",
    );
    expect(captured).toEqual([]);
  });

  test("is released by a reconciliation without differences that goes back far enough", async () => {
    await on(restored, (store) => holdBuying(store, "operator"));
    const { database: settings } = await settingsOf(restored);
    expect(await reconcileAll()).toMatchObject({ hold: "kept", findings: { length: 3 } });
    await restored.query(
      "update sandbox_payments set refunded = amount, refunded_at = $2 where purchase_id = any($1)",
      [lost, Date.now()],
    );
    expect(await reconcileAll(Date.now() + HOUR_MS)).toMatchObject({ payments: 0, findings: [], hold: "kept" });
    const [one, other] = await Promise.all([reconcileAll(), reconcileAll()]);
    expect([one.findings, other.findings]).toEqual([[], []]);
    expect([one.hold, other.hold]).toContain("released");
    expect(await reconcileAll()).toMatchObject({ hold: "none" });
    expect(await on(restored, listReview)).toEqual([]);
    expect(await checkService(settings, () => {})).toEqual([expect.stringMatching(/ledger/)]);
  });

  test("differs by what an edited record of the provider says", async () => {
    const edit = (by: number) =>
      restored.query("update sandbox_payments set amount = amount + $1 where purchase_id = $2", [by, interrupted]);
    await edit(250);
    const found = await reconcileAll();
    expect(found.findings).toEqual([expect.objectContaining({ finding: "amountDiffers", purchaseId: interrupted })]);
    expect(found.differences).toEqual(new Map([["GBP", 250]]));
    await edit(-250);
    expect((await reconcileAll()).findings).toEqual([]);
  });

  test("is not noticed by itself if the role may not read the timeline, which a check says", async () => {
    const copy = await createDatabase(original);
    try {
      const role = `test_role_${copy.url.slice(-6)}`;
      await copy.query(`create role ${role} login`);
      const { database: settings } = await settingsOf(copy);
      await migrateService(settings, { isPlan: false, serviceRole: role }, () => {});
      await copy.query("revoke execute on function pg_control_checkpoint() from public");
      const url = new URL(copy.url);
      url.username = role;
      const warnings = await checkService({ ...settings, url: url.href }, () => {});
      expect(warnings).toEqual([expect.stringMatching(/pg_control_checkpoint\(\).*serve admin hold/)]);
      const { ready } = await start({ ...copy, url: url.href });
      expect((await fetch(`${new URL(ready.url).origin}/readyz`)).status).toBe(200);
      await stop();
      await copy.query(`drop owned by ${role}`);
      await copy.query(`drop role ${role}`);
    } finally {
      await copy.drop();
    }
  });
});
