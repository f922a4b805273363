import type { FastifyInstance } from "fastify";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { BackendDeps } from "../../../src/backend/deps.ts";
import type { Capture, Dispute, PaymentGateway } from "../../../src/backend/payments/gateway.ts";
import { openDisputes } from "../../../src/backend/service/disputes.ts";
import { openFindings } from "../../../src/backend/service/findings.ts";
import { handleEvents } from "../../../src/backend/service/webhookJob.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import { POSTGRES } from "../../support/service.ts";
import { organization, startBackend, type TestBackend } from "../support/backend.ts";
import { buyWaiting } from "../support/paying.ts";
import { deliver, type TestEvent, webhookApp } from "../support/webhooks.ts";

/** What the provider has said of a payment that was approved, refunded in part by somebody else, and disputed. */
const EVENTS = [
  "payment_intent.requires_action",
  "payment_intent.succeeded",
  "refund.created",
  "charge.refunded",
  "charge.dispute.created",
  "charge.dispute.updated",
] as const;

/** How many payments get their events at the same time. */
const AT_ONCE = 20;

describe.skipIf(!POSTGRES)("six events of a payment", () => {
  let backend: TestBackend;
  let deps: BackendDeps;
  let id: number;
  let app: FastifyInstance;

  beforeEach(async () => {
    backend = await startBackend("postgres");
    const seeded = organization({ paymentMethod: "card_requires_approval" });
    id = seeded.id;
    await backend.addOrganization(seeded);
    deps = { ...backend.deps, gateway: withRefundAndDispute(backend.deps.gateway) };
    app = webhookApp(deps);
  });
  afterEach(async () => {
    await app.close();
    await backend.close();
  });

  /** The provider's answers, with a part of each payment refunded and each payment disputed. */
  function withRefundAndDispute(gateway: PaymentGateway): PaymentGateway {
    const refunded = (capture: Capture | null) => capture && { ...capture, refunded: 100 };
    return {
      ...gateway,
      account: { mode: "test", seller: "SecureFlag" },
      read: async (paymentId) => ({ ...(await gateway.read(paymentId)), mode: "test" }),
      findCapture: async (paymentId) => refunded(await gateway.findCapture(paymentId)),
      findDispute: async (disputeId): Promise<Dispute> => ({
        id: disputeId,
        paymentId: disputeId.replace(/^du_/, ""),
        amount: { amount: 500, currency: "GBP" },
        status: "needs_response",
        reason: "fraudulent",
        isOpen: true,
        answerBefore: null,
      }),
    };
  }

  function eventOf(type: (typeof EVENTS)[number], paymentId: string, purchaseId: string): TestEvent {
    const metadata = { organizationId: String(id), purchaseId };
    if (type.startsWith("payment_intent.")) return { type, object: { id: paymentId, metadata } };
    const object = { payment_intent: paymentId, metadata: {} };
    return { type, object: { ...object, id: type.startsWith("charge.dispute.") ? `du_${paymentId}` : "re_1" } };
  }

  async function paymentOf(purchaseId: string): Promise<string> {
    const { payment_id } = await deps.database
      .selectFrom("purchases")
      .select("payment_id")
      .where("id", "=", purchaseId)
      .executeTakeFirstOrThrow();
    return payment_id ?? "";
  }

  /** What the orders of events left of their purchases, by purchase. Read once: each list is of all of them. */
  async function ends() {
    const { database } = deps;
    const states = await database.selectFrom("purchases").select(["id", "state"]).execute();
    const events = await database.selectFrom("events").select(["purchase_id", "type"]).orderBy("type").execute();
    const [findings, disputes] = [await openFindings(database), await openDisputes(database)];
    return new Map(
      states.map(({ id: purchaseId, state }) => {
        const ofPurchase = (found: { purchaseId: string }) => found.purchaseId === purchaseId;
        const audited = events.filter(({ purchase_id }) => purchase_id === purchaseId).map(({ type }) => type);
        const kinds = findings.filter(ofPurchase).map(({ finding }) => finding);
        return [purchaseId, { state, audited, findings: kinds, disputes: disputes.filter(ofPurchase).length }];
      }),
    );
  }

  function passTime() {
    backend.clocks.billing += 10;
    backend.clocks.machine += 10;
  }

  test("leave the same, in each of their 720 orders", { timeout: 180_000 }, async () => {
    const orders = permutations(EVENTS);
    expect(new Set(orders.map(String)).size).toBe(720);
    const sold = new Map<string, string>();
    for (let round = 0; round * AT_ONCE < orders.length; round += 1) {
      const payments = [];
      for (const order of orders.slice(round * AT_ONCE, (round + 1) * AT_ONCE)) {
        const { id: purchaseId } = await buyWaiting(backend, id, `order-${sold.size}`);
        const paymentId = await paymentOf(purchaseId);
        const approval = { paymentMethod: "card_ok", approvedByPerson: true, returnUrl: null };
        await deps.gateway.confirm(paymentId, { idempotencyKey: `${purchaseId}:outside`, ...approval });
        payments.push({ order, paymentId, purchaseId });
        sold.set(purchaseId, order.join(", "));
      }
      for (const [position] of EVENTS.entries()) {
        for (const { order, paymentId, purchaseId } of payments) {
          const event = eventOf(order[position] as (typeof EVENTS)[number], paymentId, purchaseId);
          passTime();
          expect(await deliver({ app, now: deps.now }, event)).toBe(200);
        }
        await handleEvents(deps, AT_ONCE);
        if (round % 2 === 0) await sweep(deps);
      }
      await sweep(deps);
      passTime();
      await handleEvents(deps, AT_ONCE);
    }
    const found = await ends();
    for (const [purchaseId, order] of sold) {
      expect(found.get(purchaseId), order).toEqual({
        state: "fulfilled",
        audited: ["payment.disputed", "purchase.accepted", "purchase.requires_approval", "purchase.succeeded"],
        findings: ["refundNotBooked"],
        disputes: 1,
      });
    }
  });
});

function permutations<Item>(items: readonly Item[]): Item[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, index) => permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest]));
}
