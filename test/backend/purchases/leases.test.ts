import type { Updateable } from "kysely";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Database, PurchaseKey, PurchaseRow } from "../../../src/backend/database/schema.ts";
import {
  isOrphan,
  LEASE_MS,
  leaseDue,
  leasedPurchases,
  leasePurchase,
  leaseWaiting,
  movePurchase,
  purchasesInProgress,
  reclaimLeases,
  releaseLease,
  renewLease,
} from "../../../src/backend/purchases/leases.ts";
import type { PurchaseState } from "../../../src/billing/purchase.ts";
import { buy, NOON, organization, startBackend, type TestBackend } from "../support/backend.ts";
import { DIALECTS } from "../support/stores.ts";

const idsOf = (keys: readonly PurchaseKey[]) => keys.map(({ id }) => id);

const CLOCKS = { billing: NOON, machine: NOON + 500 };

describe.each(DIALECTS)("leases on %s", (dialect) => {
  let backend: TestBackend;
  /** The purchase of each test, without a lease and with a due check. */
  let id: string;
  let purchase: PurchaseKey;

  const database = () => backend.deps.database;
  const set = (changes: Updateable<Database["purchases"]>) =>
    database().updateTable("purchases").set(changes).where("id", "=", id).execute();
  const read = () => database().selectFrom("purchases").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
  const lease = async (clocks = CLOCKS) => (await leasePurchase(database(), purchase, clocks)) as PurchaseRow;

  beforeAll(async () => {
    backend = await startBackend(dialect);
  });

  beforeEach(async () => {
    const { id: organizationId } = await addOrganization();
    const { body } = await buy(backend, organizationId, 1, "k");
    id = body.id;
    purchase = { organization_id: organizationId, id };
    await database().updateTable("purchases").set({ state: "fulfilled", next_check_at: null }).execute();
    await set({ state: "processing", epoch: 7, lease_until: 0, next_check_at: NOON });
  });

  afterAll(() => backend.close());

  async function addOrganization() {
    const added = organization();
    await backend.addOrganization(added);
    return added;
  }

  test.each([
    ["accepted", true],
    ["charging", true],
    ["processing", true],
    ["unknown", true],
    ["needs_review", true],
    ["refund_due", true],
    ["fulfilled", false],
    ["declined", false],
    ["refunded", false],
  ] as const)("a purchase that is %s can be leased before its check is due: %s", async (state, isLeased) => {
    for (const next_check_at of [NOON, NOON + 1, null]) {
      await set({ state, lease_until: 0, next_check_at });
      expect((await leasePurchase(database(), purchase, CLOCKS)) !== null).toBe(isLeased);
    }
  });

  test.each(["requires_approval", "canceled", "expired"] as const)(
    "a purchase that is %s can be leased once its check is due",
    async (state) => {
      await set({ state, next_check_at: NOON + 1 });
      expect(await lease()).toBeNull();
      expect(await lease({ ...CLOCKS, billing: NOON + 1 })).toMatchObject({ id, state });
    },
  );

  test("a lease starts the next epoch and lasts until it expires", async () => {
    expect(await lease()).toMatchObject({ epoch: 8, lease_until: CLOCKS.machine + LEASE_MS });
    expect(await lease({ ...CLOCKS, machine: CLOCKS.machine + LEASE_MS - 1 })).toBeNull();
    expect(await lease({ ...CLOCKS, machine: CLOCKS.machine + LEASE_MS })).toMatchObject({ epoch: 9 });
    expect(await leasePurchase(database(), { ...purchase, id: "pur_unknown" }, CLOCKS)).toBeNull();
  });

  test("a cancellation leases only a purchase that waits for approval, and makes its check due", async () => {
    await set({ next_check_at: NOON + 1 });
    expect(await leaseWaiting(database(), purchase, CLOCKS)).toBeNull();
    await set({ state: "requires_approval" });
    expect(await leaseWaiting(database(), purchase, CLOCKS)).toMatchObject({ id, epoch: 8, next_check_at: NOON });
    expect(await leaseWaiting(database(), purchase, CLOCKS)).toBeNull();
  });

  test("a lease is renewed and released only by its own epoch", async () => {
    const first = await lease();
    const second = await lease({ ...CLOCKS, machine: CLOCKS.machine + LEASE_MS });
    const until = second.lease_until;
    await renewLease(database(), first, until);
    await releaseLease(database(), first, NOON + 5);
    expect(await read()).toMatchObject({ lease_until: until, next_check_at: NOON });
    await renewLease(database(), second, until);
    expect(await read()).toMatchObject({ epoch: 9, lease_until: until + LEASE_MS });
    await releaseLease(database(), second, NOON + 5);
    expect(await read()).toMatchObject({ epoch: 9, lease_until: 0, next_check_at: NOON + 5 });
    await renewLease(database(), second, until);
    expect(await read()).toMatchObject({ lease_until: 0 });
  });

  describe("a leased purchase", () => {
    test("moves with its transitions, and can stay in its state", async () => {
      const leased = await lease();
      const moved = await movePurchase(database(), leased, "unknown", { spent_at: NOON });
      expect(moved).toMatchObject({ id, state: "unknown", spent_at: NOON, epoch: 8 });
      expect(await movePurchase(database(), moved, "unknown", { spent_at: NOON + 1 })).toEqual(await read());
    });

    test("rejects an undefined transition", async () => {
      const leased = await lease();
      await expect(movePurchase(database(), leased, "accepted")).rejects.toMatchObject({ code: "invalid_state" });
      expect(await read()).toEqual(leased);
    });

    test.each([
      ["was taken over", { epoch: 9 }],
      ["has moved on", { state: "unknown" }],
    ] as const)("rejects every transition once it %s", async (_, changes) => {
      const leased = await lease();
      await set(changes);
      const stale = { name: "StaleLease", message: expect.stringContaining(id) };
      await expect(movePurchase(database(), leased, "needs_review")).rejects.toMatchObject(stale);
      expect(await read()).toMatchObject(changes);
    });
  });

  test.each([
    [{ next_check_at: NOON }, true],
    [{ next_check_at: NOON + 1 }, false],
    [{ next_check_at: null }, false],
    [{ lease_until: CLOCKS.machine }, true],
    [{ lease_until: CLOCKS.machine + 1 }, false],
    [{ state: "requires_approval" }, true],
    [{ state: "needs_review" }, true],
    [{ state: "declined" }, false],
    [{ state: "fulfilled" }, false],
  ] as const)("a purchase with %j is due: %s", async (changes, isDue) => {
    await set(changes);
    expect(idsOf(await leaseDue(database(), CLOCKS, 10))).toEqual(isDue ? [id] : []);
  });

  test("the longest overdue purchases are leased first, up to the limit, and once", async () => {
    const first = id;
    const { id: organizationId } = await addOrganization();
    const { body } = await buy(backend, organizationId, 1, "k");
    id = body.id;
    purchase = { organization_id: organizationId, id };
    await set({ state: "processing", lease_until: 0, next_check_at: NOON - 1 });
    expect(idsOf(await leaseDue(database(), CLOCKS, 1))).toEqual([id]);
    expect(await leaseDue(database(), CLOCKS, 10)).toMatchObject([
      { id: first, epoch: 8, lease_until: CLOCKS.machine + LEASE_MS },
    ]);
    expect(await leaseDue(database(), CLOCKS, 10)).toEqual([]);
  });

  test.each([
    [{ lease_until: CLOCKS.machine + 1 }, true],
    [{ lease_until: CLOCKS.machine }, false],
    [{ lease_until: CLOCKS.machine + 1, next_check_at: null }, false],
  ])("a purchase with %j is leased: %s", async (changes, isLeased) => {
    await set(changes);
    expect(idsOf(await leasedPurchases(database(), CLOCKS.machine))).toEqual(isLeased ? [id] : []);
  });

  test.each([
    ["accepted", true],
    ["charging", true],
    ["processing", true],
    ["unknown", true],
    ["refund_due", true],
    ["needs_review", false],
    ["requires_approval", false],
    ["canceled", false],
    ["fulfilled", false],
  ] as const)("a purchase that is %s is in progress: %s", async (state, isInProgress) => {
    await set({ state });
    expect(idsOf(await purchasesInProgress(database()))).toEqual(isInProgress ? [id] : []);
  });

  describe("a backend that is the only owner of its data", () => {
    const leased = { epoch: 7, lease_until: CLOCKS.machine + 1, next_check_at: NOON + 60_000 };

    test.each(["processing", "needs_review", "refund_due"] as PurchaseState[])(
      "takes over a purchase that is %s, and checks it at once",
      async (state) => {
        await set({ ...leased, state });
        await reclaimLeases(database(), NOON + 1);
        expect(await read()).toMatchObject({ epoch: 8, lease_until: 0, next_check_at: NOON + 1 });
      },
    );

    test("reclaims a watched purchase and keeps its check", async () => {
      await set({ ...leased, state: "requires_approval" });
      await reclaimLeases(database(), NOON + 1);
      const taken = { epoch: 8, lease_until: 0, next_check_at: leased.next_check_at };
      expect(await read()).toMatchObject(taken);
      await reclaimLeases(database(), NOON + 1);
      expect(await read()).toMatchObject(taken);
    });

    test("does not change a purchase that has ended", async () => {
      await set({ ...leased, state: "declined" });
      await reclaimLeases(database(), NOON + 1);
      expect(await read()).toMatchObject(leased);
    });
  });

  test.each([
    ["differs from its purchase's payment", "pay_other", true],
    ["matches its purchase's payment", "pay_1", false],
    ["could belong to a purchase that has none yet", null, false],
  ])("a payment that %s is an orphan: %s, %s", async (_, payment_id, isOrphaned) => {
    await set({ payment_id });
    expect(await isOrphan(database(), { id: "pay_1", purchaseId: id })).toBe(isOrphaned);
  });

  test("a payment without a purchase is an orphan", async () => {
    expect(await isOrphan(database(), { id: "pay_1", purchaseId: "pur_unknown" })).toBe(true);
  });
});
