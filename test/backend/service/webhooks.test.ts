import type { FastifyInstance } from "fastify";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { BackendDeps } from "../../../src/backend/deps.ts";
import { createMetrics, type Metrics } from "../../../src/backend/service/metrics.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import { buy, call, NOON, organization, SimulatedCrash, startBackend, type TestBackend } from "../support/backend.ts";
import { buyWaiting } from "../support/paying.ts";
import { DIALECTS } from "../support/stores.ts";
import { type Delivery, deliver, SECRETS, type TestEvent, webhookApp } from "../support/webhooks.ts";

describe.each(DIALECTS)("a webhook on %s", (dialect) => {
  let backend: TestBackend;
  let id: number;
  let metrics: Metrics;
  let app: FastifyInstance;

  beforeEach(async () => {
    backend = await startBackend(dialect);
    const seeded = organization({ paymentMethod: "card_requires_approval" });
    id = seeded.id;
    await backend.addOrganization(seeded);
    metrics = createMetrics();
    app = webhookApp(inTestMode(backend.deps), metrics);
  });
  afterEach(async () => {
    await app.close();
    await backend.close();
  });

  /** The provider's test mode, of which the events are. */
  function inTestMode(deps: BackendDeps): BackendDeps {
    return { ...deps, gateway: { ...deps.gateway, account: { mode: "test", seller: "SecureFlag" } } };
  }

  const send = (event: TestEvent, delivery: Delivery = {}, to = app) =>
    deliver({ app: to, now: backend.deps.now }, event, delivery);

  const stored = () => backend.deps.database.selectFrom("webhook_events").selectAll().execute();

  const stateOf = async (purchaseId: string) =>
    backend.deps.database
      .selectFrom("purchases")
      .select(["state", "next_check_at", "payment_id"])
      .where("id", "=", purchaseId)
      .executeTakeFirstOrThrow();

  const aboutPayment = (purchaseId: string): TestEvent => ({
    type: "payment_intent.succeeded",
    object: { id: "pi_1", metadata: { organizationId: String(id), purchaseId } },
  });

  /** Approves a waiting payment where the backend does not see it. */
  async function approve(purchaseId: string): Promise<void> {
    const { payment_id: paymentId } = await stateOf(purchaseId);
    await backend.deps.gateway.confirm(paymentId ?? "", {
      idempotencyKey: `${purchaseId}:outside`,
      paymentMethod: "card_ok",
      approvedByPerson: true,
      returnUrl: null,
    });
  }

  const ACCOUNT_EVENT: TestEvent = { id: "evt_1", type: "customer.deleted", object: { id: "cus_1" } };

  test.each<[string, Delivery, number]>([
    ["by the newer secret", { secret: SECRETS[0] }, 200],
    ["by the older secret", { secret: SECRETS[1] }, 200],
    ["5 minutes ago", { seconds: -300 }, 200],
    ["a minute ahead", { seconds: 60 }, 200],
    ["by another secret", { secret: "whsec_other" }, 400],
    ["more than 5 minutes ago", { seconds: -301 }, 400],
    ["more than a minute ahead", { seconds: 61 }, 400],
    ["over another body", { body: '{"id":"evt_2"}' }, 400],
    ["over no body", { body: "" }, 400],
    ["not at all", { header: null }, 400],
    ["in no known way", { header: "nonsense" }, 400],
    ["with a time that is none", { header: "t=soon,v1=00" }, 400],
  ])("that was signed %s is answered as such", async (_how, delivery, status) => {
    expect(await send(ACCOUNT_EVENT, delivery)).toBe(status);
    expect((await stored()).map((event) => event.id)).toEqual(status === 200 ? ["evt_1"] : []);
    const result =
      status === 200 ? { type: "customer.deleted", result: "stored" } : { type: "none", result: "refused" };
    const { values } = await metrics.webhooks.get();
    expect(values).toEqual([expect.objectContaining({ labels: result, value: 1 })]);
  });

  test.each([
    [256 * 1024, 400],
    [256 * 1024 + 1, 413],
  ])("of %i bytes is answered with %i", async (bytes, status) => {
    expect(await send(ACCOUNT_EVENT, { body: " ".repeat(bytes) })).toBe(status);
    expect(await stored()).toEqual([]);
  });

  test("of the other mode, or of a type that changes nothing, is accepted and left alone", async () => {
    const purchase = await buyWaiting(backend, id);
    const before = await stateOf(purchase.id);
    expect(await send({ ...aboutPayment(purchase.id), livemode: true })).toBe(200);
    expect(await send({ ...aboutPayment(purchase.id), type: "product.created" })).toBe(200);
    expect(await stored()).toEqual([]);
    expect(await stateOf(purchase.id)).toEqual(before);
    expect(backend.log.join("\n")).toContain("of the other mode");
    const text = await metrics.registry.metrics();
    expect(text).toContain('webhooks_total{type="payment_intent.succeeded",result="other_mode"} 1');
    expect(text).toContain('webhooks_total{type="product.created",result="ignored"} 1');
  });

  test("makes a payment count at once that nobody waits for", async () => {
    const purchase = await buyWaiting(backend, id);
    await approve(purchase.id);
    await sweep(backend.deps);
    expect(await stateOf(purchase.id)).toMatchObject({ state: "requires_approval" });
    expect(await send(aboutPayment(purchase.id))).toBe(200);
    await sweep(backend.deps);
    expect(await stateOf(purchase.id)).toMatchObject({ state: "fulfilled" });
    expect(await metrics.registry.metrics()).toContain("webhook_lag_seconds_sum 2");
  });

  test("that arrives again changes nothing", async () => {
    const purchase = await buyWaiting(backend, id);
    const event = { ...aboutPayment(purchase.id), id: "evt_1" };
    expect(await send(event)).toBe(200);
    await sweep(backend.deps);
    const after = await stateOf(purchase.id);
    expect(await send(event)).toBe(200);
    expect(await stateOf(purchase.id)).toEqual(after);
    expect(await metrics.registry.metrics()).toContain('type="payment_intent.succeeded",result="duplicate"} 1');
  });

  test("that reaches two instances at once is stored by one", async () => {
    const other = webhookApp(inTestMode(backend.deps), metrics);
    const events = Array.from({ length: 10 }, (_, index) => ({ ...ACCOUNT_EVENT, id: `evt_${index}` }));
    const statuses = await Promise.all(events.flatMap((event) => [send(event), send(event, {}, other)]));
    await other.close();
    expect(new Set(statuses)).toEqual(new Set([200]));
    const text = await metrics.registry.metrics();
    for (const result of ["stored", "duplicate"]) expect(text).toContain(`result="${result}"} 10`);
  });

  test.each([
    ["before it is committed", 1, []],
    ["before it is answered", 2, ["evt_1"]],
  ])("counts once if the instance is killed %s", async (_when, reached, kept) => {
    const purchase = await buyWaiting(backend, id);
    await approve(purchase.id);
    let count = 0;
    const killed = webhookApp({
      ...inTestMode(backend.deps),
      reach(point) {
        if (point !== "B11") return;
        count += 1;
        if (count === reached) throw new SimulatedCrash(point);
      },
    });
    const event = { ...aboutPayment(purchase.id), id: "evt_1" };
    expect(await send(event, {}, killed)).toBe(500);
    await killed.close();
    expect((await stored()).map((row) => row.id)).toEqual(kept);
    expect(await send(event)).toBe(200);
    await sweep(backend.deps);
    expect(await stateOf(purchase.id)).toMatchObject({ state: "fulfilled" });
    expect(await stored()).toHaveLength(1);
  });

  test("about a purchase that a worker has is not lost", async () => {
    const purchase = await buyWaiting(backend, id);
    const { gateway } = backend.deps;
    expect(await send(aboutPayment(purchase.id))).toBe(200);
    let isFirst = true;
    await sweep({
      ...backend.deps,
      gateway: {
        ...gateway,
        async read(paymentId) {
          const payment = await gateway.read(paymentId);
          if (isFirst) {
            isFirst = false;
            await approve(purchase.id);
            backend.clocks.billing += 1;
            expect(await send(aboutPayment(purchase.id))).toBe(200);
          }
          return payment;
        },
      },
    });
    await sweep(backend.deps);
    expect(await stateOf(purchase.id)).toMatchObject({ state: "fulfilled" });
  });

  test.each(["a payment that belongs to nothing here", "a purchase of nobody"])(
    "about %s does no harm",
    async (what) => {
      const purchaseId = what.startsWith("a payment") ? "ord_7" : `pur_${id}_0123456789abcdef01234567`;
      expect(await send(aboutPayment(purchaseId))).toBe(200);
      const [event] = await stored();
      // What names one of ours, unknown as after a restore, is compared with the ledger.
      expect(event).toMatchObject({ object_id: what.startsWith("a payment") ? null : "pi_1" });
    },
  );

  test("that many are sent of has a limit of its own", async () => {
    const statuses = await Promise.all(
      Array.from({ length: 1_001 }, () => send(ACCOUNT_EVENT, { header: null, body: "x" })),
    );
    expect(statuses.filter((status) => status === 429)).toHaveLength(1);
    const { status } = await buy(backend, id, 1, "key");
    expect(status).toBe(202);
  });

  test("is not part of the contract", async () => {
    const { body } = await call({ app }, "GET", "/openapi.json", { atRoot: true });
    expect(Object.keys(body.paths)).not.toContain("/webhooks/stripe");
    expect(backend.clocks.machine).toBe(NOON);
  });
});
