import { setImmediate } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { GatewayUnavailable, type PaymentGateway } from "../../../src/backend/payments/gateway.ts";
import { LEASE_MS, leasePurchase, leaseWaiting, reclaimLeases } from "../../../src/backend/purchases/leases.ts";
import { beginAttempt } from "../../../src/backend/purchases/pay.ts";
import { findPurchase } from "../../../src/backend/purchases/store.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import type { Purchase } from "../../../src/contract/billing.ts";
import { hiddenFields } from "../../support/paymentPage.ts";
import { buy, call, NOON, organization, startBackend, submit, type TestBackend, tokenOf } from "../support/backend.ts";
import { expectInvariants } from "../support/invariants.ts";
import { act, addressOf, buyWaiting, look, post, read, send } from "../support/paying.ts";
import { DIALECTS } from "../support/stores.ts";

const DAY_MS = 24 * 3_600_000;

describe.each(DIALECTS)("payments on %s", (dialect) => {
  let backend: TestBackend;
  let untouched: PaymentGateway;
  const open = async (paymentMethod: string | null = "card_requires_approval", changes = {}) => {
    const made = organization({ paymentMethod, ...changes });
    await backend.addOrganization(made);
    return made.id;
  };
  const subscription = async (id: number) =>
    (await call(backend, "GET", `/organizations/${id}/subscription`, { token: tokenOf(id) })).body;
  const eventsOf = async (id: number) =>
    (await call(backend, "GET", `/organizations/${id}/events?limit=100`, { token: tokenOf(id) })).body.items;
  const typesOf = async (id: number) => (await eventsOf(id)).map((event: { type: string }) => event.type);
  const capturesOf = (purchase: Purchase) => backend.captures().filter((capture) => capture.purchaseId === purchase.id);
  const silent = async () => {
    throw new GatewayUnavailable("no answer");
  };
  const later = async (ms: number) => {
    backend.clocks.machine += LEASE_MS;
    backend.clocks.billing += ms;
    await sweep(backend.deps);
  };
  /** Lets the machine's clock run while something waits. */
  const passing = async <Value>(work: Promise<Value>): Promise<Value> => {
    const timer = setInterval(() => {
      backend.clocks.machine += 500;
    }, 20);
    try {
      return await work;
    } finally {
      clearInterval(timer);
    }
  };
  const declined = async (id: number, key = "k"): Promise<Purchase> => {
    const { status, body } = await buy(backend, id, 5, key);
    expect(status).toBe(402);
    return body.purchase;
  };
  const storeCard = (id: number, card: string | null) =>
    backend.deps.database
      .updateTable("subscriptions")
      .set({ payment_method: card })
      .where("organization_id", "=", id)
      .execute();

  beforeAll(async () => {
    backend = await startBackend(dialect);
    untouched = { ...backend.deps.gateway };
  });
  afterEach(() => {
    Object.assign(backend.deps.gateway, untouched);
    backend.clocks.billing = NOON;
  });
  afterAll(() => backend.close());

  describe("a payment that requires approval", () => {
    test("waits with a URL and a deadline, adds no licenses, and counts as pending", async () => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      expect(purchase).toMatchObject({
        failure: null,
        completedAt: null,
        nextAction: { type: "approve_payment", expiresAt: "2026-11-23T12:00:00.000Z" },
      });
      expect(purchase.nextAction?.url).toMatch(/^http:\/\/localhost:80\/pay\/pur_\d+_[0-9a-f]{24}\/[\w-]{43}$/);
      expect(await subscription(id)).toMatchObject({
        licenses: { purchased: 25 },
        pending: { purchases: 1, licenses: 5 },
      });
      expect(await read(backend, id, purchase.id)).toMatchObject({ nextAction: purchase.nextAction });
      expect(capturesOf(purchase)).toEqual([]);
      await expectInvariants(backend, id, 25);
    });

    test("is paid once on the page, and the key replays it", async () => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      const page = await act(backend, addressOf(purchase), { action: "pay" });
      expect([page.status, page.html.includes(`${id}-000001`), page.html.includes("30 licenses")]).toEqual([
        200,
        true,
        true,
      ]);
      expect(await read(backend, id, purchase.id)).toMatchObject({
        status: "succeeded",
        nextAction: null,
        failure: null,
        receiptNumber: `${id}-000001`,
        organizationLicenses: { purchased: 30 },
      });
      const again = await submit(backend, id, { quoteId: purchase.quoteId ?? "" }, "k");
      expect([again.status, again.body.status]).toEqual([200, "succeeded"]);
      expect(await typesOf(id)).toEqual([
        "purchase.accepted",
        "purchase.requires_approval",
        "payment.started",
        "purchase.succeeded",
      ]);
      await expectInvariants(backend, id, 25);
    });

    test("delays the response until it is paid with `wait`", async () => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      const path = `/organizations/${id}/purchases/${purchase.id}?wait=20`;
      const waiting = call(backend, "GET", path, { token: tokenOf(id) });
      await act(backend, addressOf(purchase), { action: "pay" });
      expect((await waiting).body.status).toBe("succeeded");
    });

    test("responds when the seconds of `wait` are over", async () => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      const path = `/organizations/${id}/purchases/${purchase.id}?wait=20`;
      const before = backend.clocks.machine;
      const { body } = await passing(call(backend, "GET", path, { token: tokenOf(id) }));
      expect(body.status).toBe("requires_approval");
      expect(backend.clocks.machine - before).toBeGreaterThanOrEqual(20_000);
    });

    test("expires at its deadline: its payment is canceled first, and nothing is charged", async () => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      const { version } = await subscription(id);
      await later(DAY_MS - 1);
      expect((await read(backend, id, purchase.id)).status).toBe("requires_approval");
      await later(1);
      expect(await read(backend, id, purchase.id)).toMatchObject({
        status: "failed",
        failure: { code: "payment_expired" },
        nextAction: null,
      });
      expect((await subscription(id)).version).toBe(version + 1);
      expect((await look(backend, addressOf(purchase))).status).toBe(410);
      expect((await eventsOf(id)).at(-1)).toMatchObject({ type: "purchase.expired", actor: "backend" });
      await expectInvariants(backend, id, 25);
    });

    test("expires no later than its term", async () => {
      backend.clocks.billing = Date.parse("2027-02-28T20:00:00Z");
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      expect(purchase.nextAction?.expiresAt).toBe("2027-03-01T00:00:00.000Z");
      await later(4 * 3_600_000);
      expect((await read(backend, id, purchase.id)).failure.code).toBe("payment_expired");
      await expectInvariants(backend, id, 25);
    });

    test("does not expire while the provider is unreachable, and counts as paid once the provider reports it", async () => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      Object.assign(backend.deps.gateway, { cancel: silent });
      await later(DAY_MS);
      expect((await read(backend, id, purchase.id)).status).toBe("requires_approval");
      Object.assign(backend.deps.gateway, untouched);
      const { payment_id } = await backend.deps.database
        .selectFrom("purchases")
        .select("payment_id")
        .where("id", "=", purchase.id)
        .executeTakeFirstOrThrow();
      const attempt = {
        idempotencyKey: "elsewhere",
        paymentMethod: "card_ok",
        approvedByPerson: true,
        returnUrl: null,
      };
      await untouched.confirm(payment_id ?? "", attempt);
      await later(60_000);
      expect((await read(backend, id, purchase.id)).status).toBe("succeeded");
      await expectInvariants(backend, id, 25);
    });

    test("survives a restart of the backend", async () => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      await reclaimLeases(backend.deps.database, backend.clocks.billing);
      await sweep(backend.deps);
      expect((await read(backend, id, purchase.id)).nextAction).toEqual(purchase.nextAction);
      await act(backend, addressOf(purchase), { action: "pay" });
      expect((await read(backend, id, purchase.id)).status).toBe("succeeded");
      await expectInvariants(backend, id, 25);
    });

    test("survives a restart during a cancellation", async () => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      backend.crashAt("B7");
      await send(backend, id, purchase.id, "cancel");
      backend.crashAt(null);
      await reclaimLeases(backend.deps.database, backend.clocks.billing);
      await sweep(backend.deps);
      expect((await read(backend, id, purchase.id)).failure.code).toBe("payment_canceled");
      await expectInvariants(backend, id, 25);
    });
  });

  describe("an organization without a payment method", () => {
    test("chooses a card on the page, which becomes its payment method", async () => {
      const id = await open(null);
      const purchase = await buyWaiting(backend, id);
      expect((await subscription(id)).paymentMethod).toBeNull();
      const page = await act(backend, addressOf(purchase), { action: "pay" });
      expect([page.status, page.html.includes("Choose a card to pay with")]).toEqual([400, true]);
      await act(backend, addressOf(purchase), { action: "pay", card: "card_ok" });
      expect(await read(backend, id, purchase.id)).toMatchObject({ status: "succeeded" });
      const label = "Visa ending in 4242 (test card)";
      expect((await subscription(id)).paymentMethod).toEqual({ type: "card", label });
      const receipt = await call(backend, "GET", `/organizations/${id}/purchases/${purchase.id}/receipt`, {
        token: tokenOf(id),
      });
      expect(receipt.body.paymentMethod).toEqual({ type: "card", label });
      expect((await buy(backend, id, 1, "next")).status).toBe(201);
      await expectInvariants(backend, id, 25);
    });

    test("saves no declined card, and none if it already has one", async () => {
      const id = await open(null);
      const purchase = await buyWaiting(backend, id);
      await act(backend, addressOf(purchase), { action: "pay", card: "card_declined" });
      expect((await subscription(id)).paymentMethod).toBeNull();
      await storeCard(id, "card_expired");
      await act(backend, addressOf(purchase), { action: "pay", card: "card_ok" });
      expect((await subscription(id)).paymentMethod.label).toContain("0069");
      await expectInvariants(backend, id, 25);
    });
  });

  describe("a declined card", () => {
    test.each([
      ["card_declined", "The bank declined the card."],
      ["card_insufficient_funds", "The card has insufficient funds."],
      ["card_expired", "The card has expired."],
    ])("is explained on the page for %s, and another card pays the same purchase", async (card, why) => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      const page = await act(backend, addressOf(purchase), { action: "pay", card });
      expect([page.status, page.html.includes(why)]).toEqual([402, true]);
      expect((await look(backend, addressOf(purchase))).html).toContain(why);
      expect(await read(backend, id, purchase.id)).toMatchObject({ status: "requires_approval", failure: null });
      await act(backend, addressOf(purchase), { action: "pay", card: "card_ok" });
      expect((await read(backend, id, purchase.id)).status).toBe("succeeded");
      expect(capturesOf(purchase)).toHaveLength(1);
      expect(await typesOf(id)).toEqual([
        "purchase.accepted",
        "purchase.requires_approval",
        "payment.started",
        "payment.declined",
        "payment.started",
        "purchase.succeeded",
      ]);
      await expectInvariants(backend, id, 25);
    });

    test("fails the purchase in a script; it can be paid again on the page, and fails again with the next declined card", async () => {
      const id = await open("card_declined");
      const purchase = await declined(id);
      expect(purchase).toMatchObject({
        status: "failed",
        failure: { code: "card_declined", message: "The bank declined the card." },
        nextAction: { type: "pay", expiresAt: "2026-11-23T12:00:00.000Z" },
      });
      const { version } = await subscription(id);
      await act(backend, addressOf(purchase), { action: "pay", card: "card_insufficient_funds" });
      expect(await read(backend, id, purchase.id)).toMatchObject({
        status: "failed",
        failure: { code: "insufficient_funds" },
        nextAction: purchase.nextAction,
      });
      expect((await subscription(id)).version).toBe(version + 2);
      const page = await act(backend, addressOf(purchase), { action: "pay", card: "card_requires_approval" });
      expect(page.status).toBe(200);
      expect(await read(backend, id, purchase.id)).toMatchObject({
        status: "succeeded",
        failure: null,
        total: purchase.total,
      });
      expect(capturesOf(purchase)).toHaveLength(1);
      await expectInvariants(backend, id, 25);
    });
  });

  describe("POST …/payment", () => {
    test("retries the stored method: 402 if declined, 200 if paid", async () => {
      const id = await open("card_declined");
      const purchase = await declined(id);
      expect(await send(backend, id, purchase.id, "payment")).toMatchObject({
        status: 402,
        body: { code: "payment_declined", purchase: { id: purchase.id, status: "failed" } },
      });
      await storeCard(id, "card_ok");
      expect(await send(backend, id, purchase.id, "payment")).toMatchObject({
        status: 200,
        body: { status: "succeeded", failure: null, organizationLicenses: { purchased: 30 } },
      });
      expect((await send(backend, id, purchase.id, "payment")).status).toBe(200);
      expect(capturesOf(purchase)).toHaveLength(1);
      await expectInvariants(backend, id, 25);
    });

    test.each([
      ["card_requires_approval", "requires_approval"],
      ["card_processing", "processing"],
      [null, "requires_approval"],
    ])("with %s stored answers 202 %s, and starts no second attempt", async (card, status) => {
      const id = await open("card_declined");
      const purchase = await declined(id);
      await storeCard(id, card);
      for (const _ of [1, 2]) {
        expect(await send(backend, id, purchase.id, "payment")).toMatchObject({ status: 202, body: { status } });
      }
      expect((await typesOf(id)).filter((type: string) => type === "payment.started")).toHaveLength(1);
      if (status === "requires_approval") {
        const waiting = await read(backend, id, purchase.id);
        await act(backend, addressOf(waiting), { action: "pay", card: "card_ok" });
      } else await later(6_000);
      expect((await read(backend, id, purchase.id)).status).toBe("succeeded");
      await expectInvariants(backend, id, 25);
    });

    test("is rejected permanently once another purchase was accepted", async () => {
      const id = await open("card_declined");
      const purchase = await declined(id, "1");
      await declined(id, "2");
      await storeCard(id, "card_ok");
      expect(await send(backend, id, purchase.id, "payment")).toMatchObject({
        status: 409,
        body: { code: "not_payable" },
      });
      expect(await read(backend, id, purchase.id)).toMatchObject({ status: "failed", nextAction: null });
      expect((await look(backend, addressOf(purchase))).html).not.toContain("<form");
      expect(capturesOf(purchase)).toEqual([]);
      await expectInvariants(backend, id, 25);
    });

    test("is rejected after 24 hours, in the next term, and for a canceled purchase", async () => {
      const id = await open("card_declined");
      const purchase = await declined(id);
      await storeCard(id, "card_ok");
      backend.clocks.billing = NOON + DAY_MS;
      expect((await send(backend, id, purchase.id, "payment")).body.code).toBe("not_payable");
      const other = await open();
      const waiting = await buyWaiting(backend, other);
      await send(backend, other, waiting.id, "cancel");
      expect((await send(backend, other, waiting.id, "payment")).body.code).toBe("not_payable");
      backend.clocks.billing = Date.parse("2027-02-28T23:00:00Z");
      const third = await open("card_declined");
      const last = await declined(third);
      await storeCard(third, "card_ok");
      backend.clocks.billing = Date.parse("2027-03-01T00:00:00Z");
      expect((await send(backend, third, last.id, "payment")).body.code).toBe("not_payable");
      await expectInvariants(backend, third, 25);
    });

    test("makes exactly one attempt for many concurrent requests and the page", async () => {
      for (let round = 0; round < 10; round += 1) {
        const id = await open("card_declined");
        const purchase = await declined(id);
        await storeCard(id, "card_ok");
        const form = hiddenFields(await look(backend, addressOf(purchase)));
        const answers = await passing(
          Promise.all([
            ...Array.from({ length: 5 }, () => send(backend, id, purchase.id, "payment")),
            post(backend, addressOf(purchase), { ...form, action: "pay" }),
          ]),
        );
        expect(answers.map(({ status }) => status).every((status) => status === 200 || status === 202)).toBe(true);
        expect((await read(backend, id, purchase.id)).status).toBe("succeeded");
        expect((await typesOf(id)).filter((type: string) => type === "payment.started")).toHaveLength(1);
        await expectInvariants(backend, id, 25);
      }
    });

    test("accepts only one of itself and a concurrent purchase", async () => {
      for (let round = 0; round < 10; round += 1) {
        const id = await open("card_declined");
        const purchase = await declined(id);
        await storeCard(id, "card_ok");
        const [paid, bought] = await Promise.all([
          send(backend, id, purchase.id, "payment"),
          buy(backend, id, 2, "other"),
        ]);
        const outcome = [paid.status, bought.status].join();
        expect(["200,409", "409,201", "200,201"]).toContain(outcome);
        await expectInvariants(backend, id, 25);
      }
    });

    test("makes no attempt based on the state before a declined attempt", async () => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      const seen = await findPurchase(backend.deps.database, purchase.id);
      await act(backend, addressOf(purchase), { action: "pay", card: "card_declined" });
      if (!seen) throw new GatewayUnavailable("no purchase");
      const attempt = { paymentMethod: "card_ok", byPerson: true, label: null, returnUrl: null, actor: "test" };
      const times = { now: NOON, deadline: NOON + 1, machine: backend.clocks.machine };
      expect(await beginAttempt(backend.deps.database, seen, attempt, times)).toBe(false);
      expect(await read(backend, id, purchase.id)).toMatchObject({ status: "requires_approval" });
      expect(capturesOf(purchase)).toEqual([]);
    });

    test("is rejected if based on the state before another purchase, and the purchase stays declined", async () => {
      const id = await open("card_declined");
      const { id: purchaseId } = await declined(id, "1");
      const { database } = backend.deps;
      const seen = await findPurchase(database, purchaseId);
      await declined(id, "2");
      const { version } = await subscription(id);
      const attempt = { paymentMethod: "card_ok", byPerson: false, label: null, returnUrl: null, actor: "test" };
      const times = { now: NOON, deadline: NOON + 1, machine: backend.clocks.machine };
      if (!seen) throw new GatewayUnavailable("no purchase");
      await expect(beginAttempt(database, seen, attempt, times)).rejects.toMatchObject({ code: "not_payable" });
      expect(await read(backend, id, purchaseId)).toMatchObject({ status: "failed" });
      expect((await subscription(id)).version).toBe(version);
    });

    test("checks the buyer's spending limit again", async () => {
      const made = organization({ paymentMethod: "card_declined" });
      for (const token of made.tokens ?? []) token.spendLimit = { licenses: 6 };
      const admin = made.users[0]?.email ?? "";
      const scopes = ["billing:read", "billing:purchase"] as const;
      const limited = { name: "small", token: `${tokenOf(made.id)}_small`, scopes: [...scopes], userEmail: admin };
      made.tokens?.push({ ...limited, spendLimit: { licenses: 1 } });
      await backend.addOrganization(made);
      const { id } = made;
      const purchase = await declined(id);
      await storeCard(id, "card_ok");
      expect((await send(backend, id, purchase.id, "payment", limited.token)).body.code).toBe("spend_limit_exceeded");
      const limit = (licenses: number) =>
        backend.deps.database
          .updateTable("api_tokens")
          .set({ limit_licenses: licenses })
          .where("organization_id", "=", id)
          .where("name", "=", "ci")
          .execute();
      await limit(4);
      expect(await send(backend, id, purchase.id, "payment")).toMatchObject({
        status: 403,
        body: { code: "spend_limit_exceeded" },
      });
      const page = await act(backend, addressOf(purchase), { action: "pay", card: "card_ok" });
      expect([page.status, page.html.includes("4 left of its 4 this month")]).toEqual([403, true]);
      await limit(5);
      expect((await send(backend, id, purchase.id, "payment")).status).toBe(200);
      await expectInvariants(backend, id, 25);
    });
  });

  describe("canceling", () => {
    test("ends a waiting purchase, and can be repeated", async () => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      const { version } = await subscription(id);
      for (const _ of [1, 2]) {
        expect(await send(backend, id, purchase.id, "cancel")).toMatchObject({
          status: 200,
          body: {
            status: "failed",
            nextAction: null,
            failure: { code: "payment_canceled", message: "The purchase was canceled; nothing was charged." },
          },
        });
      }
      expect((await subscription(id)).version).toBe(version + 1);
      expect((await subscription(id)).pending).toEqual({ purchases: 0, licenses: 0 });
      expect((await eventsOf(id)).at(-1)).toMatchObject({ type: "purchase.canceled", actor: "token ci" });
      const again = await submit(backend, id, { quoteId: purchase.quoteId ?? "" }, "k");
      expect([again.status, again.body.purchase.failure.code]).toEqual([402, "payment_canceled"]);
      await expectInvariants(backend, id, 25);
    });

    test.each(["card_ok", "card_processing", "card_declined"])(
      "is rejected with %s, with nothing to cancel",
      async (card) => {
        const id = await open(card);
        const answer = await buy(backend, id, 1, "k");
        const { id: purchaseId } = answer.body.purchase ?? answer.body;
        expect(await send(backend, id, purchaseId, "cancel")).toMatchObject({
          status: 409,
          body: { code: "not_cancelable" },
        });
        await later(6_000);
        await expectInvariants(backend, id, 25);
      },
    );

    test("and expiring require evidence: a purchase keeps waiting if the provider does not cancel its payment", async () => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      Object.assign(backend.deps.gateway, { cancel: untouched.read });
      expect(await passing(send(backend, id, purchase.id, "cancel"))).toMatchObject({
        status: 202,
        body: { status: "requires_approval" },
      });
      await later(DAY_MS);
      expect((await read(backend, id, purchase.id)).status).toBe("requires_approval");
      Object.assign(backend.deps.gateway, untouched);
      await later(60_000);
      expect((await read(backend, id, purchase.id)).failure.code).toBe("payment_expired");
      await expectInvariants(backend, id, 25);
    });

    test("has an unknown outcome while the provider is unreachable; the sweep resolves it", async () => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      Object.assign(backend.deps.gateway, {
        async cancel(paymentId: string) {
          await untouched.cancel(paymentId);
          return silent();
        },
      });
      expect(await send(backend, id, purchase.id, "cancel")).toMatchObject({
        status: 503,
        headers: { "retry-after": "5" },
        body: { code: "unavailable" },
      });
      expect((await read(backend, id, purchase.id)).status).toBe("requires_approval");
      await sweep(backend.deps);
      expect((await read(backend, id, purchase.id)).failure.code).toBe("payment_canceled");
      await expectInvariants(backend, id, 25);
    });

    test("and paying concurrently: exactly one takes effect", async () => {
      const ends = new Set<string>();
      const rounds = dialect === "sqlite" ? 60 : 40;
      for (let round = 0; round < rounds; round += 1) {
        const id = await open();
        const purchase = await buyWaiting(backend, id);
        const address = addressOf(purchase);
        const form = hiddenFields(await look(backend, address));
        const cancels = [
          () => send(backend, id, purchase.id, "cancel"),
          () => post(backend, address, { ...form, action: "cancel" }),
        ];
        const pay = () => post(backend, address, { ...form, action: "pay" });
        const cancelSoon = async (cancel: () => Promise<unknown>) => {
          for (let turns = 0; turns < round % 20; turns += 1) await setImmediate();
          return cancel();
        };
        await passing(Promise.all([pay(), ...cancels.map(cancelSoon), pay()]));
        const { status, failure } = await read(backend, id, purchase.id);
        ends.add(failure?.code ?? status);
        expect(capturesOf(purchase)).toHaveLength(status === "succeeded" ? 1 : 0);
        await expectInvariants(backend, id, 25);
      }
      expect([...ends].sort()).toEqual(["payment_canceled", "succeeded"]);
    }, 120_000);
  });

  describe("a late payment", () => {
    const lie = async (paymentId: string) => ({ ...(await untouched.read(paymentId)), status: "canceled" as const });
    const captureLate = async (purchase: Purchase) => {
      const { payment_id: paymentId } = await backend.deps.database
        .selectFrom("purchases")
        .select("payment_id")
        .where("id", "=", purchase.id)
        .executeTakeFirstOrThrow();
      const attempt = {
        idempotencyKey: `late ${paymentId}`,
        paymentMethod: "card_ok",
        approvedByPerson: true,
        returnUrl: null,
      };
      await untouched.confirm(paymentId ?? "", attempt);
    };

    test.each([
      ["canceled", 6_000],
      ["canceled", DAY_MS - 60_000],
      ["expired", 6_000],
    ])("after the purchase was %s is refunded with a credit note, %d ms later", async (end, after) => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      Object.assign(backend.deps.gateway, { cancel: lie });
      if (end === "canceled") await send(backend, id, purchase.id, "cancel");
      else await later(DAY_MS);
      expect((await read(backend, id, purchase.id)).status).toBe("failed");
      for (let passed = 0; passed < after; passed += after / 4) await later(after / 4);
      await captureLate(purchase);
      expect(capturesOf(purchase)).toMatchObject([{ refunded: 0 }]);
      await later(after === 6_000 ? 10_000 : 60_000);
      expect(capturesOf(purchase)).toMatchObject([{ refunded: 24_410 }]);
      const refunded = await read(backend, id, purchase.id);
      expect(refunded).toMatchObject({
        status: "failed",
        failure: { code: "payment_late" },
        receiptNumber: `${id}-000001`,
        refund: { amount: purchase.total, creditNoteNumber: `CN-${id}-000001` },
        organizationLicenses: { purchased: 25 },
      });
      expect(refunded.failure.message).toContain(end);
      expect((await look(backend, addressOf(purchase))).html).toContain(`CN-${id}-000001`);
      expect((await eventsOf(id)).at(-1)).toMatchObject({
        type: "purchase.refunded",
        data: { creditNote: `CN-${id}-000001` },
      });
      await expectInvariants(backend, id, 25);
    });

    const nextLookAt = async ({ id }: Purchase) => {
      const rows = backend.deps.database.selectFrom("purchases").select("next_check_at").where("id", "=", id);
      return (await rows.executeTakeFirstOrThrow()).next_check_at;
    };

    test("is checked for until the provider responds at least a day after the end", async () => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      await send(backend, id, purchase.id, "cancel");
      await later(6_000);
      Object.assign(backend.deps.gateway, { read: silent });
      await later(DAY_MS);
      Object.assign(backend.deps.gateway, untouched);
      expect(await nextLookAt(purchase)).toBeGreaterThan(backend.clocks.billing);
      await later(DAY_MS);
      expect(await nextLookAt(purchase)).toBeNull();
      expect((await read(backend, id, purchase.id)).refund).toBeNull();
    });
  });

  describe("a crash", () => {
    test.each(["B2", "B6", "B7", "B8", "B9"])("at %s while a user pays leaves one payment", async (point) => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      backend.crashAt(point);
      await passing(act(backend, addressOf(purchase), { action: "pay", card: "card_ok" }));
      backend.crashAt(null);
      await later(1_000);
      expect((await read(backend, id, purchase.id)).status).toBe("succeeded");
      expect(capturesOf(purchase)).toHaveLength(1);
      await expectInvariants(backend, id, 25);
    });

    test.each(["B2", "B6", "B7"])(
      "at %s during an attempt with a declined card lets the user continue",
      async (point) => {
        const id = await open();
        const purchase = await buyWaiting(backend, id);
        backend.crashAt(point);
        await passing(act(backend, addressOf(purchase), { action: "pay", card: "card_declined" }));
        backend.crashAt(null);
        await later(1_000);
        expect((await read(backend, id, purchase.id)).status).toBe("requires_approval");
        await act(backend, addressOf(purchase), { action: "pay", card: "card_ok" });
        expect((await read(backend, id, purchase.id)).status).toBe("succeeded");
        await expectInvariants(backend, id, 25);
      },
    );

    test.each(["B3", "B4", "B5"])("at %s for an organization without a card still asks for one", async (point) => {
      const id = await open(null);
      backend.crashAt(point);
      const answer = await buy(backend, id, 5, "k");
      backend.crashAt(null);
      await later(6_000);
      const purchase = await read(backend, id, answer.body.id);
      expect(purchase.status).toBe("requires_approval");
      await act(backend, addressOf(purchase), { action: "pay", card: "card_ok" });
      expect((await read(backend, id, purchase.id)).status).toBe("succeeded");
      await expectInvariants(backend, id, 25);
    });

    test.each(["B2", "B7"])("at %s during a cancellation lets it be canceled again", async (point) => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      backend.crashAt(point);
      expect((await send(backend, id, purchase.id, "cancel")).status).toBe(500);
      backend.clocks.machine += LEASE_MS;
      expect((await send(backend, id, purchase.id, "cancel")).body.failure.code).toBe("payment_canceled");
      await expectInvariants(backend, id, 25);
    });

    test("before an attempt was sent does not send it after the deadline", async () => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      backend.crashAt("B2");
      await passing(act(backend, addressOf(purchase), { action: "pay", card: "card_processing" }));
      backend.crashAt(null);
      await later(DAY_MS);
      expect(await read(backend, id, purchase.id)).toMatchObject({
        status: "failed",
        failure: { code: "payment_canceled" },
      });
      expect(capturesOf(purchase)).toEqual([]);
      await expectInvariants(backend, id, 25);
    });
  });

  test.each([
    { when: "before the attempt", makesAttempt: false, result: "processing" },
    { when: "after the attempt", makesAttempt: true, result: "requires_approval" },
  ])(
    "a response lost $when of a user is read, or requested again with the same key",
    async ({ makesAttempt, result }) => {
      const id = await open();
      const purchase = await buyWaiting(backend, id);
      const keys: string[] = [];
      Object.assign(backend.deps.gateway, {
        async confirm(...[paymentId, attempt]: Parameters<PaymentGateway["confirm"]>) {
          keys.push(attempt.idempotencyKey);
          if (makesAttempt) await untouched.confirm(paymentId, attempt);
          return silent();
        },
      });
      await passing(act(backend, addressOf(purchase), { action: "pay", card: "card_declined" }));
      Object.assign(backend.deps.gateway, untouched);
      expect((await read(backend, id, purchase.id)).status).toBe(result);
      await later(6_000);
      expect((await read(backend, id, purchase.id)).status).toBe("requires_approval");
      expect(new Set(keys)).toEqual(new Set([`${purchase.id}:confirm:1`]));
      await expectInvariants(backend, id, 25);
    },
  );

  test("a waiting purchase is leased only by a cancellation, or by a sweep when its check is due", async () => {
    const id = await open();
    const purchase = { organization_id: id, id: (await buyWaiting(backend, id)).id };
    const { database } = backend.deps;
    expect(await leasePurchase(database, purchase, backend.clocks)).toBeNull();
    const [first, second] = await Promise.all([1, 2].map(() => leaseWaiting(database, purchase, backend.clocks)));
    expect([first, second].filter((lease) => lease !== null)).toHaveLength(1);
    backend.clocks.machine += LEASE_MS;
    expect(await leasePurchase(database, purchase, backend.clocks)).toMatchObject({ state: "requires_approval" });
  });
});

describe("the sandbox's provider", () => {
  test("remembers every key: an old attempt that arrives late has no effect", async () => {
    const backend = await startBackend();
    const { gateway } = backend.deps;
    const amount = { amount: 100, currency: "GBP" };
    const { id } = await gateway.create({
      idempotencyKey: "c",
      purchaseId: "p",
      kind: "purchase",
      organizationId: 1,
      description: "Licenses",
      customer: null,
      amount,
      paymentMethod: "card_ok",
    });
    const attempt = (key: string, paymentMethod: string) =>
      gateway.confirm(id, { idempotencyKey: key, paymentMethod, approvedByPerson: false, returnUrl: null });
    expect((await attempt("0", "card_declined")).status).toBe("requires_payment_method");
    expect((await attempt("1", "card_requires_approval")).status).toBe("requires_action");
    expect((await attempt("0", "card_declined")).status).toBe("requires_action");
    expect((await gateway.cancel(id)).status).toBe("canceled");
    expect((await attempt("2", "card_ok")).status).toBe("canceled");
    expect(backend.captures()).toEqual([]);
    await backend.close();
  });
});
