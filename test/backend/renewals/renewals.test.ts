import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { makeRenewal, retryRenewal } from "../../../src/backend/renewals/renew.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import { buy, call, NOON, startBackend, submit, type TestBackend, tokenOf } from "../support/backend.ts";
import { expectInvariants } from "../support/invariants.ts";
import { act, addressOf, buyWaiting, look, read, send } from "../support/paying.ts";
import {
  fastForward,
  HOUR_MS,
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

/** The renewal date of every organization. */
const RENEWAL = "2027-03-01T00:00:00Z";

const DUE = Date.parse(RENEWAL);

const DAY_MS = 24 * HOUR_MS;

const monthly = { interval: "month", anchorDate: "2026-01-31" } as const;

describe.each(DIALECTS)("renewals on %s", (dialect) => {
  let backend: TestBackend;
  const open = (paymentMethod: string | null = "card_ok") => openSubscription(backend, {}, { paymentMethod });
  const eventsOf = async (id: number) =>
    (await call(backend, "GET", `/organizations/${id}/events?limit=100`, { token: tokenOf(id) })).body.items;
  const capturesOf = (purchaseId: string) => backend.captures().filter((capture) => capture.purchaseId === purchaseId);
  const sweepAt = async (instant: string | number) => {
    setClock(backend, instant);
    await sweep(backend.deps);
  };
  /** Makes a renewal that is declined on its date. */
  const pastDue = async (card: string | null = "card_declined") => {
    const id = await open(card);
    await sweepAt(RENEWAL);
    return { id, renewal: await onlyRenewal(backend, id) };
  };

  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  beforeEach(async () => {
    backend.clocks.billing = NOON;
    // Ends what other tests left open.
    await backend.deps.database.updateTable("subscriptions").set({ renew_at: null }).execute();
    await backend.deps.database.updateTable("purchases").set({ next_check_at: null }).execute();
  });
  afterAll(() => backend.close());

  describe("on the renewal date", () => {
    test("the next term starts, and all licenses are charged, including those bought in the old term", async () => {
      const id = await open();
      await buy(backend, id, 5, "k");
      const before = await subscriptionOf(backend, id);
      await sweepAt(DUE - 1);
      expect(await renewalsOf(backend, id)).toEqual([]);
      await sweepAt(RENEWAL);
      const renewal = await onlyRenewal(backend, id);
      expect(renewal).toMatchObject({
        kind: "renewal",
        status: "succeeded",
        licenses: 30,
        dueNow: { amount: 450_000, currency: "GBP" },
        tax: { amount: 90_000, currency: "GBP" },
        total: { amount: 540_000, currency: "GBP" },
        quoteId: null,
        idempotencyKey: null,
        purchasedBy: null,
        createdAt: "2027-03-01T00:00:00.000Z",
        receiptNumber: `${id}-000002`,
        failure: null,
        nextAction: null,
        note: null,
      });
      expect(renewal.total).toEqual(before.renewal.total);
      const after = await subscriptionOf(backend, id);
      expect(after).toMatchObject({
        state: "active",
        term: { start: "2027-03-01", renewalDate: "2028-03-01", days: 366, daysRemaining: 366 },
        licenses: { purchased: 30, used: 22, available: 8 },
        renewal: { licenses: 30, total: { amount: 540_000 } },
        pending: { purchases: 0, licenses: 0 },
      });
      expect(after.version).toBeGreaterThan(before.version);
      expect(await receiptOf(backend, id, renewal.id)).toMatchObject({
        kind: "renewal",
        licenses: 30,
        licensesAfter: 30,
        purchaseDate: "2027-03-01",
        term: { start: "2027-03-01", renewalDate: "2028-03-01", days: 366, daysRemaining: 366 },
        total: { amount: 540_000 },
        status: "succeeded",
      });
      expect(capturesOf(renewal.id)).toMatchObject([{ amount: 540_000 }]);
      const types = (await eventsOf(id)).map(({ type }: { type: string }) => type);
      expect(types.slice(-2)).toEqual(["renewal.made", "purchase.succeeded"]);
      await expectInvariants(backend, id, 25);
    });

    test("many concurrent workers renew each subscription once", async () => {
      const ids = await Promise.all(Array.from({ length: 8 }, () => open()));
      setClock(backend, RENEWAL);
      await Promise.all([1, 2, 3].map(() => sweep(backend.deps)));
      await sweepAt(DUE + HOUR_MS);
      for (const id of ids) {
        const renewal = await onlyRenewal(backend, id);
        expect(renewal.status).toBe("succeeded");
        expect(capturesOf(renewal.id)).toHaveLength(1);
        await expectInvariants(backend, id, 25);
      }
    });

    test("only one of many concurrent workers renews, even if the next term is due too", async () => {
      const id = await open();
      const made = await Promise.all(
        [1, 2, 3, 4].map((number) =>
          makeRenewal(backend.deps.database, id, {
            purchaseId: `pur_${id}_${number}`,
            now: DUE + 400 * DAY_MS,
            graceDays: 14,
            chargeStep: () => 1,
            reach: () => {},
          }),
        ),
      );
      expect(made.filter((renewal) => renewal !== null)).toHaveLength(1);
      expect(await renewalsOf(backend, id)).toHaveLength(1);
    });

    test("the database itself rejects a second renewal of a term", async () => {
      const { id, renewal } = await pastDue("card_ok");
      const { database } = backend.deps;
      const row = await database.selectFrom("purchases").selectAll().where("id", "=", renewal.id).executeTakeFirst();
      const again = { ...row, id: `${renewal.id}_2`, sequence: 99, payment_id: null };
      await expect(
        database
          .insertInto("purchases")
          .values(again as never)
          .execute(),
      ).rejects.toThrow(/unique/i);
      await expectInvariants(backend, id, 25);
    });

    test.each(["B0", "B12", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B10"])(
      "a renewal is made and charged once after a crash at %s",
      async (point) => {
        const id = await open();
        setClock(backend, RENEWAL);
        backend.crashAt(point);
        await sweep(backend.deps);
        expect(backend.log.at(-1)).toContain(point);
        backend.crashAt(null);
        await sweepAt(DUE + HOUR_MS);
        const renewal = await onlyRenewal(backend, id);
        expect(renewal.status).toBe("succeeded");
        expect(capturesOf(renewal.id)).toHaveLength(1);
        await expectInvariants(backend, id, 25);
      },
    );

    test("a free renewal needs no payment and has a receipt", async () => {
      const id = await openSubscription(
        backend,
        { unitPrice: { amount: 0, currency: "GBP" } },
        { paymentMethod: null },
      );
      await sweepAt(RENEWAL);
      expect(await onlyRenewal(backend, id)).toMatchObject({ status: "succeeded", total: { amount: 0 } });
      await expectInvariants(backend, id, 25);
    });

    test("without automatic renewal the subscription ends", async () => {
      const id = await openSubscription(backend, { autoRenew: false });
      await sweepAt(DUE - 1);
      expect((await subscriptionOf(backend, id)).state).toBe("active");
      await sweepAt(DUE + 400 * DAY_MS);
      expect(await subscriptionOf(backend, id)).toMatchObject({
        state: "ended",
        term: { start: "2026-03-01", renewalDate: "2027-03-01", daysRemaining: 0 },
        renewal: { autoRenew: false, licenses: null, total: null },
      });
      expect(await renewalsOf(backend, id)).toEqual([]);
      expect((await quote(backend, id)).body).toMatchObject({
        code: "subscription_not_purchasable",
        detail: expect.stringContaining("ended on 2027-03-01"),
      });
      await expectInvariants(backend, id, 25);
    });

    test("a renewal that cannot be charged delays no other", async () => {
      const [bad, good] = [await open(), await open()];
      const { create } = backend.deps.gateway;
      setClock(backend, RENEWAL);
      Object.assign(backend.deps.gateway, {
        create: async (request: Parameters<typeof create>[0]) => {
          if (request.purchaseId === (await renewalsOf(backend, bad))[0]?.id) throw new TypeError("defect");
          return create(request);
        },
      });
      await sweep(backend.deps);
      Object.assign(backend.deps.gateway, { create });
      expect((await onlyRenewal(backend, good)).status).toBe("succeeded");
      expect((await onlyRenewal(backend, bad)).status).toBe("processing");
      await sweepAt(DUE + HOUR_MS);
      expect((await onlyRenewal(backend, bad)).status).toBe("succeeded");
      for (const id of [bad, good]) await expectInvariants(backend, id, 25);
    });
  });

  describe("late", () => {
    test("every missed term is charged separately, in order", async () => {
      const id = await openSubscription(backend, { ...monthly, unitPrice: { amount: 1_999, currency: "USD" } });
      await sweepAt("2027-04-29T12:00:00Z");
      const renewals = await renewalsOf(backend, id);
      const receipts = await Promise.all(renewals.map((renewal) => receiptOf(backend, id, renewal.id)));
      expect(receipts.map(({ term }) => `${term.start} ${term.days}`)).toEqual([
        "2026-11-30 31",
        "2026-12-31 31",
        "2027-01-31 28",
        "2027-02-28 31",
        "2027-03-31 30",
      ]);
      expect(receipts.map(({ purchaseDate }) => purchaseDate)).toEqual(receipts.map(({ term }) => term.start));
      expect(receipts.map(({ receiptNumber }) => receiptNumber.slice(-1))).toEqual(["1", "2", "3", "4", "5"]);
      // 25 × $19.99 plus 20 % tax, once per term.
      expect(renewals.map(({ total }) => total.amount)).toEqual([59_970, 59_970, 59_970, 59_970, 59_970]);
      expect((await subscriptionOf(backend, id)).term).toMatchObject({
        start: "2027-03-31",
        renewalDate: "2027-04-30",
      });
      await expectInvariants(backend, id, 25);
    });

    test("none is made while another is unpaid; once it is paid the others follow one by one", async () => {
      const id = await openSubscription(backend, monthly, { paymentMethod: "card_declined" });
      await sweepAt("2027-02-15T00:00:00Z");
      const first = await onlyRenewal(backend, id);
      expect(await subscriptionOf(backend, id)).toMatchObject({
        state: "suspended",
        term: { start: "2027-01-31", renewalDate: "2027-02-28" },
      });
      await storeCard(backend, id, "card_processing");
      expect((await send(backend, id, first.id, "payment")).status).toBe(202);
      expect(await renewalsOf(backend, id)).toHaveLength(1);
      for (const [seconds, count] of [
        [6, 2],
        [12, 3],
        [18, 3],
      ] as const) {
        await sweepAt(Date.parse("2027-02-15T00:00:00Z") + seconds * 1000);
        expect(await renewalsOf(backend, id)).toHaveLength(count);
      }
      const renewals = await renewalsOf(backend, id);
      expect(renewals.map(({ status }) => status)).toEqual(["succeeded", "succeeded", "succeeded"]);
      expect((await subscriptionOf(backend, id)).state).toBe("active");
      await expectInvariants(backend, id, 25);
    });
  });

  describe("unpaid", () => {
    test("says what is charged once it is paid: the terms that have begun since, each with its licenses", async () => {
      const id = await openSubscription(backend, { interval: "month" }, { paymentMethod: "card_declined" });
      await sweepAt("2026-12-01T09:00:00Z");
      const renewal = await onlyRenewal(backend, id);
      expect((await subscriptionOf(backend, id)).unpaid).toMatchObject({ purchaseId: renewal.id, missed: null });
      await sweepAt("2027-01-15T09:00:00Z");
      expect((await subscriptionOf(backend, id)).unpaid?.missed).toEqual({ renewals: 1, total: renewal.total });
      expect((await reduce(backend, id, 22)).status).toBe(200);
      await sweepAt("2027-03-20T09:00:00Z");
      const { missed } = (await subscriptionOf(backend, id)).unpaid ?? {};
      expect(missed?.renewals).toBe(3);
      const page = await act(backend, addressOf(renewal), { action: "pay", card: "card_ok" });
      expect(page.html).toContain("Payment received");
      await storeCard(backend, id, "card_ok");
      await sweepAt("2027-03-20T10:00:00Z");
      const later = (await renewalsOf(backend, id)).filter((made) => made.id !== renewal.id);
      expect(later.map(({ licenses, status }) => [licenses, status])).toEqual([
        [25, "succeeded"],
        [22, "succeeded"],
        [22, "succeeded"],
      ]);
      expect(later.reduce((sum, { total }) => sum + total.amount, 0)).toBe(missed?.total.amount);
      expect((await subscriptionOf(backend, id)).unpaid).toBeNull();
    });

    test("makes the subscription past due, is retried after 1, 3 and 7 days, suspends it after 14, and reactivates it once paid", async () => {
      const { id, renewal } = await pastDue();
      expect(renewal).toMatchObject({
        status: "failed",
        receiptNumber: null,
        failure: { code: "card_declined" },
        nextAction: { type: "pay", expiresAt: "2027-03-15T00:00:00.000Z" },
      });
      const tries = async () =>
        (await eventsOf(id)).filter(({ type }: { type: string }) => type === "payment.started").length;
      const at = async (days: number, ms = 0) => {
        await sweepAt(DUE + days * DAY_MS + ms);
        return [await tries(), (await subscriptionOf(backend, id)).state];
      };
      expect(await at(1, -1)).toEqual([0, "past_due"]);
      expect(await at(1)).toEqual([1, "past_due"]);
      expect(await at(3, -1)).toEqual([1, "past_due"]);
      expect(await at(3)).toEqual([2, "past_due"]);
      expect(await at(7, -1)).toEqual([2, "past_due"]);
      expect(await at(7)).toEqual([3, "past_due"]);
      expect(await at(14, -1)).toEqual([3, "past_due"]);
      expect(await at(14)).toEqual([3, "suspended"]);
      expect(await at(300)).toEqual([3, "suspended"]);
      expect(await renewalsOf(backend, id)).toHaveLength(1);
      const { nextAction } = await onlyRenewal(backend, id);
      expect(nextAction?.expiresAt).toBe("2027-03-15T00:00:00.000Z");
      const page = await act(backend, addressOf(renewal), { action: "pay", card: "card_ok" });
      expect([page.status, page.html.includes("Payment received")]).toEqual([200, true]);
      expect(await onlyRenewal(backend, id)).toMatchObject({ status: "succeeded", receiptNumber: `${id}-000001` });
      expect((await subscriptionOf(backend, id)).state).toBe("active");
      expect(capturesOf(renewal.id)).toHaveLength(1);
      await expectInvariants(backend, id, 25);
    });

    test.each([
      ["Europe/London", "2027-03-15T00:00:00.000Z", "March 15, 2027 at 12:00 AM GMT"],
      ["Asia/Tokyo", "2027-03-14T15:00:00.000Z", "March 15, 2027 at 12:00 AM GMT+9"],
      ["America/New_York", "2027-03-15T04:00:00.000Z", "March 15, 2027 at 12:00 AM EDT"],
    ])("has one deadline in %s, which neither time nor retries move", async (timeZone, expiresAt, onPage) => {
      const id = await openSubscription(backend, {}, { timeZone, paymentMethod: "card_declined" });
      expect((await subscriptionOf(backend, id)).unpaid).toBeNull();
      const unpaid = { total: { amount: 450_000, currency: "GBP" }, deadline: "2027-03-15" };
      const nextTerm = { renewals: 1, total: unpaid.total };
      for (const days of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 29, 100, 400]) {
        await sweepAt(DUE + days * DAY_MS + 6 * HOUR_MS);
        const renewal = await onlyRenewal(backend, id);
        const isLate = days >= 14;
        const { state, unpaid: shown } = await subscriptionOf(backend, id);
        expect([days, state, shown]).toEqual([
          days,
          isLate ? "suspended" : "past_due",
          { purchaseId: renewal.id, ...unpaid, missed: days < 366 ? null : nextTerm },
        ]);
        expect(renewal.nextAction?.expiresAt).toBe(expiresAt);
        const { html } = await look(backend, addressOf(renewal));
        expect(html).toContain(`${isLate ? "Was due" : "Pay until"}</dt><dd>${onPage}`);
        expect((await quote(backend, id)).body.detail).toContain(
          isLate ? "suspended since 2027-03-15" : "on 2027-03-15 the subscription is suspended",
        );
      }
      await expectInvariants(backend, id, 25);
    });

    test("names the oldest renewal, then the next declined one", async () => {
      const id = await openSubscription(backend, { ...monthly, licenses: 30 }, { paymentMethod: "card_declined" });
      await sweepAt("2027-02-15T12:00:00Z");
      const oldest = await onlyRenewal(backend, id);
      const total = { amount: 540_000, currency: "GBP" };
      expect((await subscriptionOf(backend, id)).unpaid).toEqual({
        purchaseId: oldest.id,
        total,
        deadline: "2026-12-14",
        missed: { renewals: 2, total: { amount: 1_080_000, currency: "GBP" } },
      });
      await act(backend, addressOf(oldest), { action: "pay", card: "card_ok" });
      await sweepAt("2027-02-15T12:01:00Z");
      const [, next] = await renewalsOf(backend, id);
      expect((await subscriptionOf(backend, id)).unpaid).toEqual({
        purchaseId: next?.id,
        total,
        deadline: "2027-01-14",
        missed: { renewals: 1, total },
      });
      expect(next?.nextAction?.expiresAt).toBe("2027-01-14T00:00:00.000Z");
    });

    test("is retried with the payment method stored by then", async () => {
      const { id, renewal } = await pastDue();
      await storeCard(backend, id, "card_timeout");
      await sweepAt(DUE + DAY_MS);
      expect((await onlyRenewal(backend, id)).status).toBe("succeeded");
      expect((await subscriptionOf(backend, id)).state).toBe("active");
      expect(capturesOf(renewal.id)).toHaveLength(1);
      await expectInvariants(backend, id, 25);
    });

    test("is checked soon after a slow retry, and leaves the subscription past due until paid", async () => {
      const { id } = await pastDue();
      await storeCard(backend, id, "card_processing");
      await sweepAt(DUE + DAY_MS);
      expect((await onlyRenewal(backend, id)).status).toBe("processing");
      expect((await subscriptionOf(backend, id)).state).toBe("past_due");
      await sweepAt(DUE + DAY_MS + 5_000);
      expect((await subscriptionOf(backend, id)).state).toBe("active");
      await expectInvariants(backend, id, 25);
    });

    test("has exactly one retry of many concurrent ones, and none before the next is due", async () => {
      const { id, renewal } = await pastDue();
      setClock(backend, DUE + DAY_MS);
      const key = { organization_id: id, id: renewal.id };
      await Promise.all([1, 2, 3].map(() => retryRenewal(backend.deps, key)));
      await retryRenewal(backend.deps, key);
      const events: { type: string }[] = await eventsOf(id);
      expect(events.filter(({ type }) => type === "payment.started")).toHaveLength(1);
      await expectInvariants(backend, id, 25);
    });

    test.each([
      ["card_requires_approval", "authentication_required"],
      [null, "no_payment_method"],
      ["card_insufficient_funds", "insufficient_funds"],
    ])("with %s it is %s, and a user can pay it on its page", async (card, code) => {
      const { id, renewal } = await pastDue(card);
      expect(renewal).toMatchObject({ status: "failed", failure: { code }, nextAction: { type: "pay" } });
      expect((await subscriptionOf(backend, id)).state).toBe("past_due");
      const page = await look(backend, addressOf(renewal));
      expect(page.html).toContain("Pay the renewal of 25 licenses");
      expect(page.html).not.toContain("Cancel purchase");
      await act(backend, addressOf(renewal), { action: "pay", card: card ?? "card_requires_approval" });
      const isPaid = card !== "card_insufficient_funds";
      expect((await onlyRenewal(backend, id)).status).toBe(isPaid ? "succeeded" : "failed");
      expect((await subscriptionOf(backend, id)).state).toBe(isPaid ? "active" : "past_due");
      // The card becomes the payment method of an organization without one.
      const stored = (await subscriptionOf(backend, id)).paymentMethod;
      expect(stored).not.toBeNull();
      await expectInvariants(backend, id, 25);
    });

    test("can be retried on request any number of times, and cannot be canceled", async () => {
      const { id, renewal } = await pastDue();
      for (const _ of [1, 2]) {
        expect(await send(backend, id, renewal.id, "payment")).toMatchObject({
          status: 402,
          body: { code: "payment_declined", purchase: { id: renewal.id, kind: "renewal", status: "failed" } },
        });
      }
      expect((await send(backend, id, renewal.id, "cancel")).body.code).toBe("not_cancelable");
      await storeCard(backend, id, "card_ok");
      setClock(backend, DUE + 500 * DAY_MS);
      expect(await send(backend, id, renewal.id, "payment")).toMatchObject({
        status: 200,
        body: { status: "succeeded", licenses: 25, organizationLicenses: { purchased: 25 } },
      });
      await expectInvariants(backend, id, 25);
    });

    test("is not refunded when paid after the renewal's own term", async () => {
      const { id, renewal } = await pastDue("card_processing");
      expect(renewal.status).toBe("processing");
      expect((await subscriptionOf(backend, id)).state).toBe("active");
      await sweepAt("2028-06-01T00:00:00Z");
      const [first, second] = await renewalsOf(backend, id);
      expect(first).toMatchObject({ id: renewal.id, status: "succeeded", refund: null });
      expect(second?.status).toBe("processing");
      await sweepAt("2028-06-01T00:00:05Z");
      await expectInvariants(backend, id, 25);
    });

    test.each(["B2", "B5", "B6", "B7", "B8"])("is charged once if a retry crashes at %s", async (point) => {
      const { id, renewal } = await pastDue();
      await storeCard(backend, id, "card_ok");
      setClock(backend, DUE + DAY_MS);
      backend.crashAt(point);
      await sweep(backend.deps);
      backend.crashAt(null);
      await sweepAt(DUE + DAY_MS + HOUR_MS);
      expect((await onlyRenewal(backend, id)).status).toBe("succeeded");
      expect(capturesOf(renewal.id)).toHaveLength(1);
      await expectInvariants(backend, id, 25);
    });

    test("appears in the audit log and the notifications", async () => {
      const { id, renewal } = await pastDue();
      await sweepAt(DUE + DAY_MS);
      const sent = backend.delivered().filter(({ organizationId }) => organizationId === id);
      expect(sent).toEqual([
        expect.objectContaining({ type: "purchase.failed", purchaseId: renewal.id, to: null }),
        expect.objectContaining({ type: "purchase.failed", purchaseId: renewal.id, to: null }),
      ]);
      expect(await eventsOf(id)).toMatchObject([
        {
          type: "renewal.made",
          actor: "backend",
          purchaseId: renewal.id,
          data: { start: "2027-03-01", renewalDate: "2028-03-01", licenses: 25, total: 450_000, currency: "GBP" },
        },
        { type: "purchase.failed", data: { code: "card_declined" } },
        { type: "payment.started", actor: "backend" },
        { type: "purchase.failed" },
      ]);
    });
  });

  describe("and purchases", () => {
    test("a purchase on the renewal date belongs to the new term, even before the sweep", async () => {
      const id = await open();
      setClock(backend, RENEWAL);
      const { status, body } = await buy(backend, id, 5, "k");
      expect([status, body.kind]).toEqual([201, "purchase"]);
      // The whole new term for 5 licenses: 5 × £150.00 plus 20 % tax.
      expect(body.total).toEqual({ amount: 90_000, currency: "GBP" });
      expect(await onlyRenewal(backend, id)).toMatchObject({
        status: "succeeded",
        licenses: 25,
        receiptNumber: `${id}-000001`,
      });
      expect(await receiptOf(backend, id, body.id)).toMatchObject({
        receiptNumber: `${id}-000002`,
        purchaseDate: "2027-03-01",
        term: { start: "2027-03-01", renewalDate: "2028-03-01", days: 366, daysRemaining: 366 },
      });
      expect((await subscriptionOf(backend, id)).licenses.purchased).toBe(30);
      await expectInvariants(backend, id, 25);
    });

    test("a quote from the old term is rejected in the new one", async () => {
      const id = await open();
      setClock(backend, DUE - 60_000);
      const { body: offered } = await quote(backend, id, 5);
      expect(offered.expiresAt).toBe("2027-03-01T00:00:00.000Z");
      await sweepAt(RENEWAL);
      const answer = await submit(backend, id, { quoteId: offered.id }, "k");
      expect(answer).toMatchObject({ status: 409, body: { code: "quote_expired" } });
      await expectInvariants(backend, id, 25);
    });

    test("a purchase is rejected while a renewal is due, because it would be charged in both terms", async () => {
      const id = await open();
      const { body: offered } = await quote(backend, id, 5);
      const { database } = backend.deps;
      await database.updateTable("subscriptions").set({ renew_at: NOON }).where("organization_id", "=", id).execute();
      const answer = await submit(backend, id, { quoteId: offered.id }, "k");
      expect(answer).toMatchObject({ status: 409, body: { code: "subscription_changed" } });
    });

    test.each([0, 20])(
      "a purchase is rejected %d days after an unpaid renewal, which the error names",
      async (days) => {
        const { id, renewal } = await pastDue();
        await sweepAt(DUE + days * DAY_MS);
        expect(await quote(backend, id)).toMatchObject({
          status: 409,
          body: {
            code: "subscription_not_purchasable",
            detail: expect.stringContaining(`renewal ${renewal.id} (£4,500.00 with tax) is unpaid`),
            purchaseId: renewal.id,
          },
        });
      },
    );

    test("a purchase has to wait while a renewal is being charged", async () => {
      const { id } = await pastDue("card_processing");
      const busy = await quote(backend, id);
      expect(busy).toMatchObject({ status: 503, body: { code: "unavailable" } });
      expect(Number(busy.headers["retry-after"])).toBeGreaterThan(0);
      await sweepAt(DUE + 5_000);
      expect((await quote(backend, id)).status).toBe(201);
    });

    test("a purchase waiting for approval expires at the renewal, which goes ahead", async () => {
      const id = await open("card_requires_approval");
      setClock(backend, DUE - 1_000);
      const purchase = await buyWaiting(backend, id);
      await storeCard(backend, id, "card_ok");
      await sweepAt(RENEWAL);
      expect((await read(backend, id, purchase.id)).failure.code).toBe("payment_expired");
      expect(await onlyRenewal(backend, id)).toMatchObject({ status: "succeeded", licenses: 25 });
      await expectInvariants(backend, id, 25);
    });

    test("a purchase on the renewal date expires a waiting one without a sweep", async () => {
      const id = await open("card_requires_approval");
      setClock(backend, DUE - 1_000);
      const purchase = await buyWaiting(backend, id);
      await storeCard(backend, id, "card_ok");
      setClock(backend, RENEWAL);
      expect((await quote(backend, id)).body).toMatchObject({ purchaseDate: "2027-03-01", licensesAfter: 26 });
      expect((await read(backend, id, purchase.id)).failure.code).toBe("payment_expired");
      expect((await onlyRenewal(backend, id)).status).toBe("succeeded");
    });

    test("a declined purchase cannot be paid while a renewal is unpaid", async () => {
      const id = await open("card_declined");
      const { body } = await buy(backend, id, 5, "k");
      const { database } = backend.deps;
      const unpaid = { unpaid_renewal: "pur_renewal" };
      await database.updateTable("subscriptions").set(unpaid).where("organization_id", "=", id).execute();
      expect(await send(backend, id, body.purchase.id, "payment")).toMatchObject({
        status: 409,
        body: { code: "not_payable" },
      });
    });

    test("a payment in progress at the renewal settles first", async () => {
      const id = await open("card_processing");
      setClock(backend, DUE - 1_000);
      const { body: purchase } = await buy(backend, id, 5, "k");
      await storeCard(backend, id, "card_ok");
      await sweepAt(RENEWAL);
      expect(await renewalsOf(backend, id)).toEqual([]);
      expect(await quote(backend, id)).toMatchObject({ status: 503, body: { code: "unavailable" } });
      expect(
        (await call(backend, "DELETE", `/organizations/${id}/subscription/reduction`, { token: tokenOf(id) })).status,
      ).toBe(503);
      await sweepAt(DUE + 4_000);
      // The payment arrived in the new term: it is refunded, and the renewal is without its licenses.
      expect(await read(backend, id, purchase.id)).toMatchObject({ status: "failed", failure: { code: "term_ended" } });
      expect(await onlyRenewal(backend, id)).toMatchObject({ status: "succeeded", licenses: 25 });
      await expectInvariants(backend, id, 25);
    });

    test("an unknown payment delays a renewal by at most an hour; if it arrives later, it is refunded", async () => {
      const id = await open("card_processing");
      setClock(backend, DUE - 1_000);
      const { body: purchase } = await buy(backend, id, 5, "k");
      await storeCard(backend, id, "card_ok");
      const { read: readPayment } = backend.deps.gateway;
      const processing: typeof readPayment = async (paymentId) => {
        const payment = await readPayment(paymentId);
        return payment.purchaseId === purchase.id ? { ...payment, status: "processing" } : payment;
      };
      Object.assign(backend.deps.gateway, { read: processing });
      await sweepAt(DUE + HOUR_MS - 1);
      expect(await renewalsOf(backend, id)).toEqual([]);
      await sweepAt(DUE + HOUR_MS);
      expect(await onlyRenewal(backend, id)).toMatchObject({ status: "succeeded", licenses: 25 });
      Object.assign(backend.deps.gateway, { read: readPayment });
      await sweepAt(DUE + 2 * DAY_MS);
      expect(await read(backend, id, purchase.id)).toMatchObject({
        status: "failed",
        failure: { code: "term_ended" },
        refund: { amount: purchase.total },
      });
      await expectInvariants(backend, id, 25);
    });

    test("advancing the clock waits for that hour too", async () => {
      const id = await open("card_processing");
      setClock(backend, DUE - 1_000);
      await buy(backend, id, 5, "k");
      await storeCard(backend, id, "card_ok");
      const { read: readPayment } = backend.deps.gateway;
      const processing: typeof readPayment = async (paymentId) => ({
        ...(await readPayment(paymentId)),
        status: "processing",
      });
      Object.assign(backend.deps.gateway, { read: processing });
      await fastForward(backend, DUE + 2 * HOUR_MS);
      Object.assign(backend.deps.gateway, { read: readPayment });
      expect(await onlyRenewal(backend, id)).toMatchObject({ createdAt: "2027-03-01T01:00:00.000Z", licenses: 25 });
    });

    test("users can take licenses while the subscription is past due, but not once it is suspended or has ended", async () => {
      const ended = await openSubscription(backend, { autoRenew: false });
      const { id, renewal } = await pastDue();
      const add = async (organizationId: number, name: string, more = {}) => {
        const body = {
          email: `${name}@organization-${organizationId}.test`,
          firstName: name,
          lastName: "User",
          ...more,
        };
        return call(backend, "POST", `/organizations/${organizationId}/users`, {
          token: tokenOf(organizationId),
          body,
        });
      };
      expect((await add(id, "early")).status).toBe(201);
      await sweepAt(DUE + 14 * DAY_MS);
      expect(await add(id, "late")).toMatchObject({
        status: 409,
        body: { code: "subscription_not_purchasable", purchaseId: renewal.id },
      });
      expect((await add(id, "boss", { role: 3, adminNoTraining: true })).status).toBe(201);
      expect((await add(ended, "late")).body.code).toBe("subscription_not_purchasable");
      expect((await subscriptionOf(backend, id)).licenses.used).toBe(23);
    });
  });

  test("every event happens at its own time when the clock is advanced", async () => {
    const id = await openSubscription(
      backend,
      { interval: "month", anchorDate: "2026-10-31" },
      { paymentMethod: "card_declined" },
    );
    const processing = await openSubscription(
      backend,
      { interval: "month", anchorDate: "2026-10-31" },
      { paymentMethod: "card_processing" },
    );
    await fastForward(backend, "2027-02-10T08:00:00Z");
    const tries = (await eventsOf(id)).filter(({ type }: { type: string }) => type === "purchase.failed");
    expect(tries.map(({ at }: { at: string }) => at)).toEqual([
      "2026-11-30T00:00:00.000Z",
      "2026-12-01T00:00:00.000Z",
      "2026-12-03T00:00:00.000Z",
      "2026-12-07T00:00:00.000Z",
    ]);
    expect(await renewalsOf(backend, processing)).toMatchObject([
      { createdAt: "2026-11-30T00:00:00.000Z", completedAt: "2026-11-30T00:00:05.000Z" },
      { createdAt: "2026-12-31T00:00:00.000Z", completedAt: "2026-12-31T00:00:05.000Z" },
      { createdAt: "2027-01-31T00:00:00.000Z", completedAt: "2027-01-31T00:00:05.000Z" },
    ]);
    expect(backend.clocks.billing).toBe(Date.parse("2027-02-10T08:00:00Z"));
    for (const organizationId of [id, processing]) await expectInvariants(backend, organizationId, 25);
  });
});
