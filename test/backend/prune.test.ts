import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Database } from "../../src/backend/database/schema.ts";
import { prune } from "../../src/backend/prune.ts";
import { startSweeping } from "../../src/backend/sweep.ts";
import { buy, call, NOON, organization, startBackend, type TestBackend, tokenOf } from "./support/backend.ts";
import { DIALECTS } from "./support/stores.ts";

const [SECOND, MINUTE, DAY] = [1_000, 60_000, 86_400_000];

/** The time step of `NOON`. */
const STEP = NOON / (30 * SECOND);

const attempt = (name: string, at: number) => ({ id: name, email_key: "ada", address: "192.0.2.1", at });

describe.each(DIALECTS)("pruning on %s", (dialect) => {
  let backend: TestBackend;
  let userId: number;
  let id: number;

  beforeEach(async () => {
    backend = await startBackend(dialect);
    const made = organization();
    id = made.id;
    await backend.addOrganization(made);
    userId = (await backend.deps.database.selectFrom("users").select("id").executeTakeFirstOrThrow()).id;
  });

  afterEach(() => backend.close());

  const rowsOf = (table: keyof Database) => backend.deps.database.selectFrom(table).selectAll().execute();

  const ticket = (ticket_hash: string, expires_at: number) => ({
    ...{ ticket_hash, expires_at, user_id: userId, kind: "mfa", tries: 0, mfa_at: null },
  });

  const grant = (name: string, expires_at: number) => ({
    device_code_hash: name,
    user_code_hash: `user code ${name}`,
    client_id: "cli",
    address: "192.0.2.1",
    created_at: 0,
    expires_at,
    interval_seconds: 5,
    polled_at: null,
    tries: 0,
    state: "pending",
    user_id: null,
    mfa_at: null,
  });

  const session = (name: string, refresh_expires_at: number, revoked_at: number | null) => ({
    id: name,
    user_id: userId,
    access_hash: `access ${name}`,
    access_expires_at: 0,
    refresh_hash: `refresh ${name}`,
    refresh_expires_at,
    previous_refresh_hash: null,
    rotated_at: null,
    revoked_at,
    mfa_at: null,
  });

  const sent = (name: string, sent_at: number | null) => ({
    organization_id: id,
    id: name,
    payload_json: "{}",
    created_at: 0,
    claimed_until: 0,
    sent_at,
  });

  const webhook = (name: string, received_at: number) => ({
    id: name,
    type: "customer.deleted",
    object_id: null,
    received_at,
    check_at: null,
  });

  const quote = (name: string, expires_at: number) => ({
    id: name,
    organization_id: id,
    licenses: 1,
    subscription_version: 1,
    purchase_date: "2026-01-01",
    expires_at,
    quote_json: "{}",
  });

  test.each<[keyof Database, () => readonly object[], () => readonly object[]]>([
    [
      "sign_in_attempts",
      () => [attempt("outdated", NOON - 15 * MINUTE - 1), { ...attempt("", 0), id: null }],
      () => [attempt("kept", NOON - 15 * MINUTE)],
    ],
    ["used_codes", () => [{ user_id: userId, step: STEP - 121 }], () => [{ user_id: userId, step: STEP - 120 }]],
    ["sign_in_tickets", () => [ticket("outdated", NOON)], () => [ticket("kept", NOON + 1)]],
    ["device_grants", () => [grant("outdated", NOON - DAY - 1)], () => [grant("kept", NOON - DAY)]],
    [
      "sessions",
      () => [session("expired", NOON, null), session("revoked", NOON + DAY, NOON - 30 * DAY - 1)],
      () => [session("live", NOON + 1, null), session("revoked lately", NOON + DAY, NOON - 30 * DAY)],
    ],
    [
      "outbox",
      () => [sent("outdated", NOON - 30 * DAY - 1)],
      () => [sent("kept", NOON - 30 * DAY), sent("unsent", null)],
    ],
    ["webhook_events", () => [webhook("outdated", NOON - 35 * DAY - 1)], () => [webhook("kept", NOON - 35 * DAY)]],
    ["quotes", () => [quote("outdated", NOON - 90 * DAY - 1)], () => [quote("kept", NOON - 90 * DAY)]],
  ])("deletes outdated rows of %s only", async (table, outdated, kept) => {
    await backend.deps.database
      .insertInto(table)
      .values([...outdated(), ...kept()] as never)
      .execute();
    await prune(backend.deps);
    const rows = await rowsOf(table);
    expect(rows).toHaveLength(kept().length);
    expect(rows).toEqual(expect.arrayContaining([...kept()]));
  });

  test("deletes the hashes of exchanged tokens that have expired, and of no other", async () => {
    const [permanent] = await backend.deps.database.selectFrom("token_index").selectAll().execute();
    const exchanged = (name: string, expires_at: number) => ({
      token_hash: name,
      organization_id: id,
      token_id: permanent?.token_id ?? "",
      expires_at,
    });
    const kept = exchanged("kept", NOON + 1);
    const rows = [exchanged("outdated", NOON), kept];
    await backend.deps.database.insertInto("token_index").values(rows).execute();
    await prune(backend.deps);
    const left = await rowsOf("token_index");
    expect(left).toHaveLength(2);
    expect(left).toEqual(expect.arrayContaining([permanent, kept]));
  });

  test("keeps the quote of a purchase, and everything that a purchase left behind", async () => {
    const sold = await buy(backend, id, 1, "key");
    const unsold = await call(backend, "POST", `/organizations/${id}/quotes`, {
      token: tokenOf(id),
      body: { licenses: 2 },
    });
    backend.clocks.billing += 91 * DAY;
    await prune(backend.deps);
    expect((await rowsOf("quotes")).map((row) => (row as { id: string }).id)).toEqual([sold.body.quoteId]);
    expect(unsold.body.id).not.toBe(sold.body.quoteId);
    for (const table of ["purchases", "receipts", "ledger", "idempotency_keys"] as const)
      expect(await rowsOf(table)).toHaveLength(1);
  });

  test("deletes more than a batch, and a backlog in more than one run", async () => {
    const add = async (count: number) => {
      const rows = Array.from({ length: count }, (_, index) => ({ user_id: userId, step: index }));
      for (let at = 0; at < count; at += 500)
        await backend.deps.database
          .insertInto("used_codes")
          .values(rows.slice(at, at + 500))
          .execute();
    };
    await add(2_500);
    await prune(backend.deps);
    expect(await rowsOf("used_codes")).toEqual([]);
    await add(20_001);
    await prune(backend.deps);
    expect(await rowsOf("used_codes")).toHaveLength(1);
    await prune(backend.deps);
    expect(await rowsOf("used_codes")).toEqual([]);
  });

  test("runs at the same time as another backend's", async () => {
    const rows = Array.from({ length: 3_000 }, (_, index) => attempt(`${index}`, index));
    for (let at = 0; at < rows.length; at += 500)
      await backend.deps.database
        .insertInto("sign_in_attempts")
        .values(rows.slice(at, at + 500))
        .execute();
    await Promise.all([prune(backend.deps), prune(backend.deps), prune(backend.deps)]);
    expect(await rowsOf("sign_in_attempts")).toEqual([]);
  });
});

test("a backend that sweeps prunes at its start, and then once a minute", async () => {
  const own = await startBackend();
  const add = (id: string) => own.deps.database.insertInto("sign_in_attempts").values(attempt(id, 0)).execute();
  const left = async () => (await own.deps.database.selectFrom("sign_in_attempts").select("id").execute()).length;
  await add("before");
  const stop = startSweeping(own.deps);
  await expect.poll(left).toBe(0);
  await add("within the minute");
  own.clocks.machine += MINUTE - 1;
  await new Promise((done) => setTimeout(done, 1_500));
  expect(await left()).toBe(1);
  own.clocks.machine += 1;
  await expect.poll(left, { timeout: 5_000 }).toBe(0);
  await stop();
  await own.close();
});
