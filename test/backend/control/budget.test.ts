import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startSession } from "../../../src/backend/identity/sessions.ts";
import { acceptPurchase } from "../../../src/backend/purchases/accept.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import { SCOPES } from "../../../src/contract/constants.ts";
import { type SeedChanges, token, user } from "../../support/seed.ts";
import { buy, call, NOON, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";
import { expectInvariants } from "../support/invariants.ts";
import { buyWaiting, orderOfQuote, send } from "../support/paying.ts";
import { idOf, quickPasswords, SECRET } from "../support/people.ts";
import { fastForward, setClock, storeCard } from "../support/renewing.ts";
import { DIALECTS } from "../support/stores.ts";

/** What 5 licenses and 1 license cost on the day of the tests, with tax, in minor units. */
const [FIVE, ONE] = [24_410, 4_882];

const gbp = (amount: number) => ({ amount, currency: "GBP" });

describe.each(DIALECTS)("the budget on %s", (dialect) => {
  let backend: TestBackend;
  beforeAll(async () => {
    backend = await startBackend(dialect, quickPasswords());
  });
  afterAll(() => backend.close());

  const set = async (id: number, amount: number, period = "month") => {
    const userId = await idOf(backend, `codes@organization-${id}.test`);
    const { accessToken } = await startSession(backend.deps, userId, backend.clocks.machine);
    const body = { budget: { amount: gbp(amount), period } };
    const answer = await call(backend, "PUT", `/organizations/${id}/policy`, { token: accessToken, body });
    expect(answer.status).toBe(200);
    return answer.body;
  };
  /** An organization with a budget and an administrator without one-time codes. */
  const open = async (amount: number, period = "month", changes: SeedChanges = {}) => {
    setClock(backend, NOON);
    const made = organization(changes);
    made.users.push(user({ email: `codes@organization-${made.id}.test`, totpSecret: SECRET }));
    await backend.addOrganization(made);
    await set(made.id, amount, period);
    return made.id;
  };
  const state = async (id: number) => {
    const read = async (path: string) =>
      (await call(backend, "GET", `/organizations/${id}/${path}`, { token: tokenOf(id) })).body.budget;
    const budget = await read("policy");
    expect(await read("subscription")).toEqual(budget);
    return [budget.spent.amount, budget.left.amount];
  };
  const reached = async (id: number) => {
    const path = `/organizations/${id}/events?limit=100`;
    const { body } = await call(backend, "GET", path, { token: tokenOf(id) });
    const all = body.items as { type: string; data: { percent: number; period: string } }[];
    return all.flatMap(({ type, data }) => (type === "budget.reached" ? [`${data.period} ${data.percent}`] : []));
  };

  test("covers what everybody buys, to the last penny", async () => {
    const id = await open(2 * FIVE);
    const person = (await startSession(backend.deps, await idOf(backend, `admin@organization-${id}.test`), null))
      .accessToken;
    expect((await buy(backend, id, 5, "a")).status).toBe(201);
    expect((await buy(backend, id, 6, "b", { token: person })).body).toMatchObject({
      status: 403,
      code: "budget_exceeded",
      detail: "The purchase costs £292.93, but the organization has £244.10 left of its budget of £488.20/month",
    });
    expect((await buy(backend, id, 5, "b", { token: person })).status).toBe(201);
    expect(await state(id)).toEqual([2 * FIVE, 0]);
    expect((await buy(backend, id, 1, "c")).body.code).toBe("budget_exceeded");
    await expectInvariants(backend, id, 25);
  });

  test.each([
    ["month", "2026-11-30T23:59:59Z", "2026-12-01T00:00:00Z"],
    ["year", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"],
  ])("of a %s is for the calendar %s of the billing time zone", async (period, last, next) => {
    const id = await open(FIVE, period);
    expect((await buy(backend, id, 5, "a")).status).toBe(201);
    setClock(backend, last);
    expect((await buy(backend, id, 1, "b")).body.code).toBe("budget_exceeded");
    setClock(backend, next);
    expect(await state(id)).toEqual([0, FIVE]);
    expect((await buy(backend, id, 1, "b")).status).toBe(201);
  });

  test("includes what waits, and neither canceled nor declined purchases", async () => {
    const id = await open(FIVE, "month", { paymentMethod: "card_requires_approval" });
    const waiting = await buyWaiting(backend, id);
    expect(await state(id)).toEqual([FIVE, 0]);
    expect((await buy(backend, id, 1, "b")).body.code).toBe("budget_exceeded");
    expect((await send(backend, id, waiting.id, "cancel")).status).toBe(200);
    await storeCard(backend, id, "card_declined");
    expect((await buy(backend, id, 5, "c")).status).toBe(402);
    expect(await state(id)).toEqual([0, FIVE]);
    await storeCard(backend, id, "card_ok");
    expect((await buy(backend, id, 5, "d")).status).toBe(201);
  });

  test("is checked again when a declined purchase is paid, for the period of its acceptance", async () => {
    const id = await open(FIVE, "month", { paymentMethod: "card_declined" });
    setClock(backend, "2026-11-30T20:00:00Z");
    const { purchase } = (await buy(backend, id, 5, "a")).body;
    const total = purchase.total.amount;
    await storeCard(backend, id, "card_ok");
    await set(id, total - 1);
    setClock(backend, "2026-12-01T09:00:00Z");
    expect(await send(backend, id, purchase.id, "payment")).toMatchObject({
      status: 403,
      body: { code: "budget_exceeded" },
    });
    await backend.deps.database
      .updateTable("subscriptions")
      .set({ budget_amount: total })
      .where("organization_id", "=", id)
      .execute();
    expect((await send(backend, id, purchase.id, "payment")).status).toBe(200);
    expect(await state(id)).toEqual([0, total]);
    expect(await reached(id)).toEqual(["2026-11 80", "2026-11 100"]);
    await expectInvariants(backend, id, 25);
  });

  test("leaves renewals out", async () => {
    const id = await open(1, "year");
    await fastForward(backend, "2027-03-02T12:00:00Z");
    const { body } = await call(backend, "GET", `/organizations/${id}/purchases`, { token: tokenOf(id) });
    expect(body.items).toMatchObject([{ kind: "renewal", status: "succeeded" }]);
    expect(await state(id)).toEqual([0, 1]);
  });

  test("tells administrators of 80 and 100 percent, once a period", async () => {
    const id = await open(30_000);
    expect((await buy(backend, id, 4, "a")).status).toBe(201);
    expect(await reached(id)).toEqual([]);
    expect((await buy(backend, id, 1, "b")).status).toBe(201);
    expect(await reached(id)).toEqual(["2026-11 80"]);
    expect((await buy(backend, id, 1, "c")).status).toBe(201);
    expect(await reached(id)).toEqual(["2026-11 80"]);
    // Lowering it reaches it as well.
    const { budget } = await set(id, 6 * ONE);
    expect(budget.left).toEqual(gbp(0));
    expect(await reached(id)).toEqual(["2026-11 80", "2026-11 100"]);
    await set(id, 1);
    expect(await reached(id)).toHaveLength(2);
    await sweep(backend.deps);
    const told = backend
      .delivered()
      .filter(({ organizationId, type }) => organizationId === id && type === "budget.reached");
    expect(told.map(({ to }) => to)).toEqual([null, null]);
    expect(told.map(({ text }) => text).sort()).toEqual([
      "100% of the budget of £292.92/month is spent: £292.93 in 2026-11.",
      "80% of the budget of £300.00/month is spent: £244.11 in 2026-11.",
    ]);
  });

  test("tells administrators again once the budget is raised", async () => {
    const id = await open(24_410);
    await buy(backend, id, 5, "all");
    expect(await reached(id)).toEqual(["2026-11 100"]);
    const { database } = backend.deps;
    await database
      .updateTable("subscriptions")
      .set({ budget_amount: 24_410 + ONE })
      .where("organization_id", "=", id)
      .execute();
    await buy(backend, id, 1, "more");
    expect(await reached(id)).toEqual(["2026-11 100", "2026-11 100"]);
  });

  test("that was set after the request arrived is not passed by", async () => {
    const id = await open(FIVE - 1);
    const { order } = await orderOfQuote(backend, id);
    const clocks = { billing: backend.clocks.billing, machine: backend.clocks.machine };
    await expect(acceptPurchase(backend.deps.database, order, clocks, () => {})).rejects.toMatchObject({
      code: "budget_exceeded",
    });
  });

  test("is never exceeded by 20 buyers at once", async () => {
    const names = Array.from({ length: 10 }, (_, number) => number);
    const id = organization().id + 1;
    const emailOf = (name: number) => `buyer${name}@organization-${id}.test`;
    await open(5 * ONE + 100, "month", {
      id,
      users: [user({ email: `admin@organization-${id}.test` }), ...names.map((name) => user({ email: emailOf(name) }))],
      tokens: [
        token(id, { token: tokenOf(id), scopes: [...SCOPES], userEmail: emailOf(0) }),
        ...names.map((name) => token(id, { name: `ci${name}`, token: `sfl_${id}_${name}`, userEmail: emailOf(name) })),
      ],
    });
    const people = await Promise.all(
      names.map(
        async (name) => (await startSession(backend.deps, await idOf(backend, emailOf(name)), null)).accessToken,
      ),
    );
    const bearers = [...people, ...names.map((name) => `sfl_${id}_${name}`)];
    const buyUntilDecided = async (bearer: string, key: string): Promise<string | number> => {
      const { status, body } = await buy(backend, id, 1, key, { token: bearer });
      if (["subscription_changed", "quote_used"].includes(body.code)) return buyUntilDecided(bearer, key);
      return body.code ?? status;
    };
    const outcomes = await Promise.all(bearers.map((bearer, index) => buyUntilDecided(bearer, `key${index}`)));
    expect(outcomes.filter((outcome) => outcome === 201)).toHaveLength(5);
    expect(outcomes.filter((outcome) => outcome === "budget_exceeded")).toHaveLength(15);
    const [spent] = await state(id);
    expect(spent).toBeLessThanOrEqual(5 * ONE + 100);
    await expectInvariants(backend, id, 25);
  });
});
