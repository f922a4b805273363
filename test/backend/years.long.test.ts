import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BilledSubscription, type ExpectedRenewal, RenewalOracle, wallDate } from "../support/renewalOracle.ts";
import { buy, call, NOON, startBackend, type TestBackend, tokenOf } from "./support/backend.ts";
import { expectInvariants } from "./support/invariants.ts";
import { send } from "./support/paying.ts";
import {
  fastForward,
  openSubscription,
  quote,
  receiptOf,
  reduce,
  renewalsOf,
  storeCard,
  subscriptionOf,
} from "./support/renewing.ts";
import { DIALECTS } from "./support/stores.ts";

const DAY_MS = 86_400_000;

const RULES = [
  { anchorDate: "2025-12-31", interval: "month", intervalCount: 1 },
  { anchorDate: "2026-01-30", interval: "month", intervalCount: 1 },
  { anchorDate: "2025-08-31", interval: "month", intervalCount: 3 },
  { anchorDate: "2024-02-29", interval: "year", intervalCount: 1 },
  { anchorDate: "2024-02-29", interval: "month", intervalCount: 1 },
] as const;

/** With daylight saving, at UTC+13, and with a half-hour offset. */
const ZONES = ["America/New_York", "Pacific/Tongatapu", "Australia/Lord_Howe"];

const PRICES = [
  { unitPrice: 15_000, currency: "GBP", taxRate: "20" },
  { unitPrice: 1_999, currency: "USD", taxRate: "8.875" },
  { unitPrice: 1_200, currency: "JPY", taxRate: "10" },
] as const;

type Opened = { readonly id: number; readonly oracle: RenewalOracle; readonly currency: string };

type Billed = BilledSubscription & { readonly currency: string };

