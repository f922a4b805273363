import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GatewayUnavailable, type PaymentGateway } from "../../../src/backend/payments/gateway.ts";
import {
  LEASE_MS,
  leasePurchase,
  reclaimLeases,
  renewLease,
  StaleLease,
} from "../../../src/backend/purchases/leases.ts";
import { advancePurchase } from "../../../src/backend/purchases/processor.ts";
import { nextCheck } from "../../../src/backend/purchases/schedule.ts";
import { fulfillPurchase } from "../../../src/backend/purchases/settle.ts";
import { cancelOrphans, sweep } from "../../../src/backend/sweep.ts";
import {
  buy,
  call,
  NOON,
  organization,
  SimulatedCrash,
  startBackend,
  type TestBackend,
  tokenOf,
} from "../support/backend.ts";
import { expectInvariants } from "../support/invariants.ts";
import { DIALECTS } from "../support/stores.ts";

describe.each(DIALECTS)("workers on %s", (dialect) => {
  let backend: TestBackend;
  const open = async (paymentMethod = "card_ok") => {
    const made = organization({ paymentMethod });
    await backend.addOrganization(made);
    return made.id;
  };
  const onlyPurchase = async (id: number) =>
    (await call(backend, "GET", `/organizations/${id}/purchases`, { token: tokenOf(id) })).body.items[0];
  /** Buys with an armed crash point: the worker crashes there, and its lease stays until it expires. */
  const buyWithCrash = async (id: number, point: string) => {
    backend.crashAt(point);
    const answer = await buy(backend, id, 5, `crash-${point}`);
    backend.crashAt(null);
    return answer;
  };
  const unsent = () => backend.deps.database.selectFrom("outbox").selectAll().where("sent_at", "is", null).execute();
  /** The same backend with some calls of the provider replaced. */
  const withGateway = (changes: Partial<PaymentGateway>) => ({
    ...backend.deps,
    gateway: { ...backend.deps.gateway, ...changes },
  });
  const silent = async () => {
    throw new GatewayUnavailable("no answer");
  };
  const recover = async () => {
    backend.clocks.machine += LEASE_MS;
    backend.clocks.billing += 6_000;
    await sweep(backend.deps);
  };

  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  afterAll(() => backend.close());

  test.each(["B0", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9"])(
    "after a crash at %s, the retry and the sweep make one purchase",
    async (point) => {
      const id = await open();
      const first = await buyWithCrash(id, point);
      await recover();
      const again = await buy(backend, id, 5, `other-${point}`, {});
      const found = await call(backend, "GET", `/organizations/${id}/purchases/by-key/crash-${point}`, {
        token: tokenOf(id),
      });
      expect(first.status === 500 || first.status === 202 || first.status === 201).toBe(true);
      expect(again.status).toBe(201);
      expect(found.status).toBe(point === "B0" ? 404 : 200);
      if (point !== "B0") expect(found.body.status).toBe("succeeded");
      await expectInvariants(backend, id, 25);
    },
  );

  test("a notification that was sent but not marked is sent again, and deduplicated by its ID", async () => {
    const id = await open();
    await buy(backend, id, 1, "k");
    backend.crashAt("B10");
    await sweep(backend.deps);
    expect(backend.log.at(-1)).toContain("B10");
    expect(await unsent()).toHaveLength(1);
    await sweep(backend.deps);
    expect(await unsent()).toHaveLength(1);
    backend.clocks.machine += 60_000;
    await sweep(backend.deps);
    const ours = backend.delivered().filter((notification) => notification.organizationId === id);
    expect(ours.map((notification) => notification.type)).toEqual(["purchase.succeeded"]);
    expect(await unsent()).toEqual([]);
  });

  test("one of two workers gets the lease, and writes of the first are rejected once it lost it", async () => {
    const id = await open("card_processing");
    await buy(backend, id, 5, "k");
    const purchase = { organization_id: id, id: (await onlyPurchase(id)).id };
    const { database } = backend.deps;
    const leases = await Promise.all([1, 2, 3].map(() => leasePurchase(database, purchase, backend.clocks)));
    const [first] = leases.filter((lease) => lease !== null);
    expect(leases.filter((lease) => lease !== null)).toHaveLength(1);
    backend.clocks.machine += LEASE_MS;
    const second = await leasePurchase(database, purchase, backend.clocks);
    expect(second?.epoch).toBe((first?.epoch ?? 0) + 1);
    if (!first) throw new SimulatedCrash("no lease");
    await expect(fulfillPurchase({ database, seller: null }, first, NOON)).rejects.toThrow(StaleLease);
    backend.clocks.machine += LEASE_MS;
    backend.clocks.billing += 2_000;
    await advancePurchase(backend.deps, purchase);
    expect((await onlyPurchase(id)).status).toBe("succeeded");
    await expectInvariants(backend, id, 25);
  });

  test("two concurrent sweeps charge and fulfill once", async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, () => open()));
    await Promise.all(ids.map((id) => buyWithCrash(id, "B2")));
    backend.clocks.machine += LEASE_MS;
    backend.clocks.billing += 6_000;
    await Promise.all([sweep(backend.deps), sweep(backend.deps)]);
    await recover();
    for (const id of ids) await expectInvariants(backend, id, 25);
    expect(backend.captures().length).toBeGreaterThanOrEqual(10);
  });

  test("a backend that owns its data reclaims its predecessor's leases at once", async () => {
    const id = await open();
    const crashed = await buyWithCrash(id, "B5");
    expect(crashed.status).toBe(202);
    await reclaimLeases(backend.deps.database, backend.clocks.billing);
    await sweep(backend.deps);
    expect((await onlyPurchase(id)).status).toBe("succeeded");
    await expectInvariants(backend, id, 25);
  });

  test("after 24 hours without evidence a purchase needs review; it is still checked, and never marked failed", async () => {
    const id = await open("card_processing");
    await buy(backend, id, 5, "k");
    backend.clocks.billing += 24 * 3_600_000;
    await sweep(withGateway({ read: silent }));
    expect((await onlyPurchase(id)).status).toBe("needs_review");
    backend.clocks.billing += 24 * 3_600_000;
    backend.clocks.machine += LEASE_MS;
    await sweep(backend.deps);
    expect((await onlyPurchase(id)).status).toBe("succeeded");
    await expectInvariants(backend, id, 25);
    backend.clocks.billing = NOON;
  });

  test("the status processing counts as evidence, however long it takes", async () => {
    const id = await open("card_processing");
    await buy(backend, id, 5, "k");
    backend.clocks.billing += 48 * 3_600_000;
    const read: PaymentGateway["read"] = async (paymentId) => ({
      ...(await backend.deps.gateway.read(paymentId)),
      status: "processing",
    });
    await sweep(withGateway({ read }));
    expect((await onlyPurchase(id)).status).toBe("processing");
    backend.clocks.billing += 24 * 3_600_000;
    backend.clocks.machine += LEASE_MS;
    await sweep(backend.deps);
    expect((await onlyPurchase(id)).status).toBe("succeeded");
    await expectInvariants(backend, id, 25);
    backend.clocks.billing = NOON;
  });

  test("a confirmation without a response is tried once per run, and its purchase stays unknown", async () => {
    const id = await open();
    let confirms = 0;
    const deps = withGateway({
      confirm: async () => {
        confirms += 1;
        return silent();
      },
    });
    await buyWithCrash(id, "B5");
    backend.clocks.machine += LEASE_MS;
    await advancePurchase(deps, { organization_id: id, id: (await onlyPurchase(id)).id });
    expect(confirms).toBe(1);
    expect((await onlyPurchase(id)).status).toBe("processing");
    await recover();
    expect((await onlyPurchase(id)).status).toBe("succeeded");
    await expectInvariants(backend, id, 25);
  });

  test.each(["B2", "B4", "B5"])(
    "an order that crashed at %s and was never paid is not charged a day later",
    async (point) => {
      const id = await open();
      await buyWithCrash(id, point);
      backend.clocks.machine += LEASE_MS;
      backend.clocks.billing += 25 * 3_600_000;
      await sweep(backend.deps);
      expect(await onlyPurchase(id)).toMatchObject({ status: "failed", failure: { code: "payment_canceled" } });
      await expectInvariants(backend, id, 25);
      backend.clocks.billing = NOON;
    },
  );

  test("a refund without a response is retried", async () => {
    const id = await open("card_processing");
    const { body: bought } = await buy(backend, id, 5, "k");
    const capture = () => backend.captures().find(({ purchaseId }) => purchaseId === bought.id);
    backend.clocks.billing = Date.parse("2027-03-02T00:00:00Z");
    backend.clocks.machine += LEASE_MS;
    await sweep(withGateway({ refund: silent }));
    expect(capture()).toMatchObject({ refunded: 0 });
    backend.clocks.billing += 61_000;
    await sweep(backend.deps);
    expect(capture()).toMatchObject({ refunded: 24_410 });
    await expectInvariants(backend, id, 25);
    backend.clocks.billing = NOON;
  });

  test("a purchase that fails to advance delays neither other purchases nor notifications", async () => {
    const [bad, good] = [await open(), await open()];
    await buyWithCrash(bad, "B2");
    await buyWithCrash(good, "B2");
    backend.clocks.machine += LEASE_MS;
    backend.clocks.billing += 6_000;
    const badPurchase = (await onlyPurchase(bad)).id;
    const create: PaymentGateway["create"] = async (request) => {
      if (request.purchaseId === badPurchase) throw new TypeError("defect");
      return backend.deps.gateway.create(request);
    };
    await sweep(withGateway({ create }));
    expect((await onlyPurchase(good)).status).toBe("succeeded");
    expect(await unsent()).toEqual([]);
    await recover();
    expect((await onlyPurchase(bad)).status).toBe("succeeded");
    backend.clocks.billing = NOON;
  });

  test("a renewed lease cannot be taken, and a lost one cannot write", async () => {
    const id = await open("card_processing");
    await buy(backend, id, 5, "k");
    const purchase = { organization_id: id, id: (await onlyPurchase(id)).id };
    const { database } = backend.deps;
    const lease = await leasePurchase(database, purchase, backend.clocks);
    if (!lease) throw new SimulatedCrash("no lease");
    backend.clocks.machine += LEASE_MS - 1;
    await renewLease(database, lease, backend.clocks.machine);
    backend.clocks.machine += LEASE_MS - 1;
    expect(await leasePurchase(database, purchase, backend.clocks)).toBeNull();
    await reclaimLeases(database, backend.clocks.billing);
    await expect(fulfillPurchase({ database, seller: null }, lease, NOON)).rejects.toThrow(StaleLease);
    const next = await leasePurchase(database, purchase, backend.clocks);
    if (!next) throw new SimulatedCrash("no lease");
    await expect(fulfillPurchase({ database, seller: null }, { ...next, state: "unknown" }, NOON)).rejects.toThrow(
      StaleLease,
    );
    backend.clocks.machine += LEASE_MS;
    await advancePurchase(backend.deps, purchase);
    await expectInvariants(backend, id, 25);
  });

  test("a payment that was not saved with any purchase is canceled", async () => {
    const orphan = await backend.deps.gateway.create({
      idempotencyKey: "nobody",
      purchaseId: "pur_nobody",
      kind: "purchase",
      organizationId: 1,
      description: "Licenses",
      customer: null,
      amount: { amount: 100, currency: "GBP" },
      paymentMethod: "card_ok",
    });
    await cancelOrphans(backend.deps);
    expect((await backend.deps.gateway.read(orphan.id)).status).toBe("requires_confirmation");
    backend.clocks.machine += 3_600_001;
    const id = await open();
    await buyWithCrash(id, "B5");
    const { payment_id: alive } = await backend.deps.database
      .selectFrom("purchases")
      .select("payment_id")
      .where("organization_id", "=", id)
      .executeTakeFirstOrThrow();
    backend.clocks.machine += 3_600_001;
    await cancelOrphans(backend.deps);
    expect((await backend.deps.gateway.read(orphan.id)).status).toBe("canceled");
    expect((await backend.deps.gateway.read(alive ?? "")).status).toBe("requires_confirmation");
  });
});

test("the sweep checks after 5 s, 15 s, 1 min, 5 min, 1 h, then daily, regardless of checks in between", () => {
  const looks = [0, 1, 5, 14, 15, 60, 299, 300, 3_600, 86_399, 86_400, 200_000];
  const next = looks.map((age) => (nextCheck(NOON, NOON + age * 1000) - NOON) / 1000);
  expect(next).toEqual([5, 5, 15, 15, 60, 300, 300, 3_600, 86_400, 86_400, 172_800, 259_200]);
});
