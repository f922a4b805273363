import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSqlite } from "../../../src/backend/database/sqlite.ts";
import { SANDBOX_PAYMENT_METHODS } from "../../../src/backend/payments/cards.ts";
import { GatewayUnavailable, type PaymentGateway } from "../../../src/backend/payments/gateway.ts";
import { sandboxGateway } from "../../../src/backend/payments/sandboxGateway.ts";
import { testGateway } from "../../../src/backend/payments/testGateway.ts";
import { POSTGRES } from "../../support/service.ts";
import { openTestStore, type TestStore } from "../support/stores.ts";

const AMOUNT = { amount: 9074, currency: "GBP" };

/** A step of a payment, and what a provider says of it; `lost` without an answer. */
type Step = (gateway: PaymentGateway, id: string) => Promise<unknown>;

const confirm =
  (key: string, paymentMethod: string, approvedByPerson = false): Step =>
  (gateway, id) =>
    gateway.confirm(id, { idempotencyKey: key, paymentMethod, approvedByPerson, returnUrl: null });
const read: Step = (gateway, id) => gateway.read(id);
const cancel: Step = (gateway, id) => gateway.cancel(id);
const refund: Step = (gateway, id) => gateway.refund(id, `${id}:refund`);

describe.skipIf(!POSTGRES)("the provider of test cards on PostgreSQL", () => {
  const clocks = { billing: 0, machine: 0 };
  const deps = {
    clock: { now: () => clocks.billing },
    now: () => clocks.machine,
    random: randomBytes,
  };
  let store: TestStore;
  let gateway: PaymentGateway;
  let other: PaymentGateway;
  let sandbox: PaymentGateway;
  let payments = 0;

  beforeAll(async () => {
    store = await openTestStore("postgres");
    gateway = testGateway({ ...deps, database: store.database });
    other = testGateway({ ...deps, database: store.database });
    sandbox = sandboxGateway(await openSqlite(":memory:"), deps);
  });
  afterAll(() => store.close());

  const create = async (from: PaymentGateway, paymentMethod: string | null) => {
    payments += 1;
    const request = {
      idempotencyKey: `create ${payments}`,
      purchaseId: `pur_${payments}`,
      kind: "purchase" as const,
      organizationId: 1,
      description: "Licenses",
      customer: null,
      amount: AMOUNT,
      paymentMethod,
    };
    return (await from.create(request)).id;
  };

  /** What a provider answers to steps in order, without the ids. */
  async function answers(from: PaymentGateway, paymentMethod: string | null, steps: readonly Step[]) {
    const id = await create(from, paymentMethod);
    const told: unknown[] = [];
    for (const step of steps) {
      const answer = await step(from, id).catch((error) => {
        if (error instanceof GatewayUnavailable) return "lost";
        throw error;
      });
      const { status, failure } = (answer ?? {}) as { status?: unknown; failure?: unknown };
      told.push(answer === "lost" ? "lost" : { status, failure });
      clocks.billing += 1_500;
    }
    return told;
  }

  test.each([...SANDBOX_PAYMENT_METHODS, null])("answers for %s as the sandbox's does", async (paymentMethod) => {
    const card = paymentMethod ?? "card_ok";
    const stories: Step[][] = [
      [read, confirm("a", card), read, confirm("a", card), read, cancel, refund, refund, read],
      [confirm("b", card), confirm("c", "card_ok"), read, confirm("b", card), cancel],
      [cancel, confirm("d", card), read],
      [confirm("e", card, true), read, confirm("f", "card_declined"), read],
    ];
    for (const [index, story] of stories.entries()) {
      const named = (prefix: string) =>
        story.map(
          (step): Step =>
            (from, id) =>
              step(
                {
                  ...from,
                  confirm: (payment, attempt) =>
                    from.confirm(payment, {
                      ...attempt,
                      idempotencyKey: `${prefix} ${index} ${attempt.idempotencyKey}`,
                    }),
                },
                id,
              ),
        );
      const own = await answers(gateway, paymentMethod, named(`${paymentMethod}`));
      expect(own).toEqual(await answers(sandbox, paymentMethod, named(`${paymentMethod}`)));
      expect(own).toHaveLength(story.length);
    }
  });

  test("creates one payment for a key, also at the same time", async () => {
    const paid = {
      purchaseId: "pur_same",
      kind: "purchase",
      organizationId: 1,
      description: "Licenses",
      customer: null,
      amount: AMOUNT,
      paymentMethod: "card_ok",
    } as const;
    const request = { ...paid, idempotencyKey: "same" };
    const made = await Promise.all([gateway, other, gateway, other].map((each) => each.create(request)));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
  });

  test("charges once when two instances confirm under one key, and loses one answer", async () => {
    const id = await create(gateway, "card_timeout");
    const attempt = { idempotencyKey: "once", paymentMethod: "card_timeout", approvedByPerson: false, returnUrl: null };
    const told = await Promise.allSettled([gateway, other, gateway, other].map((each) => each.confirm(id, attempt)));
    expect(told.filter(({ status }) => status === "rejected")).toHaveLength(1);
    expect(await gateway.read(id)).toMatchObject({ status: "succeeded" });
  });

  test("takes one of a charge and a cancellation at the same time", async () => {
    for (let round = 0; round < 10; round += 1) {
      const id = await create(gateway, "card_ok");
      const attempt = {
        idempotencyKey: `race ${round}`,
        paymentMethod: "card_ok",
        approvedByPerson: false,
        returnUrl: null,
      };
      const [charged, canceled] = await Promise.all([gateway.confirm(id, attempt), other.cancel(id)]);
      const { status } = await gateway.read(id);
      expect(["succeeded", "canceled"]).toContain(status);
      expect([charged.status, canceled.status]).toContain(status);
    }
  });

  test("lists payments that were never confirmed", async () => {
    clocks.machine = 5_000;
    const [open, charged] = [await create(gateway, "card_ok"), await create(gateway, "card_ok")];
    await confirm("listed", "card_ok")(gateway, charged);
    const ids = (await gateway.unconfirmed(5_001)).map(({ id }) => id);
    expect(ids).toContain(open);
    expect(ids).not.toContain(charged);
    expect((await gateway.unconfirmed(5_000)).map(({ id }) => id)).not.toContain(open);
  });

  test("lists what was captured or refunded since an instant, page by page, as the sandbox does", async () => {
    for (const from of [gateway, sandbox]) {
      clocks.billing = 10_000;
      const [early, refunded] = [await create(from, "card_ok"), await create(from, "card_ok")];
      const debit = await create(from, "card_processing");
      const [declined] = [await create(from, "card_declined")];
      for (const id of [early, refunded]) await confirm(`listed ${id}`, "card_ok")(from, id);
      await confirm(`listed ${debit}`, "card_processing")(from, debit);
      await confirm(`listed ${declined}`, "card_declined")(from, declined);
      clocks.billing = 20_000;
      await refund(from, refunded);
      const late = await create(from, "card_ok");
      await confirm(`listed ${late}`, "card_ok")(from, late);
      const since = async (start: number) => {
        const { captures, next } = await from.listCaptures(start, null);
        expect(next).toBeNull();
        return new Map(captures.map((capture) => [capture.paymentId, capture]));
      };
      const all = await since(10_000);
      expect([early, refunded, debit, late].every((id) => all.has(id))).toBe(true);
      expect(all.get(debit)).toMatchObject({ capturedAt: 12_000, refunded: 0, kind: "purchase", ...AMOUNT });
      expect(all.has(declined)).toBe(false);
      const recent = await since(12_001);
      expect([early, debit].some((id) => recent.has(id))).toBe(false);
      expect(recent.get(refunded)).toMatchObject({ capturedAt: 10_000, refunded: AMOUNT.amount });
      expect(await from.findCapture(late)).toEqual(recent.get(late));
      expect(await from.findCapture(declined)).toBeNull();
      expect(await from.findCapture("pay_none")).toBeNull();
      expect((await from.listCaptures(0, late)).captures.every(({ paymentId }) => paymentId > late)).toBe(true);
    }
  });
});