describe.each(DIALECTS)("years on %s", (dialect) => {
  let backend: TestBackend;
  const open = async (billed: Billed, card = "card_ok") => {
    const { anchorDate, interval, intervalCount, timeZone, unitPrice, currency, taxRate } = billed;
    const id = await openSubscription(
      backend,
      { anchorDate, interval, intervalCount, unitPrice: { amount: unitPrice, currency }, taxRate },
      { timeZone, usedLicenses: 10, paymentMethod: card },
    );
    return { id, oracle: new RenewalOracle(billed, 25, 10, backend.clocks.billing) };
  };
  const receiptsOf = async (id: number): Promise<ExpectedRenewal[]> => {
    const receipts = [];
    for (const renewal of await renewalsOf(backend, id)) {
      const { term, purchaseDate, licenses, licensesAfter, dueNow, tax, total } = await receiptOf(
        backend,
        id,
        renewal.id,
      );
      expect([purchaseDate, term.daysRemaining, licensesAfter]).toEqual([term.start, term.days, licenses]);
      const { start, renewalDate, days } = term;
      const amounts = { dueNow: dueNow.amount, tax: tax.amount, total: total.amount };
      receipts.push({ start, renewalDate, days, licenses, ...amounts });
    }
    return receipts;
  };

  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  afterAll(() => backend.close());

  test("every term of every anchor, in every zone, renews at its first instant and is charged to the minor unit", async () => {
    const years = dialect === "sqlite" ? 3 : 2;
    backend.clocks.billing = NOON;
    const subscriptions = [];
    for (const [index, rule] of RULES.entries()) {
      for (const timeZone of [ZONES[index % 3] ?? "", ZONES[(index + 1) % 3] ?? ""]) {
        const price = PRICES[index % PRICES.length] ?? PRICES[0];
        const billed = { ...rule, ...price, timeZone };
        subscriptions.push({ ...(await open(billed, index % 2 ? "card_processing" : "card_ok")), timeZone });
      }
    }
    const end = NOON + years * 365 * DAY_MS;
    await fastForward(backend, end);
    for (const { id, oracle, timeZone } of subscriptions) {
      oracle.advanceTo(end);
      expect(await receiptsOf(id)).toEqual(oracle.renewals);
      for (const [index, { createdAt }] of (await renewalsOf(backend, id)).entries()) {
        const at = Date.parse(createdAt);
        expect(wallDate(at, timeZone)).toBe(oracle.renewals[index]?.start);
        expect(wallDate(at - 1, timeZone) < wallDate(at, timeZone)).toBe(true);
      }
      expect(await subscriptionOf(backend, id)).toMatchObject(oracle.snapshot(end));
      await expectInvariants(backend, id, 25);
    }
  }, 120_000);

  const setPaying = async (id: number, oracle: RenewalOracle, pays: boolean) => {
    oracle.isPaying = pays;
    await storeCard(backend, id, pays ? "card_ok" : "card_declined");
    if (!pays || !oracle.isOwing) return;
    const unpaid = (await renewalsOf(backend, id)).at(-1);
    expect((await send(backend, id, unpaid?.id ?? "", "payment")).status).toBe(200);
    await fastForward(backend, backend.clocks.billing);
    oracle.pay(backend.clocks.billing);
  };
  const buyMore = async ({ id, oracle, currency }: Opened, licenses: number, key: string) => {
    const { status, body: offered } = await quote(backend, id, licenses);
    const { dueNow, tax, total } = oracle.price(licenses, backend.clocks.billing);
    const isBelowMinimum = total > 0 && total < (backend.deps.gateway.limits(currency)?.minimum ?? 0);
    expect(status).toBe(oracle.isOwing || isBelowMinimum ? 409 : 201);
    if (!oracle.isPaying || isBelowMinimum) return;
    expect([offered.dueNow.amount, offered.tax.amount, offered.total.amount]).toEqual([dueNow, tax, total]);
    expect(offered.renewsAt.licenses).toBe(oracle.renewsFor(licenses));
    expect((await buy(backend, id, licenses, key)).body.total.amount).toBe(total);
    oracle.bought(licenses);
  };
  const reduceBy = async (id: number, oracle: RenewalOracle, count: number) => {
    const now = backend.clocks.billing;
    const licenses = Math.max(oracle.used, oracle.licenses - count);
    const { status } = await reduce(backend, id, licenses);
    if (licenses === oracle.reduction?.licenses) expect(status).toBe(200);
    else if (!oracle.isReducible(now)) expect(status).toBe(409);
    else if (licenses < oracle.licenses) {
      expect(status).toBe(200);
      oracle.reduce(licenses, now);
    } else expect(status).toBe(400);
  };
  const cancelReduction = async (id: number, oracle: RenewalOracle) => {
    const isReducible = oracle.isReducible(backend.clocks.billing);
    expect((await reduce(backend, id, null)).status).toBe(isReducible ? 200 : 409);
    if (isReducible) oracle.reduction = null;
  };
  const addUser = async (id: number, oracle: RenewalOracle, name: string) => {
    const body = { email: `${name}@added-${id}.test`, firstName: "New", lastName: "User" };
    const { status } = await call(backend, "POST", `/organizations/${id}/users`, { token: tokenOf(id), body });
    const isSuspended = (await subscriptionOf(backend, id)).state === "suspended";
    expect(status).toBe(isSuspended ? 409 : 201);
    if (!isSuspended) oracle.used += 1;
  };

  test("with purchases, reductions, users and unpaid renewals in between", async () => {
    const step = fc.oneof(
      fc.record({ days: fc.integer({ min: 0, max: 250 }), hours: fc.integer({ min: 0, max: 23 }) }),
      fc.record({ buy: fc.integer({ min: 1, max: 9 }) }),
      fc.record({ reduceBy: fc.integer({ min: 1, max: 15 }) }),
      fc.constant({ cancelReduction: true } as const),
      fc.constant({ addUser: true } as const),
      fc.record({ pays: fc.boolean() }),
    );
    const anyBilled = fc
      .tuple(fc.constantFrom(...RULES), fc.constantFrom(...ZONES), fc.constantFrom(...PRICES))
      .map(([rule, timeZone, price]) => ({ ...rule, timeZone, ...price }));
    let renewed = 0;
    await fc.assert(
      fc.asyncProperty(anyBilled, fc.array(step, { minLength: 4, maxLength: 16 }), async (billed, steps) => {
        backend.clocks.billing = NOON;
        await backend.deps.database.updateTable("subscriptions").set({ renew_at: null }).execute();
        const { id, oracle } = await open(billed);
        const ending = [{ days: 40, hours: 0 }, { pays: true }];
        for (const [index, one] of [...steps, ...ending].entries()) {
          if ("days" in one) {
            const to = backend.clocks.billing + one.days * DAY_MS + one.hours * 3_600_000;
            await fastForward(backend, to);
            oracle.advanceTo(to);
          } else if ("pays" in one) await setPaying(id, oracle, one.pays);
          else if ("buy" in one) await buyMore({ id, oracle, currency: billed.currency }, one.buy, `k${index}`);
          else if ("reduceBy" in one) await reduceBy(id, oracle, one.reduceBy);
          else if ("cancelReduction" in one) await cancelReduction(id, oracle);
          else if (oracle.used < oracle.licenses) await addUser(id, oracle, `user${index}`);
          expect(await subscriptionOf(backend, id)).toMatchObject(oracle.snapshot(backend.clocks.billing));
        }
        expect(await receiptsOf(id)).toEqual(oracle.renewals);
        await expectInvariants(backend, id, 25);
        renewed += oracle.renewals.length;
      }),
      { numRuns: dialect === "sqlite" ? 15 : 5, endOnFailure: false },
    );
    expect(renewed).toBeGreaterThan(dialect === "sqlite" ? 10 : 0);
  }, 120_000);
});
