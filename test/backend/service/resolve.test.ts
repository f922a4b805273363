import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GatewayRefusal, GatewayUnavailable, type PaymentGateway } from "../../../src/backend/payments/gateway.ts";
import { keepFinding } from "../../../src/backend/service/findings.ts";
import { reconcile } from "../../../src/backend/service/reconcile.ts";
import { type Outcome, resolvePurchase } from "../../../src/backend/service/resolve.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import { POSTGRES } from "../../support/service.ts";
import { buy, organization, startBackend, type TestBackend } from "../support/backend.ts";
import { expectInvariants } from "../support/invariants.ts";
import { buyWaiting, send } from "../support/paying.ts";
import { onlyRenewal, setClock, subscriptionOf } from "../support/renewing.ts";

const DAY_MS = 86_400_000;

describe.skipIf(!POSTGRES)("the resolution of a review", () => {
  let backend: TestBackend;
  let id: number;

  beforeEach(async () => {
    backend = await startBackend("postgres");
  });
  afterEach(() => backend.close());

  const replace = (changes: Partial<PaymentGateway>) => Object.assign(backend.deps.gateway, changes);

  const resolve = (purchaseId: string, outcome: Outcome) => resolvePurchase(backend.deps, purchaseId, outcome);

  const rowOf = (purchaseId: string) =>
    backend.deps.database.selectFrom("purchases").selectAll().where("id", "=", purchaseId).executeTakeFirstOrThrow();

  async function toReview(purchaseId: string): Promise<string> {
    const changes = { state: "needs_review", completed_at: null, next_check_at: backend.clocks.billing + 1 } as const;
    await backend.deps.database.updateTable("purchases").set(changes).where("id", "=", purchaseId).execute();
    return purchaseId;
  }

  async function open(paymentMethod = "card_ok"): Promise<void> {
    const made = organization({ paymentMethod });
    id = made.id;
    await backend.addOrganization(made);
  }

  /** A purchase in review that the provider was paid for, or not. */
  async function reviewed(payment: "paid" | "open" | "processing" | "none"): Promise<string> {
    await open(
      { paid: "card_ok", open: "card_requires_approval", processing: "card_processing", none: "card_ok" }[payment],
    );
    if (payment === "open") return toReview((await buyWaiting(backend, id)).id);
    backend.crashAt({ paid: "B7", processing: null, none: "B3" }[payment]);
    await buy(backend, id, 5, "k");
    const { id: purchaseId } = await backend.deps.database
      .selectFrom("purchases")
      .select("id")
      .where("organization_id", "=", id)
      .executeTakeFirstOrThrow();
    backend.clocks.machine += 60_000;
    return toReview(purchaseId);
  }

  const refund = (amount: number | null) => {
    const { findCapture } = backend.deps.gateway;
    replace({
      async findCapture(paymentId) {
        const capture = await findCapture(paymentId);
        return capture && { ...capture, refunded: amount ?? capture.amount };
      },
    });
  };

  test("paid: fulfills what the provider was paid for, once, in the name of the operator", async () => {
    const purchaseId = await reviewed("paid");
    expect(await resolve(purchaseId, "paid")).toBe("fulfilled");
    await expect(resolve(purchaseId, "paid")).rejects.toMatchObject({ code: "not_in_review" });
    await expectInvariants(backend, id, 25);
    const events = backend.deps.database.selectFrom("events").select(["type", "actor"]);
    expect(await events.where("actor", "=", "operator").execute()).toEqual([
      { type: "purchase.succeeded", actor: "operator" },
    ]);
  });

  test.each(["open", "processing", "none"] as const)("paid: is refused for a payment that is %s", async (payment) => {
    const purchaseId = await reviewed(payment);
    await expect(resolve(purchaseId, "paid")).rejects.toMatchObject({ code: "not_resolvable" });
    const { state, lease_until } = await rowOf(purchaseId);
    expect([state, Number(lease_until)]).toEqual(["needs_review", 0]);
    expect((await subscriptionOf(backend, id)).licenses.purchased).toBe(25);
  });

  test.each([null, 1])("paid: is refused when %s was refunded", async (amount) => {
    const purchaseId = await reviewed("paid");
    refund(amount);
    const refused = {
      code: "not_resolvable",
      message: expect.stringMatching(/of which £\S+ was refunded; the price of the purchase is £/),
    };
    await expect(resolve(purchaseId, "paid")).rejects.toMatchObject(refused);
    await expectNothingGiven(purchaseId);
  });

  test("paid: is refused while it is being refunded", async () => {
    const purchaseId = await reviewed("paid");
    const { findCapture } = backend.deps.gateway;
    replace({
      async findCapture(paymentId) {
        const capture = await findCapture(paymentId);
        return capture && { ...capture, refundPending: capture.amount };
      },
    });
    const refused = { code: "not_resolvable", message: expect.stringMatching(/£\S+ is being refunded; the price/) };
    await expect(resolve(purchaseId, "paid")).rejects.toMatchObject(refused);
    await expectNothingGiven(purchaseId);
  });

  test("paid: is refused when another amount was taken", async () => {
    const purchaseId = await reviewed("paid");
    const { database } = backend.deps;
    await database.updateTable("purchases").set({ total: 1 }).where("id", "=", purchaseId).execute();
    await expect(resolve(purchaseId, "paid")).rejects.toMatchObject({ message: expect.stringContaining("£0.01") });
    await expectNothingGiven(purchaseId);
  });

  test("paid: refunds what was paid in a term that is over", async () => {
    const purchaseId = await reviewed("paid");
    setClock(backend, "2027-03-02T12:00:00Z");
    expect(await resolve(purchaseId, "paid")).toBe("refund_due");
    await sweep(backend.deps);
    expect((await rowOf(purchaseId)).state).toBe("refunded");
  });

  async function expectNothingGiven(purchaseId: string): Promise<void> {
    expect((await rowOf(purchaseId)).state).toBe("needs_review");
    expect(await backend.deps.database.selectFrom("ledger").selectAll().execute()).toEqual([]);
  }

  test("declined: cancels at the provider first, so that nobody can pay any more", async () => {
    const purchaseId = await reviewed("open");
    const { payment_id: paymentId } = await rowOf(purchaseId);
    expect(await resolve(purchaseId, "declined")).toBe("declined");
    expect((await backend.deps.gateway.read(paymentId ?? "")).status).toBe("canceled");
    expect(await rowOf(purchaseId)).toMatchObject({ payment_id: null, failure_code: "payment_not_found" });
    await expectInvariants(backend, id, 25);
  });

  test("declined: takes another payment for another attempt", async () => {
    const purchaseId = await reviewed("open");
    await resolve(purchaseId, "declined");
    const { database } = backend.deps;
    await database.updateTable("subscriptions").set({ payment_method: "card_ok" }).execute();
    expect((await send(backend, id, purchaseId, "payment")).status).toBe(200);
    expect((await rowOf(purchaseId)).state).toBe("fulfilled");
    await expectInvariants(backend, id, 25);
  });

  test("declined: ends what never got a payment", async () => {
    const purchaseId = await reviewed("none");
    expect(await resolve(purchaseId, "declined")).toBe("declined");
    await expectInvariants(backend, id, 25);
  });

  test.each([
    { payment: "paid", refunded: 0, why: /took £\S+ that was not refunded/ },
    { payment: "paid", refunded: 1, why: /took £\S+ that was not refunded/ },
    { payment: "processing", refunded: 0, why: /still being processed/ },
  ] as const)("declined: is refused for $payment, $refunded of it refunded", async ({ payment, refunded, why }) => {
    const purchaseId = await reviewed(payment);
    refund(refunded);
    await expect(resolve(purchaseId, "declined")).rejects.toMatchObject({
      code: "not_resolvable",
      message: expect.stringMatching(why),
    });
    await expectNothingGiven(purchaseId);
  });

  test("declined: ends what was refunded in full", async () => {
    const purchaseId = await reviewed("paid");
    refund(null);
    expect(await resolve(purchaseId, "declined")).toBe("declined");
    expect(await rowOf(purchaseId)).toMatchObject({ payment_id: null, failure_code: "payment_refunded" });
  });

  /** A renewal in review whose payment took money. */
  async function renewalInReview(): Promise<string> {
    await open();
    backend.crashAt("B7");
    setClock(backend, "2027-03-01T12:00:00Z");
    await sweep(backend.deps);
    const renewal = await onlyRenewal(backend, id);
    backend.clocks.machine += 60_000;
    return toReview(renewal.id);
  }

  test("declined: charges a renewal that was refunded again on its schedule, with another payment", async () => {
    const renewalId = await renewalInReview();
    await expect(resolve(renewalId, "declined")).rejects.toMatchObject({ code: "not_resolvable" });
    const { payment_id: before } = await rowOf(renewalId);
    const { findCapture } = backend.deps.gateway;
    await backend.deps.gateway.refund(before ?? "", "by hand");
    await expect(resolve(renewalId, "paid")).rejects.toMatchObject({ code: "not_resolvable" });
    expect(await resolve(renewalId, "declined")).toBe("declined");
    setClock(backend, backend.clocks.billing + DAY_MS);
    await sweep(backend.deps);
    const after = await rowOf(renewalId);
    expect(after).toMatchObject({ state: "fulfilled" });
    expect(after.payment_id).not.toBe(before);
    expect(await findCapture(after.payment_id ?? "")).toMatchObject({ refunded: 0 });
    expect((await reconcile(backend.deps, { from: 0 })).findings).toEqual([]);
  });

  test("is not needed for a renewal whose payment was canceled by hand: the next attempt makes another", async () => {
    await open("card_requires_approval");
    const { read } = backend.deps.gateway;
    replace({ confirm: async () => Promise.reject(new GatewayUnavailable("No answer")) });
    setClock(backend, "2027-03-01T12:00:00Z");
    await sweep(backend.deps);
    const { id: renewalId } = await onlyRenewal(backend, id);
    const { payment_id: before } = await rowOf(renewalId);
    replace({ read: async (paymentId) => ({ ...(await read(paymentId)), status: "canceled" }) });
    setClock(backend, backend.clocks.billing + 60_000);
    await sweep(backend.deps);
    expect(await rowOf(renewalId)).toMatchObject({ state: "declined", payment_id: null });
    replace({ read });
    setClock(backend, backend.clocks.billing + DAY_MS);
    await sweep(backend.deps);
    const { payment_id: after } = await rowOf(renewalId);
    expect(after).not.toBeNull();
    expect(after).not.toBe(before);
  });

  test("records a refund by hand of what was paid too late", async () => {
    await open("card_processing");
    const { body } = await buy(backend, id, 5, "k");
    replace({ refund: async () => "failed" });
    setClock(backend, "2027-03-01T12:00:00Z");
    await sweep(backend.deps);
    expect((await rowOf(body.id)).state).toBe("needs_review");
    for (const outcome of ["paid", "declined"] as const) {
      await expect(resolve(body.id, outcome)).rejects.toMatchObject({ code: "not_resolvable" });
    }
    refund(null);
    expect(await resolve(body.id, "declined")).toBe("refunded");
    expect(await backend.deps.database.selectFrom("credit_notes").select("number").execute()).toHaveLength(1);
  });

  test("leaves the purchase as it was when the provider does not answer, or refuses", async () => {
    const purchaseId = await reviewed("open");
    const fail = (error: Error) => async () => {
      throw error;
    };
    replace({ cancel: fail(new GatewayUnavailable("No answer")) });
    await expect(resolve(purchaseId, "declined")).rejects.toThrow(GatewayUnavailable);
    replace({ cancel: fail(new GatewayRefusal("No such payment", { isConflict: false })) });
    await expect(resolve(purchaseId, "declined")).rejects.toMatchObject({ code: "not_resolvable" });
    const { state, lease_until, next_check_at } = await rowOf(purchaseId);
    expect([state, Number(lease_until), Number(next_check_at)]).toEqual([
      "needs_review",
      0,
      backend.clocks.billing + 1,
    ]);
  });

  test("is refused for what a restore lost, and says what to do", async () => {
    const purchaseId = "pur_1_lost";
    const captured = { amount: 700, currency: "GBP" };
    const lost = { purchaseId, paymentId: "pay_1", organizationId: 1, kind: null, captured, booked: null };
    await keepFinding(backend.deps.database, { ...lost, finding: "unknownPurchase" });
    await expect(resolve(purchaseId, "paid")).rejects.toMatchObject({
      code: "not_resolvable",
      message: expect.stringContaining("payment pay_1"),
      hint: expect.stringContaining("Refund the payment in full"),
    });
  });

  test("is refused while a worker has the purchase, and for what needs no review", async () => {
    const purchaseId = await reviewed("paid");
    const { database } = backend.deps;
    const until = backend.clocks.machine + DAY_MS;
    await database.updateTable("purchases").set({ lease_until: until }).execute();
    await expect(resolve(purchaseId, "paid")).rejects.toMatchObject({ code: "not_in_review" });
    await expect(resolve("pur_1_unknown", "paid")).rejects.toMatchObject({ code: "not_found" });
  });
});
