import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  GatewayRefusal,
  GatewayUnavailable,
  type Payment,
  type PaymentGateway,
  type RefundStatus,
} from "../../../src/backend/payments/gateway.ts";
import { makeDue } from "../../../src/backend/purchases/leases.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import type { Purchase } from "../../../src/contract/billing.ts";
import { buy, NOON, organization, startBackend, type TestBackend } from "../support/backend.ts";
import { expectInvariants } from "../support/invariants.ts";
import { act, addressOf, buyWaiting, read, send } from "../support/paying.ts";
import { onlyRenewal, openSubscription, quote, setClock, subscriptionOf } from "../support/renewing.ts";
import { DIALECTS } from "../support/stores.ts";

const [MINUTE_MS, DAY_MS] = [60_000, 86_400_000];

/** What a provider does that the sandbox's cards never do. */
describe.each(DIALECTS)("a provider on %s", (dialect) => {
  let backend: TestBackend;
  let untouched: PaymentGateway;
  const replace = (changes: Partial<PaymentGateway>) => Object.assign(backend.deps.gateway, changes);
  const open = async (paymentMethod: string | null = "card_ok") => {
    const made = organization({ paymentMethod });
    await backend.addOrganization(made);
    return made.id;
  };
  const later = async (ms: number) => {
    setClock(backend, backend.clocks.billing + ms);
    await sweep(backend.deps);
  };
  const bought = async (id: number): Promise<Purchase> => {
    const { body } = await buy(backend, id, 5, "k");
    return body.purchase ?? body;
  };
  const purchasesOf = (id: number) =>
    backend.deps.database.selectFrom("purchases").selectAll().where("organization_id", "=", id).execute();
  const stateOf = async (id: number) => (await purchasesOf(id)).map(({ state }) => state);
  const eventsOf = async (id: number) => {
    const rows = await backend.deps.database
      .selectFrom("events")
      .select("type")
      .where("organization_id", "=", id)
      .orderBy("number")
      .execute();
    return rows.map(({ type }) => type);
  };
  const licensesOf = async (id: number) => (await subscriptionOf(backend, id)).licenses.purchased;

  beforeAll(async () => {
    backend = await startBackend(dialect);
    untouched = { ...backend.deps.gateway };
  });
  afterEach(async () => {
    replace(untouched);
    await backend.deps.database.updateTable("purchases").set({ next_check_at: null }).execute();
    backend.clocks.billing = NOON;
  });
  afterAll(() => backend.close());

  describe("takes money that was not agreed", () => {
    const others: Record<string, (payment: Payment) => Partial<Payment>> = {
      amount: ({ amount }) => ({ amount: { ...amount, amount: amount.amount + 1 } }),
      currency: ({ amount }) => ({ amount: { ...amount, currency: "EUR" } }),
      customer: () => ({ customer: "cus_other" }),
      mode: () => ({ mode: "live" }),
    };

    test.each(Object.entries(others))(
      "another %s: an operator is asked, and nothing is given",
      async (_name, other) => {
        const id = await open();
        const altered = (payment: Payment) => ({ ...payment, ...other(payment) });
        replace({
          confirm: async (...given) => altered(await untouched.confirm(...given)),
          read: async (paymentId) => altered(await untouched.read(paymentId)),
        });
        expect(await bought(id)).toMatchObject({ status: "needs_review", receiptNumber: null });
        await later(DAY_MS);
        expect([await stateOf(id), await licensesOf(id)]).toEqual([["needs_review"], 25]);
        // Only the move is an event, and not that it is looked at every day.
        expect(await eventsOf(id)).toEqual(["purchase.accepted", "purchase.needs_review"]);
      },
    );
  });

  describe("refuses a request", () => {
    test.each([
      { request: "create", isConflict: false, ending: "declined" },
      { request: "create", isConflict: true, ending: "needs_review" },
      { request: "confirm", isConflict: false, ending: "needs_review" },
      { request: "confirm", isConflict: true, ending: "needs_review" },
    ] as const)("$request, conflict $isConflict: $ending", async ({ request, isConflict, ending }) => {
      const id = await open();
      replace({
        [request]: async () => {
          throw new GatewayRefusal("No such thing", { isConflict });
        },
      });
      const purchase = await bought(id);
      expect([await stateOf(id), await licensesOf(id)]).toEqual([[ending], 25]);
      const failure = ending === "declined" ? { code: "payment_refused", message: "The payment was refused." } : null;
      expect(purchase.failure).toEqual(failure);
      await expectInvariants(backend, id, 25);
    });

    test.each([
      { request: "create", isConflict: true },
      { request: "confirm", isConflict: false },
    ] as const)("$request: nothing is tried again in review, and it ends at the deadline", async (refused) => {
      const id = await open();
      const { request, isConflict } = refused;
      replace({
        [request]: async () => {
          throw new GatewayRefusal("No such thing", { isConflict });
        },
      });
      await bought(id);
      let requests = 0;
      replace({
        [request]: async () => {
          requests += 1;
        },
      });
      for (const ms of [MINUTE_MS, 10 * MINUTE_MS, 60 * MINUTE_MS]) {
        await backend.deps.database
          .updateTable("purchases")
          .set({ next_check_at: backend.clocks.billing })
          .where("organization_id", "=", id)
          .execute();
        await later(ms);
        const [purchase] = await purchasesOf(id);
        expect(purchase).toMatchObject({ state: "needs_review", lease_until: 0 });
        expect(purchase?.next_check_at).toBeGreaterThan(backend.clocks.billing);
      }
      expect(requests).toBe(0);
      expect(backend.log.filter((line) => line.includes("cannot move"))).toEqual([]);
      await later(8 * DAY_MS);
      expect(await stateOf(id)).toEqual(["declined"]);
    });

    test("a customer: the purchase is declined", async () => {
      const id = await open();
      const customers = {
        create: async () => {
          throw new GatewayRefusal("No such name", { isConflict: false });
        },
      } as unknown as PaymentGateway["customers"];
      replace({ customers });
      expect(await bought(id)).toMatchObject({ status: "failed", failure: { code: "payment_refused" } });
    });
  });

  test.each(["create", "confirm"] as const)(
    "repeats its failure of %s: a minute later another key",
    async (request) => {
      const id = await open();
      const keys: string[] = [];
      const fail = async (first: string | { idempotencyKey: string }, second?: { idempotencyKey: string }) => {
        keys.push((typeof first === "string" ? second : first)?.idempotencyKey ?? "");
        throw new GatewayUnavailable("500 again", { isReplayed: true });
      };
      replace({ [request]: fail });
      const { id: purchaseId } = await bought(id);
      await later(6_000);
      await later(20_000);
      const key = `${purchaseId}:${request === "create" ? "create" : "confirm:0"}`;
      expect(keys).toEqual([key]);
      await later(MINUTE_MS);
      expect(keys).toEqual([key, `${key}:r1`]);
      replace(untouched);
      const used: string[] = [];
      replace({
        confirm: async (paymentId, attempt) => {
          used.push(attempt.idempotencyKey);
          return untouched.confirm(paymentId, attempt);
        },
      });
      await later(10 * MINUTE_MS);
      // The next request begins with its own key again.
      expect(used).toEqual([request === "create" ? `${purchaseId}:confirm:0` : `${key}:r2`]);
      expect(await stateOf(id)).toEqual(["fulfilled"]);
      await expectInvariants(backend, id, 25);
    },
  );

  describe("refunds", () => {
    const lateOf = async () => {
      const id = await open("card_processing");
      const { id: purchaseId } = await bought(id);
      let status: RefundStatus = "pending";
      const keys: string[] = [];
      replace({
        refund: async (paymentId, key) => {
          keys.push(key);
          return status === "succeeded" ? untouched.refund(paymentId, key) : status;
        },
      });
      setClock(backend, "2027-03-01T12:00:00Z");
      await sweep(backend.deps);
      return { id, purchaseId, keys, say: (next: RefundStatus) => (status = next) };
    };

    test("later: it is recorded once it was made", async () => {
      const { id, purchaseId, keys, say } = await lateOf();
      expect(await stateOf(id)).toContain("refund_due");
      say("succeeded");
      await later(2 * MINUTE_MS);
      expect(await stateOf(id)).toContain("refunded");
      expect(new Set(keys)).toEqual(new Set([`${purchaseId}:refund`]));
    });

    test("never: an operator is asked, no other is made, and a refund by hand is recorded", async () => {
      const { id, purchaseId, keys, say } = await lateOf();
      say("failed");
      await later(2 * MINUTE_MS);
      expect(await stateOf(id)).toContain("needs_review");
      const made = keys.length;
      await later(2 * DAY_MS);
      expect([await stateOf(id), keys.length]).toEqual([expect.arrayContaining(["needs_review"]), made]);
      const purchase = (await purchasesOf(id)).find((each) => each.id === purchaseId);
      await untouched.refund(purchase?.payment_id ?? "", "by hand");
      await later(DAY_MS);
      expect(await stateOf(id)).toContain("refunded");
    });

    test("not at all: an operator is asked", async () => {
      const { id } = await lateOf();
      replace({
        refund: async () => {
          throw new GatewayRefusal("The charge is disputed", { isConflict: false });
        },
      });
      await later(2 * MINUTE_MS);
      expect(await stateOf(id)).toContain("needs_review");
    });

    test("with a failure that it repeats: a minute later another key", async () => {
      const { id, purchaseId, keys } = await lateOf();
      replace({
        refund: async (_paymentId, key) => {
          keys.push(key);
          throw new GatewayUnavailable("500 again", { isReplayed: true });
        },
      });
      await later(2 * MINUTE_MS);
      await later(MINUTE_MS / 2);
      await later(2 * MINUTE_MS);
      replace({ refund: untouched.refund });
      await later(5 * MINUTE_MS);
      expect(await stateOf(id)).toContain("refunded");
      expect(new Set(keys)).toEqual(new Set([`${purchaseId}:refund`, `${purchaseId}:refund:r1`]));
    });
  });

  describe("lets a renewal without a card wait", () => {
    const declinedRenewal = async () => {
      const id = await openSubscription(backend, {}, { paymentMethod: null });
      const customers = { create: async () => "cus_1" } as unknown as PaymentGateway["customers"];
      const withCustomer = (payment: Payment) => ({ ...payment, customer: "cus_1" });
      replace({
        customers,
        create: async (request) => withCustomer(await untouched.create(request)),
        read: async (paymentId) => withCustomer(await untouched.read(paymentId)),
      });
      setClock(backend, "2027-03-01T12:00:00Z");
      await sweep(backend.deps);
      const renewal = await onlyRenewal(backend, id);
      expect(renewal).toMatchObject({ status: "failed", failure: { code: "no_payment_method" } });
      return { id, renewal };
    };

    test("and the bank approves an earlier attempt of a person: it is paid", async () => {
      const { id, renewal } = await declinedRenewal();
      const [purchase] = await purchasesOf(id);
      const captured = { amount: purchase?.total ?? 0, currency: "GBP" };
      replace({
        read: async (paymentId) => ({
          ...(await untouched.read(paymentId)),
          ...{ status: "succeeded", customer: "cus_1", paymentMethod: "card_ok", amount: captured },
        }),
        findCapture: async (paymentId) => ({
          ...{ paymentId, purchaseId: renewal.id, kind: "renewal", ...captured, refunded: 0, refundPending: 0 },
          capturedAt: backend.clocks.billing,
        }),
      });
      await makeDue(backend.deps.database, { organization_id: id, id: renewal.id }, backend.clocks.billing);
      await sweep(backend.deps);
      expect(await onlyRenewal(backend, id)).toMatchObject({ status: "succeeded" });
    });

    test("and its payment is canceled: it can be paid with another", async () => {
      const { id, renewal } = await declinedRenewal();
      await backend.deps.database
        .updateTable("purchases")
        .set({ failure_code: "payment_canceled", payment_id: null })
        .where("organization_id", "=", id)
        .execute();
      expect((await read(backend, id, renewal.id)).nextAction).not.toBeNull();
    });
  });

  describe("was told to refund by hand while an operator is asked", () => {
    const [NONE, PART, WHOLE] = [0, 1, Number.POSITIVE_INFINITY];

    /** Loses the payment until an operator is asked, and then finds it, with a refund. */
    const found = async (refunded: number) => {
      replace({
        confirm: async (...given) => {
          await untouched.confirm(...given);
          throw new GatewayUnavailable("no answer");
        },
        read: async () => {
          throw new GatewayUnavailable("no answer");
        },
        findCapture: async (paymentId) => {
          const capture = await untouched.findCapture(paymentId);
          return capture && { ...capture, refunded: Math.min(refunded, capture.amount) };
        },
      });
      return async () => {
        await later(2 * DAY_MS);
        replace({ confirm: untouched.confirm, read: untouched.read });
        await later(DAY_MS);
      };
    };

    test.each([
      { refunded: NONE, ending: "fulfilled", licenses: 30 },
      { refunded: PART, ending: "needs_review", licenses: 25 },
      { refunded: WHOLE, ending: "declined", licenses: 25 },
    ])("$refunded: a purchase is $ending", async ({ refunded, ending, licenses }) => {
      const id = await open();
      const find = await found(refunded);
      await bought(id);
      await find();
      expect([await stateOf(id), await licensesOf(id)]).toEqual([[ending], licenses]);
      if (refunded === PART) expect(backend.log.at(-1)).toMatch(/needs review: a part of its payment was refunded/);
    });

    test("all of it, which takes days: a purchase waits until that has succeeded, or failed", async () => {
      for (const [refunded, ending, licenses] of [
        [WHOLE, "declined", 25],
        [NONE, "fulfilled", 30],
      ] as const) {
        backend.clocks.billing = NOON;
        const id = await open();
        await found(NONE);
        const { findCapture } = backend.deps.gateway;
        replace({
          findCapture: async (paymentId) => {
            const capture = await findCapture(paymentId);
            return capture && { ...capture, refundPending: capture.amount };
          },
        });
        await bought(id);
        replace({ confirm: untouched.confirm, read: untouched.read });
        await later(2 * DAY_MS);
        expect([await stateOf(id), await licensesOf(id)]).toEqual([["unknown"], 25]);
        expect(await eventsOf(id)).toEqual(["purchase.accepted", "purchase.unknown"]);
        await found(refunded);
        replace({ confirm: untouched.confirm, read: untouched.read });
        await later(DAY_MS);
        expect([await stateOf(id), await licensesOf(id)]).toEqual([[ending], licenses]);
      }
    });

    test("all of it: it can be paid again with another payment, and not for nothing", async () => {
      const id = await open();
      const find = await found(WHOLE);
      const { id: purchaseId } = await bought(id);
      const before = (await purchasesOf(id))[0]?.payment_id;
      await find();
      backend.clocks.billing = NOON;
      replace({ findCapture: untouched.findCapture });
      const { body } = await send(backend, id, purchaseId, "payment");
      expect(body).toMatchObject({ status: "succeeded" });
      expect((await purchasesOf(id))[0]?.payment_id).not.toBe(before);
    });

    test("all of it: a renewal is left to the operator, and not charged again", async () => {
      const id = await openSubscription(backend, {}, { paymentMethod: "card_ok" });
      const find = await found(WHOLE);
      setClock(backend, "2027-03-01T12:00:00Z");
      await sweep(backend.deps);
      await find();
      expect(await onlyRenewal(backend, id)).toMatchObject({ status: "needs_review" });
      expect(backend.log.at(-1)).toMatch(/needs review: its payment was refunded/);
    });
  });

  test("knows customers: one is created once, and frozen in the purchase", async () => {
    const id = await open();
    const created: string[] = [];
    const customers = {
      async create({ name }: { name: string }, key: string) {
        created.push(`${name} ${key}`);
        return "cus_1";
      },
    } as PaymentGateway["customers"];
    const asked: (string | null)[] = [];
    replace({
      customers,
      create: async (request) => {
        asked.push(request.customer);
        return { ...(await untouched.create(request)), customer: request.customer };
      },
      confirm: async (...given) => ({ ...(await untouched.confirm(...given)), customer: "cus_1" }),
    });
    const first = await bought(id);
    expect(first).toMatchObject({ status: "succeeded" });
    expect((await buy(backend, id, 1, "second")).body).toMatchObject({ status: "succeeded" });
    const { name } = (await subscriptionOf(backend, id)).organization;
    expect(created).toEqual([`${name} ${first.id}:customer`]);
    expect(asked).toEqual(["cus_1", "cus_1"]);
    expect((await purchasesOf(id)).map(({ customer_id }) => customer_id)).toEqual(["cus_1", "cus_1"]);
    await expectInvariants(backend, id, 25);
  });

  describe("declines because it needs a person", () => {
    const failure = { code: "authentication_required", message: "The bank asks for approval." };
    const asking = () =>
      replace({
        confirm: async (...given) => ({ ...(await untouched.confirm(...given)), failure }),
        read: async (paymentId) => ({ ...(await untouched.read(paymentId)), failure }),
      });

    test("a purchase waits for one", async () => {
      const id = await open("card_declined");
      asking();
      expect(await bought(id)).toMatchObject({ status: "requires_approval", failure: null });
    });

    test("a renewal is declined", async () => {
      const id = await openSubscription(backend, {}, { paymentMethod: "card_declined" });
      asking();
      setClock(backend, "2027-03-01T12:00:00Z");
      await sweep(backend.deps);
      expect(await onlyRenewal(backend, id)).toMatchObject({
        status: "failed",
        failure: { code: "authentication_required" },
      });
    });
  });

  test("says that the bank did not approve: the person is told, once", async () => {
    const id = await open("card_requires_approval");
    const purchase = await buyWaiting(backend, id);
    // A link to the bank is no decline yet.
    replace({
      confirm: async (...given) => ({ ...(await untouched.confirm(...given)), status: "requires_action" }),
    });
    await act(backend, addressOf(purchase), { action: "pay", card: "card_declined" });
    expect((await read(backend, id, purchase.id)).status).toBe("requires_approval");
    replace(untouched);
    const events = () =>
      backend.deps.database
        .selectFrom("events")
        .select("type")
        .where("organization_id", "=", id)
        .where("type", "=", "payment.declined")
        .execute();
    for (const _check of [1, 2]) {
      await backend.deps.database
        .updateTable("purchases")
        .set({ next_check_at: backend.clocks.billing })
        .where("organization_id", "=", id)
        .execute();
      await later(1);
      expect(await events()).toHaveLength(1);
    }
    expect((await purchasesOf(id))[0]).toMatchObject({ state: "requires_approval", failure_code: "card_declined" });
  });

  test("shows no trace of an attempt: its key is used for a day, then an operator is asked", async () => {
    const id = await openSubscription(backend, {}, { paymentMethod: "card_declined" });
    let attempts = 0;
    replace({
      confirm: async () => {
        attempts += 1;
        throw new GatewayUnavailable("no answer");
      },
      read: async (paymentId) => ({
        ...(await untouched.read(paymentId)),
        status: "requires_payment_method",
        lastAttempt: null,
      }),
    });
    setClock(backend, "2027-03-01T12:00:00Z");
    await sweep(backend.deps);
    await later(MINUTE_MS);
    expect(attempts).toBeGreaterThan(1);
    const before = attempts;
    await later(2 * DAY_MS);
    expect([attempts, (await onlyRenewal(backend, id)).status]).toEqual([before, "needs_review"]);
  });

  test("takes more than 14 days for a payment: an operator is asked", async () => {
    const id = await open("card_processing");
    replace({ read: async (paymentId) => ({ ...(await untouched.read(paymentId)), status: "processing" }) });
    await bought(id);
    await later(13 * DAY_MS);
    expect(await stateOf(id)).toEqual(["processing"]);
    await later(2 * DAY_MS);
    expect(await stateOf(id)).toEqual(["needs_review"]);
    expect(await eventsOf(id)).toEqual(["purchase.accepted", "purchase.processing", "purchase.needs_review"]);
  });

  test("has a maximum: more than that is not quoted", async () => {
    const id = await open();
    replace({ limits: () => ({ minimum: 0, maximum: 1_000, step: 1 }) });
    const { status, body } = await quote(backend, id, 100);
    expect([status, body.code]).toEqual([409, "license_limit"]);
    expect(body.detail).toMatch(/^£[\d,.]+ is above the maximum charge of £10\.00; request fewer licenses/);
  });
});
