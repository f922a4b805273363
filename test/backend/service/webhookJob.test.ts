import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { BackendDeps } from "../../../src/backend/deps.ts";
import { type Dispute, GatewayRefusal, GatewayUnavailable } from "../../../src/backend/payments/gateway.ts";
import { listReview } from "../../../src/backend/service/review.ts";
import { handleEvents } from "../../../src/backend/service/webhookJob.ts";
import { POSTGRES } from "../../support/service.ts";
import { buy, organization, startBackend, type TestBackend } from "../support/backend.ts";

describe.skipIf(!POSTGRES)("events that are compared", () => {
  let backend: TestBackend;
  let purchaseId: string;
  let paymentId: string;
  /** The dispute, and what was refunded, at the provider. */
  let dispute: Dispute;
  let refunded = 0;
  let failure: Error | null = null;

  beforeEach(async () => {
    backend = await startBackend("postgres");
    const seeded = organization();
    await backend.addOrganization(seeded);
    purchaseId = (await buy(backend, seeded.id, 5, "key")).body.id;
    paymentId = backend.captures()[0]?.paymentId ?? "";
    const amount = { amount: 500, currency: "GBP" };
    const status = "needs_response";
    dispute = { id: "du_1", paymentId, amount, status, reason: "fraudulent", isOpen: true, answerBefore: null };
    refunded = 0;
    failure = null;
  });
  afterEach(() => backend.close());

  const deps = (): BackendDeps => {
    const { gateway } = backend.deps;
    return {
      ...backend.deps,
      gateway: {
        ...gateway,
        async read(id) {
          if (failure) throw failure;
          return gateway.read(id);
        },
        async findCapture(id) {
          const capture = await gateway.findCapture(id);
          return capture && { ...capture, refunded };
        },
        findDispute: async () => dispute,
      },
    };
  };

  let events = 0;

  async function receive(type: string, objectId: string): Promise<boolean> {
    events += 1;
    const now = backend.clocks.machine;
    const row = { id: `evt_${events}`, type, object_id: objectId, received_at: now, check_at: now };
    await backend.deps.database.insertInto("webhook_events").values(row).execute();
    return handleEvents(deps(), 10);
  }

  const audited = async () => {
    const rows = await backend.deps.database.selectFrom("events").select("type").orderBy("number").execute();
    return rows.map(({ type }) => type).filter((type) => type.includes("dispute"));
  };

  const open = () =>
    backend.deps.database.selectFrom("webhook_events").select("id").where("check_at", "is not", null).execute();

  test("list a dispute until it is closed, whatever is heard later", async () => {
    await receive("charge.dispute.created", "du_1");
    await receive("charge.dispute.updated", "du_1");
    const [listed, ...more] = await listReview(backend.deps.database);
    expect(more).toEqual([]);
    expect(listed).toMatchObject({ id: purchaseId, paymentId, total: dispute.amount, finding: "disputed" });
    dispute = { ...dispute, status: "lost", isOpen: false };
    await receive("charge.dispute.closed", "du_1");
    dispute = { ...dispute, status: "under_review", isOpen: true };
    await receive("charge.dispute.updated", "du_1");
    expect(await listReview(backend.deps.database)).toEqual([]);
    expect(await audited()).toEqual(["payment.disputed", "dispute.closed"]);
    const { licenses } = await backend.deps.database
      .selectFrom("subscriptions")
      .select("licenses")
      .executeTakeFirstOrThrow();
    expect(licenses).toBe(30);
  });

  test("list what somebody else refunded, and nothing once both sides agree", async () => {
    refunded = 100;
    await receive("charge.refunded", paymentId);
    expect(await listReview(backend.deps.database)).toMatchObject([{ id: purchaseId, finding: "refundNotBooked" }]);
    refunded = 0;
    await receive("refund.failed", paymentId);
    expect(await listReview(backend.deps.database)).toEqual([]);
  });

  test("wait for a provider that does not answer, and not for one that refuses", async () => {
    failure = new GatewayUnavailable("No answer");
    refunded = 100;
    await receive("refund.created", paymentId);
    expect(await handleEvents(deps(), 10)).toBe(false);
    backend.clocks.machine += 60_000;
    failure = null;
    expect(await handleEvents(deps(), 10)).toBe(true);
    expect(await listReview(backend.deps.database)).toHaveLength(1);
    failure = new GatewayRefusal("No such payment", { isConflict: false });
    await receive("refund.created", "pi_unknown");
    expect(await open()).toEqual([]);
  });

  test("leave disputes of payments alone that are not for licenses", async () => {
    dispute = { ...dispute, paymentId: null };
    await receive("charge.dispute.created", "du_1");
    expect(await listReview(backend.deps.database)).toEqual([]);
    expect(await open()).toEqual([]);
  });
});
