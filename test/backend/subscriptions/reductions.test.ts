import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { sweep } from "../../../src/backend/sweep.ts";
import { buy, call, NOON, startBackend, submit, type TestBackend, tokenOf } from "../support/backend.ts";
import { expectInvariants } from "../support/invariants.ts";
import { send } from "../support/paying.ts";
import {
  onlyRenewal,
  openSubscription,
  quote,
  receiptOf,
  reduce,
  renewalsOf,
  setClock,
  storeCard,
  subscriptionOf,
} from "../support/renewing.ts";
import { DIALECTS } from "../support/stores.ts";

const RENEWAL = "2027-03-01T00:00:00Z";

describe.each(DIALECTS)("scheduled reductions on %s", (dialect) => {
  let backend: TestBackend;
  /** 25 licenses at £150.00, 20 of them in use. */
  const open = (subscription = {}) => openSubscription(backend, subscription, { usedLicenses: 20 });
  const addUser = (id: number, name: string) =>
    call(backend, "POST", `/organizations/${id}/users`, {
      token: tokenOf(id),
      body: { email: `${name}@organization-${id}.test`, firstName: name, lastName: "User" },
    });
  const eventsOf = async (id: number) =>
    (await call(backend, "GET", `/organizations/${id}/events?limit=100`, { token: tokenOf(id) })).body.items;
  const renew = async () => {
    setClock(backend, RENEWAL);
    await sweep(backend.deps);
  };

  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  beforeEach(() => {
    backend.clocks.billing = NOON;
  });
  afterAll(() => backend.close());

  test("are free, appear in the subscription and in every quote, and take effect at the renewal", async () => {
    const id = await open();
    const before = await subscriptionOf(backend, id);
    const answer = await reduce(backend, id, 22, before.version);
    expect(answer).toMatchObject({
      status: 200,
      body: {
        licenses: { purchased: 25, used: 20, available: 5 },
        reduction: { licenses: 22, date: "2027-03-01" },
        renewal: { licenses: 22, subtotal: { amount: 330_000 }, tax: { amount: 66_000 }, total: { amount: 396_000 } },
        version: before.version + 1,
      },
    });
    expect(await subscriptionOf(backend, id)).toEqual(answer.body);
    expect((await quote(backend, id, 1)).body).toMatchObject({
      licensesAfter: 26,
      renewsAt: { licenses: 23, total: { amount: 414_000 } },
    });
    expect(backend.captures().filter(({ amount }) => amount === 0)).toEqual([]);
    await renew();
    expect(await onlyRenewal(backend, id)).toMatchObject({
      status: "succeeded",
      licenses: 22,
      total: { amount: 396_000 },
      note: null,
    });
    expect(await subscriptionOf(backend, id)).toMatchObject({
      licenses: { purchased: 22, used: 20, available: 2 },
      reduction: null,
      renewal: { licenses: 22 },
    });
    expect((await eventsOf(id)).filter(({ type }: { type: string }) => type.startsWith("reduction."))).toMatchObject([
      { type: "reduction.scheduled", actor: "token ci", data: { from: 25, to: 22 } },
      { type: "reduction.applied", actor: "backend", data: { from: 25, asked: 22, to: 22 } },
    ]);
    await expectInvariants(backend, id, 25);
  });

  test.each([
    [19, /19 is fewer than the 20 licenses in use, of 25/],
    [25, /25 is not fewer than the 25 licenses purchased, of which 20/],
    [26, /26 is not fewer than the 25/],
    [-1, /licenses/],
    [20.5, /licenses/],
  ])("to %d are rejected with the reason", async (licenses, reason) => {
    const id = await open();
    const { version } = await subscriptionOf(backend, id);
    const { status, body } = await reduce(backend, id, licenses);
    expect([status, body.code]).toEqual([400, "invalid_request"]);
    expect(body.errors[0].path).toBe("licenses");
    expect(body.detail).toMatch(reason);
    expect((await subscriptionOf(backend, id)).version).toBe(version);
  });

  test("are rejected if the subscription has changed since the decision", async () => {
    const id = await open();
    const { version } = await subscriptionOf(backend, id);
    await buy(backend, id, 1, "k");
    expect(await reduce(backend, id, 22, version)).toMatchObject({
      status: 409,
      body: { code: "subscription_changed" },
    });
    expect((await reduce(backend, id, 22)).body.reduction).toEqual({ licenses: 22, date: "2027-03-01" });
  });

  test("can be repeated, so that a request can be retried after a lost response", async () => {
    const id = await open();
    const { version } = await subscriptionOf(backend, id);
    const first = await reduce(backend, id, 22, version);
    expect(await reduce(backend, id, 22, version)).toMatchObject({ status: 200, body: first.body });
    const events: { type: string }[] = await eventsOf(id);
    expect(events.filter(({ type }) => type === "reduction.scheduled")).toHaveLength(1);
  });

  test("can be changed and canceled, and canceling without one does nothing", async () => {
    const id = await open();
    const { version } = await subscriptionOf(backend, id);
    expect((await reduce(backend, id, null)).body).toMatchObject({ reduction: null, version });
    await reduce(backend, id, 22);
    await reduce(backend, id, 21);
    expect((await reduce(backend, id, null)).body).toMatchObject({
      reduction: null,
      version: version + 3,
      renewal: { licenses: 25 },
    });
    expect((await eventsOf(id)).map(({ type, data }: { type: string; data: unknown }) => [type, data])).toEqual([
      ["reduction.scheduled", { from: 25, to: 22 }],
      ["reduction.scheduled", { from: 22, to: 21 }],
      ["reduction.canceled", { from: 21, to: 25 }],
    ]);
    await renew();
    expect((await subscriptionOf(backend, id)).licenses.purchased).toBe(25);
    await expectInvariants(backend, id, 25);
  });

  test("are raised by later purchases, at the normal price", async () => {
    const id = await open();
    await reduce(backend, id, 21);
    const { body: offered } = await quote(backend, id, 5);
    const { body: bought } = await buy(backend, id, 5, "k");
    // The first worked figure (src/billing/README.md, Proration): the reduction makes nothing cheaper.
    expect(bought.total).toEqual({ amount: 24_410, currency: "GBP" });
    expect(await subscriptionOf(backend, id)).toMatchObject({
      licenses: { purchased: 30 },
      reduction: { licenses: 26, date: "2027-03-01" },
      renewal: { licenses: 26, total: offered.renewsAt.total },
    });
    await renew();
    expect(await onlyRenewal(backend, id)).toMatchObject({ licenses: 26, total: offered.renewsAt.total });
    await expectInvariants(backend, id, 25);
  });

  test("are not raised by refunded or unpaid purchases", async () => {
    const id = await openSubscription(backend, {}, { usedLicenses: 20, paymentMethod: "card_declined" });
    await reduce(backend, id, 21);
    expect((await buy(backend, id, 5, "k")).status).toBe(402);
    expect((await subscriptionOf(backend, id)).reduction?.licenses).toBe(21);
  });

  test("never remove a license in use, and the receipt has a note", async () => {
    const id = await open();
    await reduce(backend, id, 21);
    const { version } = await subscriptionOf(backend, id);
    const { body: offered } = await quote(backend, id, 1);
    expect(offered.renewsAt.licenses).toBe(22);
    for (const name of ["one", "two", "three"]) expect((await addUser(id, name)).status).toBe(201);
    expect(await subscriptionOf(backend, id)).toMatchObject({
      reduction: { licenses: 21 },
      renewal: { licenses: 23 },
      version: version + 3,
    });
    // The renewal's total has changed, so the quote is stale.
    const stale = await submit(backend, id, { quoteId: offered.id }, "k");
    expect(stale.body.code).toBe("subscription_changed");
    await renew();
    const note = "The reduction to 21 became 23, because 23 licenses were in use on the renewal date.";
    const renewal = await onlyRenewal(backend, id);
    expect(renewal).toMatchObject({ licenses: 23, note });
    expect(await receiptOf(backend, id, renewal.id)).toMatchObject({ licenses: 23, licensesAfter: 23, note });
    expect((await eventsOf(id)).at(-2)).toMatchObject({
      type: "reduction.applied",
      data: { from: 25, asked: 21, to: 23 },
    });
    await expectInvariants(backend, id, 25);
  });

  test("without one, adding users does not change the version", async () => {
    const id = await open();
    const { version } = await subscriptionOf(backend, id);
    await addUser(id, "one");
    expect((await subscriptionOf(backend, id)).version).toBe(version);
  });

  test("require a subscription that renews", async () => {
    const id = await open({ autoRenew: false });
    expect((await reduce(backend, id, 22)).body).toMatchObject({
      code: "subscription_not_purchasable",
      detail: expect.stringContaining("ends on 2027-03-01"),
    });
    backend.clocks.billing = Date.parse(RENEWAL);
    expect((await reduce(backend, id, 22)).body).toMatchObject({
      code: "subscription_not_purchasable",
      detail: expect.stringContaining("ended on 2027-03-01"),
    });
  });

  test("on the renewal date apply to the next renewal", async () => {
    const id = await open();
    setClock(backend, RENEWAL);
    expect((await reduce(backend, id, 22)).body).toMatchObject({
      licenses: { purchased: 25 },
      reduction: { licenses: 22, date: "2028-03-01" },
    });
    expect(await onlyRenewal(backend, id)).toMatchObject({ licenses: 25 });
    await expectInvariants(backend, id, 25);
  });

  test("apply to the renewal after an unpaid one", async () => {
    const id = await openSubscription(
      backend,
      { interval: "month" },
      { usedLicenses: 20, paymentMethod: "card_declined" },
    );
    setClock(backend, "2026-12-01T00:00:00Z");
    await sweep(backend.deps);
    expect((await reduce(backend, id, 22)).body).toMatchObject({
      state: "past_due",
      reduction: { licenses: 22, date: "2027-01-01" },
    });
    setClock(backend, "2027-02-05T00:00:00Z");
    expect(await subscriptionOf(backend, id)).toMatchObject({
      state: "suspended",
      term: { start: "2027-02-01" },
      reduction: { licenses: 22, date: "2027-01-01" },
    });
  });

  describe("while renewals of past terms are missing", () => {
    /** The renewal of 2026-12-01 is unpaid, and those of 2027-01-01 and 2027-02-01 wait for it. */
    const miss = async (reduction: number | null = null) => {
      const id = await openSubscription(
        backend,
        { interval: "month" },
        { usedLicenses: 20, paymentMethod: "card_declined" },
      );
      setClock(backend, "2026-12-01T00:00:00Z");
      await sweep(backend.deps);
      if (reduction !== null) expect((await reduce(backend, id, reduction)).status).toBe(200);
      setClock(backend, "2027-02-05T00:00:00Z");
      await sweep(backend.deps);
      return id;
    };
    const settle = async (id: number) => {
      await storeCard(backend, id, "card_ok");
      expect((await send(backend, id, (await onlyRenewal(backend, id)).id, "payment")).status).toBe(200);
      await sweep(backend.deps);
    };
    /** The renewals by their receipts: the term's first day, the licenses, and their price. */
    const renewed = async (id: number) => {
      const receipts = await Promise.all(
        (await renewalsOf(backend, id)).map((renewal) => receiptOf(backend, id, renewal.id)),
      );
      return receipts.map(({ term, licenses, total }) => [term.start, licenses, total.amount]);
    };
    const missed = [
      ["2026-12-01", 25, 450_000],
      ["2027-01-01", 25, 450_000],
      ["2027-02-01", 25, 450_000],
    ];

    test("apply to the term after the current one, and missed terms keep their price", async () => {
      const id = await miss();
      const scheduled = {
        licenses: { purchased: 25 },
        term: { start: "2027-02-01", renewalDate: "2027-03-01" },
        reduction: { licenses: 22, date: "2027-03-01" },
        renewal: { licenses: 22, total: { amount: 396_000 } },
      };
      expect((await reduce(backend, id, 22)).body).toMatchObject({ state: "suspended", ...scheduled });
      await settle(id);
      expect(await renewed(id)).toEqual(missed);
      expect(await subscriptionOf(backend, id)).toMatchObject({ state: "active", ...scheduled });
      // A later purchase raises it, and is in the renewal.
      expect((await quote(backend, id, 2)).body.renewsAt).toMatchObject({ date: "2027-03-01", licenses: 24 });
      await renew();
      expect(await renewed(id)).toEqual([...missed, ["2027-03-01", 22, 396_000]]);
      expect(await subscriptionOf(backend, id)).toMatchObject({ licenses: { purchased: 22 }, reduction: null });
      expect((await eventsOf(id)).filter(({ type }: { type: string }) => type === "reduction.applied")).toMatchObject([
        { data: { from: 25, asked: 22, to: 22 } },
      ]);
      await expectInvariants(backend, id, 25);
    });

    test("are noted only on the receipt of their term", async () => {
      const id = await miss();
      await reduce(backend, id, 20);
      await settle(id);
      await addUser(id, "one");
      await renew();
      expect((await renewalsOf(backend, id)).map(({ note }) => note)).toEqual([
        null,
        null,
        null,
        "The reduction to 20 became 21, because 21 licenses were in use on the renewal date.",
      ]);
      await expectInvariants(backend, id, 25);
    });

    test("can be changed and canceled until their date", async () => {
      const id = await miss();
      for (const licenses of [22, 21, 23]) {
        expect((await reduce(backend, id, licenses)).body.reduction).toEqual({ licenses, date: "2027-03-01" });
      }
      expect((await reduce(backend, id, null)).body).toMatchObject({ reduction: null, renewal: { licenses: 25 } });
      await settle(id);
      await renew();
      expect(await renewed(id)).toEqual([...missed, ["2027-03-01", 25, 450_000]]);
      await expectInvariants(backend, id, 25);
    });

    test("are in the price of their term once in effect, and can be neither changed nor canceled", async () => {
      const id = await miss(22);
      const before = await subscriptionOf(backend, id);
      const { id: purchaseId } = await onlyRenewal(backend, id);
      for (const licenses of [21, 23, null]) {
        expect(await reduce(backend, id, licenses)).toMatchObject({
          status: 409,
          body: {
            code: "subscription_not_purchasable",
            detail: expect.stringContaining(
              "The reduction to 22 took effect on 2027-01-01; it cannot be changed before",
            ),
            purchaseId,
          },
        });
      }
      // Scheduling the same count is not a change.
      expect((await reduce(backend, id, 22)).body).toEqual(before);
      expect(before).toMatchObject({ reduction: { licenses: 22, date: "2027-01-01" }, renewal: { licenses: 22 } });
      await settle(id);
      expect(await renewed(id)).toEqual([
        ["2026-12-01", 25, 450_000],
        ["2027-01-01", 22, 396_000],
        ["2027-02-01", 22, 396_000],
      ]);
      // Once it is paid, another reduction can be scheduled.
      expect((await reduce(backend, id, 21)).body.reduction).toEqual({ licenses: 21, date: "2027-03-01" });
      await renew();
      expect((await renewed(id)).at(-1)).toEqual(["2027-03-01", 21, 378_000]);
      await expectInvariants(backend, id, 25);
    });
  });

  test("from a backend with a slow clock do not apply to a term that another backend has renewed", async () => {
    const id = await open();
    await renew();
    setClock(backend, Date.parse(RENEWAL) - 1);
    expect((await reduce(backend, id, 22)).body.reduction).toEqual({ licenses: 22, date: "2028-03-01" });
  });
});
