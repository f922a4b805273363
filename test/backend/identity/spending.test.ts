import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isSameSpendingMonth, readSpent } from "../../../src/backend/identity/spending.ts";
import { LEASE_MS } from "../../../src/backend/purchases/leases.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import type { Purchase } from "../../../src/contract/billing.ts";
import {
  buy,
  call,
  NOON,
  organization,
  SimulatedCrash,
  startBackend,
  type TestBackend,
  tokenOf,
} from "../support/backend.ts";
import { expectInvariants } from "../support/invariants.ts";
import { act, addressOf, buyWaiting, read, send } from "../support/paying.ts";
import { setClock, storeCard } from "../support/renewing.ts";
import { DIALECTS, openOldStore } from "../support/stores.ts";

const LATE_IN_NOVEMBER = Date.parse("2026-11-30T20:00:00Z");

const LAST_OF_NOVEMBER = Date.parse("2026-11-30T23:59:59.990Z");

const DECEMBER = Date.parse("2026-12-01T09:00:00Z");

test.each([
  ["2026-11-30T23:59:59.999Z", "2026-12-01T00:00:00Z", "Europe/London", false],
  ["2026-11-01T00:00:00Z", "2026-11-30T23:59:59.999Z", "Europe/London", true],
  ["2025-12-10T00:00:00Z", "2026-12-10T00:00:00Z", "Europe/London", false],
  ["2026-11-30T20:00:00Z", "2026-12-01T04:59:59Z", "America/New_York", true],
  ["2026-11-30T20:00:00Z", "2026-12-01T05:00:00Z", "America/New_York", false],
  ["2026-11-30T14:59:59Z", "2026-11-30T15:00:00Z", "Asia/Tokyo", false],
])("%s and %s in %s are in the same spending month: %s", (first, second, timeZone, expected) => {
  expect(isSameSpendingMonth(Date.parse(first), Date.parse(second), timeZone)).toBe(expected);
});

