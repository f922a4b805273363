import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inTransaction } from "../../../src/backend/database/transaction.ts";
import type { BackendDeps } from "../../../src/backend/deps.ts";
import { chainEvents, createChaining } from "../../../src/backend/events/chain.ts";
import { recordEvents } from "../../../src/backend/events/events.ts";
import { secretBox } from "../../../src/backend/identity/secretBox.ts";
import { startSweeping } from "../../../src/backend/sweep.ts";
import { chained, type LoggedEvent } from "../../support/eventLog.ts";
import { waitFor } from "../../support/wait.ts";
import { buy, call, NOON, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";
import { DIALECTS, openOldStore } from "../support/stores.ts";

const DAY = 86_400_000;

/** The log as someone else would compute it, from everything but numbers and hashes. */
const again = (events: readonly LoggedEvent[]) => chained(events.map(({ hash: _, number: __, ...fields }) => fields));

describe.each(DIALECTS)("the event log on %s", (kind) => {
  let backend: TestBackend;

  beforeAll(async () => {
    backend = await startBackend(kind);
  });
  afterAll(() => backend.close());

  async function start() {
    const made = organization();
    await backend.addOrganization(made);
    const { id } = made;
    const { database } = backend.deps;
    const get = (path: string) => call(backend, "GET", `/organizations/${id}/events${path}`, { token: tokenOf(id) });
    return {
      id,
      get,
      list: async (query = ""): Promise<LoggedEvent[]> => (await get(`?limit=100${query}`)).body.items,
      record: (...types: string[]) =>
        inTransaction(database, (tx) =>
          recordEvents(
            tx,
            { organizationId: id, at: backend.clocks.billing, actor: "backend" },
            types.map((type, index) => ({ type, data: { index, text: "ö \u20ac \ud83d\ude00" } })),
          ),
        ),
      hashes: () =>
        database
          .selectFrom("event_hashes")
          .select(["number", "hash"])
          .where("organization_id", "=", id)
          .orderBy("number")
          .execute(),
      checkpoints: async () => (await get("/checkpoints")).body.items,
    };
  }

  test("has the hashes that anyone computes from what it shows", async () => {
    const log = await start();
    await buy(backend, log.id, 2, "k", { note: "half \ud83d of a character" });
    await log.record("made.up");
    const events = await log.list();
    expect(events.map(({ type }) => type)).toEqual(["purchase.accepted", "purchase.succeeded", "made.up"]);
    expect(events).toEqual(again(events));
    expect(Object.keys(events[0] ?? {})).toEqual([
      "organizationId",
      "number",
      "at",
      "type",
      "actor",
      "purchaseId",
      "data",
      "hash",
    ]);
  });

  test("replaces halves of characters, which have no canonical form", async () => {
    const log = await start();
    const about = { organizationId: log.id, at: NOON, actor: "backend" };
    await recordEvents(backend.deps.database, about, [{ type: "made.up", data: { text: "\ud83d", of: ["\ude00"] } }]);
    const events = await log.list();
    expect(events[0]?.data).toEqual({ text: "\ufffd", of: ["\ufffd"] });
    expect(events).toEqual(again(events));
  });

  test("is chained without a gap by several at once, while others write", async () => {
    const log = await start();
    const { database } = backend.deps;
    const writers = Array.from({ length: 10 }, (_, writer) =>
      Promise.all(Array.from({ length: 5 }, (_, index) => log.record(`writer.${writer}`, `again.${index}`))),
    );
    const chainers = Array.from({ length: 8 }, async () => {
      for (let round = 0; round < 5; round += 1) await chainEvents(database, log.id);
    });
    await Promise.all([...writers, ...chainers]);
    expect((await chainEvents(database, log.id)).number).toBe(100);
    const events = await log.list();
    expect(events).toEqual(again(events));
    expect(await log.hashes()).toEqual(events.map(({ number, hash }) => ({ number, hash })));
  });

  test("is chained by background work, also where two instances do it, and signed once a day", async () => {
    const log = await start();
    const rounds = [createChaining(backend.deps), createChaining(backend.deps)];
    const round = () => Promise.all(rounds.map((one) => one()));
    await log.record("one", "two");
    expect(await log.hashes()).toEqual([]);
    await round();
    expect((await log.hashes()).map(({ number }) => number)).toEqual([1, 2]);
    await log.record("three");
    await round();
    const numbers = async () =>
      (await log.checkpoints()).map((one: { checkpoint: { number: number } }) => one.checkpoint.number);
    expect([(await log.hashes()).length, await numbers()]).toEqual([3, [2]]);
    backend.clocks.billing += DAY;
    await round();
    expect(await numbers()).toEqual([3, 2]);
    // A day without events needs none.
    backend.clocks.billing += DAY;
    await round();
    expect(await numbers()).toEqual([3, 2]);
    expect(await createChaining(backend.deps)()).toBe(false);
  });

  test("is chained by a backend that sweeps, without being read", async () => {
    const log = await start();
    await log.record("one");
    const stop = startSweeping(backend.deps);
    await waitFor(async () => (await log.hashes()).length === 1);
    await stop();
    expect(await log.hashes()).toHaveLength(1);
  });

  test("stops at an entry that is missing, and chains the others", async () => {
    const [broken, other] = [await start(), await start()];
    await broken.record("one");
    await backend.deps.database
      .updateTable("subscriptions")
      .set({ event_count: 2 })
      .where("organization_id", "=", broken.id)
      .execute();
    await broken.record("three");
    await other.record("one");
    await createChaining(backend.deps)();
    expect(backend.log.at(-1)).toContain(`event log of organization ${broken.id}`);
    expect([(await broken.hashes()).length, (await other.hashes()).length]).toEqual([0, 1]);
    expect((await broken.get("/export")).status).toBe(500);
    // The others' rounds are not to fail because of it.
    await backend.deps.database
      .updateTable("subscriptions")
      .set({ event_count: 0 })
      .where("organization_id", "=", broken.id)
      .execute();
  });

  test("is filtered by type, group and date in the billing time zone, in both orders", async () => {
    const log = await start();
    backend.clocks.billing = Date.parse("2026-11-29T23:59:59Z");
    await log.record("user.added", "token.created");
    backend.clocks.billing = Date.parse("2026-11-30T12:00:00Z");
    await log.record("user.removed", "users.renamed", "user.added");
    backend.clocks.billing = NOON;
    const numbers = async (query: string) => (await log.list(query)).map(({ number }) => number);
    expect(await numbers("&type=user")).toEqual([1, 3, 5]);
    expect(await numbers("&type=user.added")).toEqual([1, 5]);
    expect(await numbers("&type=use_")).toEqual([]);
    expect(await numbers("&from=2026-11-30")).toEqual([3, 4, 5]);
    expect(await numbers("&to=2026-11-29")).toEqual([1, 2]);
    expect(await numbers("&type=user&order=newest&after=5")).toEqual([3, 1]);
    const page = await log.get("?order=newest&limit=2");
    expect([page.body.items.map(({ number }: LoggedEvent) => number), page.body.next]).toEqual([[5, 4], "4"]);
    expect((await log.get("?type=a%25")).status).toBe(400);
  });

  test("is exported whole, in pages, with keys and a checkpoint, and the export follows as an event", async () => {
    const log = await start();
    await log.record(...Array.from({ length: 1_203 }, (_, index) => `made.up_${index % 7}`));
    const { status, headers, body } = await log.get("/export");
    expect([status, headers["content-type"]]).toEqual([200, "application/x-ndjson"]);
    const events = body.slice(0, -2);
    expect(events).toHaveLength(1_203);
    expect(events).toEqual(again(events));
    const published = await call(backend, "GET", "/.well-known/secureflag-licenses-keys.json", { atRoot: true });
    expect(body.at(-2)).toEqual(published.body);
    const at = new Date(backend.clocks.billing).toISOString();
    const { hash } = events.at(-1);
    expect(body.at(-1)).toMatchObject({ checkpoint: { organization: log.id, number: 1_203, hash, at } });
    expect(body.at(-1)).toEqual((await log.checkpoints())[0]);
    expect((await log.list("&order=newest"))[0]).toMatchObject({
      number: 1_204,
      type: "events.exported",
      actor: "token ci",
      data: { events: 1_203 },
    });
  });

  test("has another key once the secret that encrypted it is gone, and keeps the public one", async () => {
    const log = await start();
    await log.record("one");
    const before = (await log.get("/export")).body.at(-1);
    const keysOf = async () =>
      (await call(backend, "GET", "/.well-known/secureflag-licenses-keys.json", { atRoot: true })).body.keys;
    const [first] = await keysOf();
    expect(first).toMatchObject({ kty: "OKP", crv: "Ed25519", kid: before.kid, alg: "EdDSA", use: "sig" });
    const stored = await backend.deps.database.selectFrom("event_keys").selectAll().executeTakeFirstOrThrow();
    expect([stored.public_key.includes('"d"'), stored.private_key.startsWith("v1.")]).toEqual([false, true]);
    const replaced: BackendDeps = { ...backend.deps, secrets: secretBox([randomBytes(32)], randomBytes) };
    backend.clocks.machine += 1;
    backend.clocks.billing += DAY;
    await createChaining(replaced)();
    const [after] = await log.checkpoints();
    expect(after.kid).not.toBe(before.kid);
    expect((await keysOf()).map(({ kid }: { kid: string }) => kid)).toEqual([after.kid, before.kid]);
    backend.clocks.billing = NOON;
  });

  // On PostgreSQL the service's role may not.
  const onSqlite = kind === "sqlite" ? test : () => {};
  onSqlite("cannot be changed", async () => {
    const log = await start();
    await log.record("one");
    await log.get("/export");
    for (const table of ["events", "event_hashes", "checkpoints", "event_keys"] as const) {
      await expect(backend.deps.database.deleteFrom(table).execute()).rejects.toThrow("append-only");
      await expect(sql`update ${sql.table(table)} set number = 7`.execute(backend.deps.database)).rejects.toThrow(
        "append-only",
      );
    }
  });
});

test("sandboxes of earlier versions get their chain, numbered without a gap", async () => {
  const { database, migrate, close } = await openOldStore("0016_control");
  await sql`insert into organizations (id, name, time_zone) values (1, 'One', 'UTC'), (2, 'Two', 'UTC')`.execute(
    database,
  );
  for (const [id, count] of [
    [1, 9],
    [2, 3],
  ]) {
    await sql`insert into subscriptions (organization_id, plan, interval, interval_count, anchor_date, term_index,
      unit_price, currency, tax_rate, licenses, used, auto_renew, version, receipt_count, credit_note_count, event_count)
      values (${id}, 'Enterprise', 'month', 1, '2026-01-31', 0, 100, 'GBP', '20', 25, 0, 1, 1, 0, 0, ${count})`.execute(
      database,
    );
  }
  for (const [id, number] of [
    [1, 2],
    [1, 5],
    [1, 6],
    [1, 9],
    [2, 1],
    [2, 3],
  ]) {
    await sql`insert into events values (${id}, ${number}, 5, ${`was.${number}`}, 'backend', null, '{}')`.execute(
      database,
    );
  }
  await migrate();
  await migrate();
  const events = await database.selectFrom("events").select(["organization_id", "number", "type"]).execute();
  expect(events.map((row) => Object.values(row).join(" "))).toEqual([
    "1 1 was.2",
    "1 2 was.5",
    "1 3 was.6",
    "1 4 was.9",
    "2 1 was.1",
    "2 2 was.3",
  ]);
  const head = await chainEvents(database, 1);
  const fields = { organizationId: 1, at: new Date(5).toISOString(), actor: "backend", purchaseId: null, data: {} };
  const expected = chained([2, 5, 6, 9].map((number) => ({ ...fields, type: `was.${number}` })));
  expect(head).toEqual({ number: 4, hash: expected.at(-1)?.hash });
  const counts = await database.selectFrom("subscriptions").select("event_count").orderBy("organization_id").execute();
  expect(counts.map((row) => row.event_count)).toEqual([4, 2]);
  await expect(database.deleteFrom("events").execute()).rejects.toThrow("append-only");
  await close();
});
