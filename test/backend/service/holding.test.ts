import { afterEach, describe, expect, test } from "vitest";
import { postgresStore } from "../../../src/backend/database/postgres.ts";
import { readSetting, writeSetting } from "../../../src/backend/seeding/store.ts";
import {
  type Holding,
  holdBuying,
  readHold,
  readTimeline,
  releaseBuying,
  startHolding,
} from "../../../src/backend/service/holding.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import { createDatabase, POSTGRES } from "../../support/service.ts";
import { waitFor } from "../../support/wait.ts";
import { buy, call, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";
import { act, addressOf, buyWaiting, look, read, send } from "../support/paying.ts";
import { DIALECTS, openTestStore, type TestStore } from "../support/stores.ts";

describe.each(DIALECTS)("buying on hold on %s", (dialect) => {
  let backend: TestBackend;

  afterEach(() => backend.close());

  test("is refused before anything is accepted; reading, quoting and canceling go on", async () => {
    backend = await startBackend(dialect);
    const { id } = organization({ id: 7001 });
    await backend.addOrganization(organization({ id, paymentMethod: "card_requires_approval" }));
    const waiting = await buyWaiting(backend, id);
    backend.hold(true);
    const refused = await buy(backend, id, 1, "held");
    expect(refused).toMatchObject({ status: 503, body: { code: "unavailable" } });
    expect(refused.headers["retry-after"]).toBe("300");
    expect(refused.body.detail).not.toMatch(/charged/);
    const byKey = await call(backend, "GET", `/organizations/${id}/purchases/by-key/held`, { token: tokenOf(id) });
    expect(byKey.status).toBe(404);
    expect(await send(backend, id, waiting.id, "payment")).toMatchObject({ status: 503 });
    const address = addressOf(waiting);
    expect((await look(backend, address)).status).toBe(200);
    expect(await act(backend, address, { action: "pay", card: "card_ok" })).toMatchObject({
      status: 503,
      html: expect.stringContaining("on hold"),
    });
    expect(await read(backend, id, waiting.id)).toMatchObject({ status: "requires_approval" });
    expect((await act(backend, address, { action: "cancel" })).status).toBe(200);
    expect(await read(backend, id, waiting.id)).toMatchObject({ failure: { code: "payment_canceled" } });
    backend.hold(false);
    expect((await buy(backend, id, 1, "held")).status).toBe(202);
  });

  test("makes no renewal, which a restore may have lost", async () => {
    backend = await startBackend(dialect);
    const { id } = organization({ id: 7002, subscription: { anchorDate: "2026-11-01", interval: "month" } });
    const subscription = { anchorDate: "2026-11-01", interval: "month" } as const;
    await backend.addOrganization(organization({ id, subscription }));
    backend.clocks.billing = Date.parse("2026-12-02T00:00:00Z");
    backend.hold(true);
    await sweep(backend.deps);
    expect(backend.captures()).toEqual([]);
    backend.hold(false);
    await sweep(backend.deps);
    expect(backend.captures()).toHaveLength(1);
  });
});

describe.skipIf(!POSTGRES)("the hold of all instances", () => {
  let store: TestStore;
  const holdings: Holding[] = [];
  const lines: string[] = [];
  let now = 1_000_000;

  const start = async () => {
    const holding = await startHolding(store.database, { now: () => now, log: (line) => lines.push(line) });
    holdings.push(holding);
    return holding;
  };

  afterEach(async () => {
    await Promise.all(holdings.splice(0).map((holding) => holding.stop()));
    lines.length = 0;
    await store.close();
  });

  test("is noticed by every instance within 5 seconds, and so is its end", async () => {
    store = await openTestStore("postgres");
    const [one, other] = [await start(), await start()];
    expect([one.isHeld(), other.isHeld(), lines]).toEqual([false, false, []]);
    const areHeld = (expected: boolean) => () => [one, other].every((each) => each.isHeld() === expected);
    expect(await holdBuying(store.database, "operator")).toMatchObject({ reason: "operator", since: now });
    await waitFor(areHeld(true), 5_000, "the hold");
    expect(await releaseBuying(store.database)).toBe(true);
    await waitFor(areHeld(false), 5_000, "the release");
    expect(lines).toEqual([
      "buying is on hold (operator)",
      "buying is on hold (operator)",
      "buying is no longer on hold",
      "buying is no longer on hold",
    ]);
    expect(await releaseBuying(store.database)).toBe(false);
  });

  test("begins with another timeline, and remembers when something was sold last", async () => {
    store = await openTestStore("postgres");
    const first = await start();
    expect(first.isHeld()).toBe(false);
    await first.stop();
    await writeSetting(store.database, "timeline", "99");
    now += 3_600_000;
    const [one, other] = await Promise.all([start(), start()]);
    expect([one.isHeld(), other.isHeld()]).toEqual([true, true]);
    expect(await readHold(store.database)).toMatchObject({ reason: "restore", since: now - 3_600_000 });
    expect(lines.join("\n")).toMatch(/the database was restored: timeline 99 is now \d+/);
    expect(await readSetting(store.database, "timeline")).toBe(await readTimeline(store.database));
    await releaseBuying(store.database);
    expect((await start()).isHeld()).toBe(false);
  });

  test("is left to the operator where the role may not read the timeline", async () => {
    store = await openTestStore("postgres");
    const database = await createDatabase();
    const role = `test_role_${database.url.slice(-6)}`;
    await database.query(`create role ${role} login`);
    await database.query("revoke execute on function pg_control_checkpoint() from public");
    const url = new URL(database.url);
    url.username = role;
    const restricted = postgresStore(url.href);
    try {
      expect(await readTimeline(restricted)).toBeNull();
      const owner = postgresStore(database.url);
      expect(await readTimeline(owner)).toMatch(/^\d+$/);
      await owner.destroy();
    } finally {
      await restricted.destroy();
      await database.query(`drop role ${role}`);
      await database.drop();
    }
  });
});