describe.each(DIALECTS)("the spending month on %s", (dialect) => {
  let backend: TestBackend;
  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  afterAll(() => backend.close());

  /** An organization whose token has a limit a month, with the clock late in November. */
  const open = async (limit: { licenses?: number; amount?: number }, paymentMethod = "card_requires_approval") => {
    setClock(backend, LATE_IN_NOVEMBER);
    const made = organization({ paymentMethod });
    for (const token of made.tokens ?? []) token.spendLimit = limit;
    await backend.addOrganization(made);
    return made.id;
  };
  const spentIn = async (id: number, at: number) => {
    const { id: tokenId } = await backend.deps.database
      .selectFrom("api_tokens")
      .select("id")
      .where("organization_id", "=", id)
      .executeTakeFirstOrThrow();
    const token = { organization_id: id, id: tokenId };
    return readSpent(backend.deps.database, token, { timeZone: "Europe/London", at });
  };
  const licensesSpent = async (id: number) => [
    (await spentIn(id, LATE_IN_NOVEMBER)).licenses,
    (await spentIn(id, DECEMBER)).licenses,
  ];
  const capturesOf = (purchase: Pick<Purchase, "id">) =>
    backend.captures().filter(({ purchaseId }) => purchaseId === purchase.id);

  test.each([
    ["licenses", { licenses: 7 }, "The purchase is for 5 licenses, but the token “ci” has 2 left of its 7 this month."],
    // 5 licenses cost £244.10 until the renewal with tax when they are bought in November, a little less in December.
    ["money", { amount: 40_000 }, "left of its £400.00 this month."],
  ])("of a purchase paid later is the month of payment: a limit of %s", async (_, limit, sentence) => {
    const id = await open(limit);
    const waiting = await buyWaiting(backend, id);
    expect(await licensesSpent(id)).toEqual([5, 0]);
    setClock(backend, DECEMBER);
    const other = await buyWaiting(backend, id, "other");
    const page = await act(backend, addressOf(waiting), { action: "pay", card: "card_ok" });
    expect(page.status).toBe(403);
    const text = page.html.replaceAll("&quot;", "”").replace("”", "“");
    expect(text).toContain(`${sentence} Nothing was charged.`);
    // The person may still pay, or cancel.
    expect(text).toContain('?cancel"');
    expect(capturesOf(waiting)).toEqual([]);
    expect(await read(backend, id, waiting.id)).toMatchObject({ status: "requires_approval", failure: null });
    expect(await licensesSpent(id)).toEqual([5, 5]);

    expect((await send(backend, id, other.id, "cancel")).status).toBe(200);
    expect((await act(backend, addressOf(waiting), { action: "pay", card: "card_ok" })).status).toBe(200);
    expect(await read(backend, id, waiting.id)).toMatchObject({ status: "succeeded" });
    expect(await licensesSpent(id)).toEqual([0, 5]);
    expect(await spentIn(id, DECEMBER)).toEqual({ licenses: 5, amount: waiting.total.amount });
    const { body: me } = await call(backend, "GET", "/me", { token: tokenOf(id) });
    if ("licenses" in limit) expect(me.token.spendLimit.licensesLeft).toBe(2);
    else expect(me.token.spendLimit.amountLeft.amount).toBe(limit.amount - waiting.total.amount);
    await expectInvariants(backend, id, 25);
  });

  test("of a purchase paid in the month of its acceptance is not checked again", async () => {
    const id = await open({ licenses: 5 });
    const waiting = await buyWaiting(backend, id);
    expect((await act(backend, addressOf(waiting), { action: "pay", card: "card_ok" })).status).toBe(200);
    expect(await licensesSpent(id)).toEqual([5, 0]);
  });

  test("of a declined purchase paid again is the month of payment", async () => {
    const id = await open({ licenses: 5 }, "card_declined");
    const { body } = await buy(backend, id, 5, "k");
    const { purchase } = body;
    expect(await licensesSpent(id)).toEqual([0, 0]);
    await storeCard(backend, id, "card_ok");
    setClock(backend, DECEMBER);
    expect((await send(backend, id, purchase.id, "payment")).status).toBe(200);
    expect(await licensesSpent(id)).toEqual([0, 5]);
  });

  test.each(["B1", "B4", "B5"])(
    "of a charge that recovery makes late is the month of the charge, and no limit stops it: %s",
    async (point) => {
      const id = await open({ licenses: 5 }, "card_ok");
      setClock(backend, LAST_OF_NOVEMBER);
      backend.crashAt(point);
      const crashed = await buy(backend, id, 3, "k");
      expect(backend.log.join("\n") + JSON.stringify(crashed.body)).toContain(new SimulatedCrash(point).message);
      expect(await licensesSpent(id)).toEqual([3, 0]);
      setClock(backend, DECEMBER);
      expect((await buy(backend, id, 5, "new")).status).toBe(201);
      await sweep(backend.deps);
      const { body: first } = await call(backend, "GET", `/organizations/${id}/purchases/by-key/k`, {
        token: tokenOf(id),
      });
      expect(first).toMatchObject({ status: "succeeded" });
      expect(capturesOf(first)).toHaveLength(1);
      expect(await licensesSpent(id)).toEqual([0, 8]);
      expect((await buy(backend, id, 1, "more")).body.code).toBe("spend_limit_exceeded");
      await expectInvariants(backend, id, 25);
    },
  );

  test("is the month of the attempt that took the money when a response was lost", async () => {
    const id = await open({ licenses: 5 }, "card_timeout");
    setClock(backend, LAST_OF_NOVEMBER);
    expect((await buy(backend, id, 5, "k")).status).toBeLessThan(300);
    setClock(backend, DECEMBER);
    await sweep(backend.deps);
    expect(await licensesSpent(id)).toEqual([5, 0]);
  });

  test("applies one limit to all concurrent payments and purchases", async () => {
    const id = await open({ licenses: 20 });
    const waiting: Purchase[] = [];
    for (const key of ["a", "b", "c", "d"]) waiting.push(await buyWaiting(backend, id, key));
    setClock(backend, DECEMBER);
    backend.clocks.machine += LEASE_MS;
    await backend.deps.database
      .updateTable("api_tokens")
      .set({ limit_licenses: 12 })
      .where("organization_id", "=", id)
      .execute();
    const answers = await Promise.all([
      ...waiting.map((purchase) => act(backend, addressOf(purchase), { action: "pay", card: "card_ok" })),
      buy(backend, id, 5, "new"),
    ]);
    const [, december] = await licensesSpent(id);
    expect(december).toBe(10);
    const refused = answers.slice(0, 4).filter(({ status }) => status === 403);
    expect(refused.length).toBeGreaterThanOrEqual(2);
    await expectInvariants(backend, id, 25);
  });
});

describe("data from before spending months existed", () => {
  test("count in the month of the last attempt, or else of acceptance", async () => {
    const { database, migrate, close } = await openOldStore("0005_memberships");
    await sql`insert into organizations (id, name, time_zone) values (1, 'One', 'UTC')`.execute(database);
    for (const [id, attempted] of [
      ["first", null],
      ["again", NOON + 5],
    ] as const) {
      await sql`insert into purchases (id, organization_id, kind, state, epoch, lease_until, licenses, total, currency,
        price_json, confirm_count, accepted_at, attempted_at)
        values (${id}, 1, 'purchase', 'requires_approval', 0, 0, 1, 1, 'GBP', '{}', 0, ${NOON}, ${attempted})`.execute(
        database,
      );
    }
    await migrate();
    const rows = await database.selectFrom("purchases").select(["id", "spent_at"]).orderBy("sequence").execute();
    expect(rows).toEqual([
      { id: "first", spent_at: NOON },
      { id: "again", spent_at: NOON + 5 },
    ]);
    await close();
  });
});
