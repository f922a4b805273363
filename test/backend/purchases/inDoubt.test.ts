import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { acceptPurchase } from "../../../src/backend/purchases/accept.ts";
import { leaseDue } from "../../../src/backend/purchases/leases.ts";
import type { Order } from "../../../src/backend/purchases/order.ts";
import { buy, organization, startBackend, type TestBackend } from "../support/backend.ts";
import { expectInvariants } from "../support/invariants.ts";
import { orderOfQuote } from "../support/paying.ts";
import { DIALECTS } from "../support/stores.ts";

/** A quote of a new organization, and the order that buys it with a key of its own. */
async function quoted(backend: TestBackend) {
  const made = organization();
  await backend.addOrganization(made);
  const { quote, order: first } = await orderOfQuote(backend, made.id);
  const order = (purchase: string): Order => ({ ...first, purchaseId: `pur_${made.id}_${purchase}` });
  return { id: made.id, quote, order };
}

describe.each(DIALECTS)("an order on %s", (dialect) => {
  let backend: TestBackend;

  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  afterAll(() => backend.close());

  test("that was refused as too late is refused by an earlier clock, too, and its key stays free", async () => {
    const { id, quote, order } = await quoted(backend);
    const end = Date.parse(quote.expiresAt);
    const accept = (name: string, at: number) =>
      acceptPurchase(backend.deps.database, order(name), { billing: at, machine: at }, () => {});
    await expect(accept("b", end)).rejects.toMatchObject({ code: "quote_expired" });
    await expect(accept("a", end - 1)).rejects.toMatchObject({ code: "quote_expired" });
    expect((await buy(backend, id, 5, "k")).status).toBe(201);
    await expectInvariants(backend, id, 25);
  });

  test("that a due renewal refused is refused by an earlier clock, too, and counts nothing", async () => {
    const { id, order } = await quoted(backend);
    const now = backend.clocks.billing;
    await backend.deps.database
      .updateTable("subscriptions")
      .set({ renew_at: now })
      .where("organization_id", "=", id)
      .execute();
    const accept = (name: string, at: number) =>
      acceptPurchase(backend.deps.database, order(name), { billing: at, machine: at }, () => {});
    await expect(accept("b", now)).rejects.toMatchObject({ code: "subscription_changed" });
    await expect(accept("a", now - 1)).rejects.toMatchObject({ code: "quote_expired" });
    await expectInvariants(backend, id, 25);
  });
});

describe.each(DIALECTS.filter((kind) => kind !== "sqlite"))("a lost COMMIT on %s", (dialect) => {
  let backend: TestBackend;

  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  afterEach(() => vi.restoreAllMocks());
  afterAll(() => backend.close());

  /** Loses the answer to the next acceptance, after `meanwhile`. */
  function loseAcceptance(meanwhile: () => Promise<void>): void {
    const query = pg.Client.prototype.query as unknown as (...all: unknown[]) => Promise<unknown>;
    let isArmed = true;
    vi.spyOn(pg.Client.prototype, "query").mockImplementation(async function (this: pg.Client, ...all: unknown[]) {
      const result = await query.apply(this, all);
      if (isArmed && String((all[0] as { text?: string }).text).includes("insert into purchases")) {
        isArmed = false;
        await meanwhile();
        throw Object.assign(new TypeError("read ETIMEDOUT"), { code: "ETIMEDOUT" });
      }
      return result;
    } as never);
  }

  const clocksNow = () => ({ billing: backend.clocks.billing, machine: backend.clocks.machine });

  test("of an acceptance is found under its key, and goes on under its lease", async () => {
    const { id, order } = await quoted(backend);
    loseAcceptance(async () => {});
    const accepted = await acceptPurchase(backend.deps.database, order("a"), clocksNow(), () => {});
    expect(accepted).toMatchObject({ replayed: false, isLeased: true, purchase: { id: `pur_${id}_a`, epoch: 1 } });
  });

  test("of an acceptance that another worker leased meanwhile is left to that worker", async () => {
    const { order } = await quoted(backend);
    let others: { epoch: number }[] = [];
    loseAcceptance(async () => {
      backend.clocks.machine += 15_000;
      backend.clocks.billing += 15_000;
      others = await leaseDue(backend.deps.database, clocksNow(), 8);
    });
    const before = { billing: backend.clocks.billing, machine: backend.clocks.machine };
    const accepted = await acceptPurchase(backend.deps.database, order("a"), before, () => {});
    expect(others).toContainEqual(expect.objectContaining({ id: accepted.purchase.id, epoch: 2 }));
    expect(accepted).toMatchObject({ replayed: false, isLeased: false });
  });
});
