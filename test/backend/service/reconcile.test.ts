import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GatewayUnavailable, type PaymentGateway } from "../../../src/backend/payments/gateway.ts";
import { renewDue } from "../../../src/backend/renewals/renew.ts";
import { keepFinding, openFindings, readReconciled } from "../../../src/backend/service/findings.ts";
import { type Reconciliation, reconcile } from "../../../src/backend/service/reconcile.ts";
import { reconcileIfDue } from "../../../src/backend/service/reconcileJob.ts";
import { listReview } from "../../../src/backend/service/review.ts";
import { POSTGRES } from "../../support/service.ts";
import { buy, NOON, organization, startBackend, type TestBackend } from "../support/backend.ts";
import { useCardProvider } from "../support/cardProvider.ts";
import { expectInvariants } from "../support/invariants.ts";
import { act, addressOf, buyWaiting } from "../support/paying.ts";
import { onlyRenewal, setClock } from "../support/renewing.ts";

const DAY_MS = 24 * 3_600_000;

const kindsOf = ({ findings }: Reconciliation) => findings.map(({ finding }) => finding).sort();

describe.skipIf(!POSTGRES)("a reconciliation", () => {
  let backend: TestBackend;
  let id: number;

  beforeEach(async () => {
    backend = await startBackend("postgres");
    const seeded = organization();
    id = seeded.id;
    await backend.addOrganization(seeded);
  });
  afterEach(() => backend.close());

  const run = (from = NOON - DAY_MS) => reconcile(backend.deps, { from });

  const bought = async (key: string): Promise<string> => {
    const { status, body } = await buy(backend, id, 1, key);
    expect(status).toBe(201);
    return body.id;
  };

  /** Answers of the provider with some of its payments changed. */
  function provider(changes: Partial<PaymentGateway>): TestBackend["deps"] {
    return { ...backend.deps, gateway: { ...backend.deps.gateway, ...changes } };
  }

  /** A payment at the provider that took money for a purchase. */
  async function pay(purchaseId: string): Promise<string> {
    const { gateway } = backend.deps;
    const payment = await gateway.create({
      idempotencyKey: `${purchaseId}:create`,
      purchaseId,
      kind: "purchase",
      organizationId: 1,
      description: "Licenses",
      customer: null,
      amount: { amount: 500, currency: "GBP" },
      paymentMethod: "card_ok",
    });
    const idempotencyKey = `${purchaseId}:confirm:0`;
    await gateway.confirm(payment.id, {
      idempotencyKey,
      paymentMethod: "card_ok",
      approvedByPerson: false,
      returnUrl: null,
    });
    return payment.id;
  }

  test("finds nothing where both agree, also what was captured before it was booked", async () => {
    await bought("key-1");
    backend.clocks.billing += 60_000;
    await bought("key-2");
    expect(await run()).toMatchObject({ payments: 2, advanced: 0, findings: [] });
    expect(await run(NOON + 1)).toMatchObject({ payments: 1, findings: [] });
    await backend.deps.database.updateTable("ledger").set({ at: backend.clocks.billing }).execute();
    expect(await run(backend.clocks.billing)).toMatchObject({ payments: 2, findings: [] });
    expect(await readReconciled(backend.deps.database)).toEqual({
      until: backend.clocks.billing,
      differences: { GBP: 0 },
    });
  });

  test("advances a purchase that was captured and not booked", async () => {
    backend.crashAt("B7");
    await buy(backend, id, 1, "key-1");
    expect(await backend.deps.database.selectFrom("purchases").select("state").execute()).toEqual([
      { state: "charging" },
    ]);
    backend.clocks.machine += 60_000;
    expect(await run()).toMatchObject({ payments: 1, advanced: 1, findings: [] });
    await expectInvariants(backend, id, 25);
    expect(await run()).toMatchObject({ advanced: 0, findings: [] });
  });

  test("advances a purchase that waits for a person who has paid", async () => {
    const waiting = organization({ paymentMethod: "card_requires_approval" });
    await backend.addOrganization(waiting);
    const { id: purchaseId } = await buyWaiting(backend, waiting.id);
    const row = await backend.deps.database
      .selectFrom("purchases")
      .select("payment_id")
      .where("id", "=", purchaseId)
      .executeTakeFirstOrThrow();
    const attempt = { idempotencyKey: "paid", paymentMethod: "card_ok", approvedByPerson: true, returnUrl: null };
    await backend.deps.gateway.confirm(row.payment_id ?? "", attempt);
    expect(await run()).toMatchObject({ advanced: 1, findings: [] });
    await expectInvariants(backend, waiting.id, 25);
  });

  test("advances a declined renewal that its person's bank has approved since", async () => {
    const provider = useCardProvider(backend);
    const made = organization({ paymentMethod: null });
    await backend.addOrganization(made);
    const method = provider.save(`cus_${made.id}`, "card_requires_approval");
    await backend.deps.database
      .updateTable("subscriptions")
      .set({ customer_id: `cus_${made.id}`, payment_method: method, payment_method_label: "Visa" })
      .where("organization_id", "=", made.id)
      .execute();
    setClock(backend, "2027-03-01T12:00:00Z");
    await renewDue(backend.deps, made.id);
    const address = addressOf(await onlyRenewal(backend, made.id));
    await act(backend, address, { action: "pay" });
    const { payment_id } = await backend.deps.database
      .selectFrom("purchases")
      .select("payment_id")
      .where("organization_id", "=", made.id)
      .executeTakeFirstOrThrow();
    await provider.decide(payment_id ?? "", true);
    expect(await run()).toMatchObject({ advanced: 1, findings: [] });
    await expectInvariants(backend, made.id, 25);
  });

  test("keeps a payment of an unknown purchase for review, and gives nothing for it", async () => {
    const lost = `pur_${id}_lost`;
    const paymentId = await pay(lost);
    await pay("pur_of_nobody");
    const result = await run();
    expect(kindsOf(result)).toEqual(["unknownPurchase", "unknownPurchase"]);
    expect(result.differences).toEqual(new Map([["GBP", 1_000]]));
    expect(await listReview(backend.deps.database)).toEqual([
      expect.objectContaining({
        id: lost,
        organizationId: id,
        kind: "purchase",
        paymentId,
        finding: "unknownPurchase",
      }),
      expect.objectContaining({ id: "pur_of_nobody", organizationId: null, total: { amount: 500, currency: "GBP" } }),
    ]);
    expect((await backend.deps.gateway.findCapture(paymentId))?.refunded).toBe(0);
    const later = await run(backend.clocks.billing + DAY_MS);
    expect(kindsOf(later)).toEqual(["unknownPurchase", "unknownPurchase"]);
    await backend.deps.gateway.refund(paymentId, "refund");
    expect((await run(backend.clocks.billing + DAY_MS)).findings.map(({ purchaseId }) => purchaseId)).toEqual([
      "pur_of_nobody",
    ]);
    expect(await openFindings(backend.deps.database)).toHaveLength(1);
  });

  test("takes the payment of a purchase that has saved none, and books it once", async () => {
    await bought("key-1");
    await backend.deps.database.updateTable("purchases").set({ payment_id: null }).execute();
    expect(await run()).toMatchObject({ payments: 1, findings: [] });
  });

  test("drops a difference once neither side knows the payment", async () => {
    const { database } = backend.deps;
    const gone = { purchaseId: `pur_${id}_gone`, organizationId: id, kind: null, paymentId: "pay_gone" };
    const captured = { amount: 1, currency: "GBP" };
    await keepFinding(database, { ...gone, finding: "unknownPurchase", captured, booked: null });
    expect(await run()).toMatchObject({ payments: 0, findings: [] });
    expect(await openFindings(database)).toEqual([]);
  });

  test("keeps a second payment of a purchase", async () => {
    const purchaseId = await bought("key-1");
    const { gateway } = backend.deps;
    const second = {
      idempotencyKey: "second",
      purchaseId,
      kind: "purchase",
      organizationId: 1,
      description: "Licenses",
      customer: null,
      paymentMethod: "card_ok",
    } as const;
    const { id: paymentId } = await gateway.create({ ...second, amount: { amount: 700, currency: "GBP" } });
    const attempt = { idempotencyKey: "second", paymentMethod: "card_ok", approvedByPerson: false, returnUrl: null };
    await gateway.confirm(paymentId, attempt);
    expect((await run()).findings).toEqual([
      expect.objectContaining({ finding: "unknownPurchase", purchaseId, paymentId, booked: null }),
    ]);
  });

  test.each([
    ["amountDiffers", { amount: 1 }, undefined],
    ["amountDiffers", { currency: "EUR" }, undefined],
    ["refundNotBooked", { refunded: 100 }, undefined],
    ["notCaptured", null, undefined],
    ["refundNotMade", {}, "refund" as const],
  ])("finds %s: the provider says %j", async (finding, changes, booked) => {
    const purchaseId = await bought("key-1");
    const { database, gateway } = backend.deps;
    if (booked) {
      const charge = await database.selectFrom("ledger").selectAll().executeTakeFirstOrThrow();
      const { id: _, ...entry } = charge;
      await database
        .insertInto("ledger")
        .values({ ...entry, kind: booked })
        .execute();
    }
    const deps = provider({
      async listCaptures(from, after) {
        const { captures } = await gateway.listCaptures(from, after);
        return {
          captures: changes === null ? [] : captures.map((capture) => ({ ...capture, ...changes })),
          next: null,
        };
      },
      async findCapture(paymentId) {
        const capture = await gateway.findCapture(paymentId);
        return capture && changes && { ...capture, ...changes };
      },
    });
    const result = await reconcile(deps, { from: NOON - DAY_MS });
    expect(result.findings).toEqual([expect.objectContaining({ finding, purchaseId, organizationId: id })]);
    expect(Math.max(...result.differences.values())).toBeGreaterThan(0);
    expect(await run()).toMatchObject({ findings: booked ? [{ finding }] : [] });
  });

  test("does not take a change between two readings for a difference", async () => {
    await bought("key-1");
    const { gateway } = backend.deps;
    const deps = provider({
      async listCaptures(from, after) {
        const { captures } = await gateway.listCaptures(from, after);
        return { captures: captures.map((capture) => ({ ...capture, refunded: 100 })), next: null };
      },
    });
    expect((await reconcile(deps, { from: 0 })).findings).toEqual([]);
  });

  test("finds the same twice at once, and settles a purchase once", async () => {
    backend.crashAt("B7");
    await buy(backend, id, 1, "key-1");
    backend.clocks.machine += 60_000;
    await pay(`pur_${id}_lost`);
    const [one, other] = await Promise.all([run(), run()]);
    expect([kindsOf(one), kindsOf(other)]).toEqual([["unknownPurchase"], ["unknownPurchase"]]);
    const receipts = await backend.deps.database.selectFrom("receipts").select("number").execute();
    expect(receipts).toEqual([{ number: 1 }]);
    expect(await openFindings(backend.deps.database)).toHaveLength(1);
  });

  test("reads every page, and ends without an answer from the provider", async () => {
    for (const key of ["1", "2", "3"]) await bought(key);
    const { gateway } = backend.deps;
    const deps = provider({
      async listCaptures(from, after) {
        const { captures } = await gateway.listCaptures(from, after);
        return { captures: captures.slice(0, 1), next: captures.length > 1 ? (captures[0]?.paymentId ?? null) : null };
      },
      findCapture: async () => {
        throw new GatewayUnavailable("no answer");
      },
    });
    expect(await reconcile(deps, { from: 0 })).toMatchObject({ payments: 3, findings: [] });
    await pay(`pur_${id}_lost`);
    await expect(reconcile(deps, { from: 0 })).rejects.toBeInstanceOf(GatewayUnavailable);
  });

  test("runs once a day on one instance, and sooner after a failure", async () => {
    await bought("key-1");
    const runs = await Promise.all([1, 2, 3].map(() => reconcileIfDue(backend.deps)));
    expect(runs.filter(Boolean)).toHaveLength(1);
    expect(backend.log.at(-1)).toBe("reconciled 1 payments: 0 advanced, 0 to review");
    backend.clocks.billing += DAY_MS - 1;
    expect(await reconcileIfDue(backend.deps)).toBe(false);
    backend.clocks.billing += 1;
    const broken = provider({
      listCaptures: async () => {
        throw new GatewayUnavailable("no answer");
      },
    });
    await expect(reconcileIfDue(broken)).rejects.toBeInstanceOf(GatewayUnavailable);
    expect(await reconcileIfDue(backend.deps)).toBe(false);
    backend.clocks.billing += 3_600_000;
    expect(await reconcileIfDue(backend.deps)).toBe(true);
  });

  test("is not left to an instance that ended in the middle of it", async () => {
    const ended = AbortSignal.abort();
    await bought("key-1");
    await expect(reconcileIfDue(backend.deps, ended)).rejects.toThrow(/abort/);
    expect(await reconcileIfDue(backend.deps)).toBe(true);
  });
});
