import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BilledSubscription, type ExpectedRenewal, RenewalOracle, wallDate } from "../support/renewalOracle.ts";
import { buy, call, NOON, startBackend, type TestBackend, tokenOf } from "./support/backend.ts";
import { expectInvariants } from "./support/invariants.ts";
import {
  fastForward,
  openSubscription,
  quote,
  receiptOf,
  reduce,
  renewalsOf,
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

/** One with daylight saving, one at UTC+13, one that goes by half an hour. */
const ZONES = ["America/New_York", "Pacific/Tongatapu", "Australia/Lord_Howe"];

const PRICES = [
  { unitPrice: 15_000, currency: "GBP", taxRate: "20" },
  { unitPrice: 1_999, currency: "USD", taxRate: "8.875" },
  { unitPrice: 1_200, currency: "JPY", taxRate: "10" },
] as const;

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

  test("every term of every anchor, in every zone, is renewed at its first instant and charged to the minor unit", async () => {
    const years = dialect === "sqlite" ? 11 : 2;
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
      expect(await subscriptionOf(backend, id)).toMatchObject(oracle.picture(end));
      await expectInvariants(backend, id, 25);
    }
  }, 120_000);

  test("whatever is bought, reduced and added in between", async () => {
    const step = fc.oneof(
      fc.record({ days: fc.integer({ min: 0, max: 250 }), hours: fc.integer({ min: 0, max: 23 }) }),
      fc.record({ buy: fc.integer({ min: 1, max: 9 }) }),
      fc.record({ reduceBy: fc.integer({ min: 1, max: 15 }) }),
      fc.constant({ cancelReduction: true } as const),
      fc.constant({ addUser: true } as const),
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
        for (const [index, one] of [...steps, { days: 40, hours: 0 }].entries()) {
          const now = backend.clocks.billing;
          if ("days" in one) {
            const to = now + one.days * DAY_MS + one.hours * 3_600_000;
            await fastForward(backend, to);
            oracle.advanceTo(to);
          } else if ("buy" in one) {
            const { body: offered } = await quote(backend, id, one.buy);
            const { dueNow, tax, total } = oracle.price(one.buy, now);
            expect([offered.dueNow.amount, offered.tax.amount, offered.total.amount]).toEqual([dueNow, tax, total]);
            expect(offered.renewsAt.licenses).toBe(oracle.renewsFor(one.buy));
            expect((await buy(backend, id, one.buy, `k${index}`)).body.total.amount).toBe(total);
            oracle.bought(one.buy);
          } else if ("reduceBy" in one) {
            const licenses = Math.max(oracle.used, oracle.licenses - one.reduceBy);
            const { status } = await reduce(backend, id, licenses);
            expect(status).toBe(licenses < oracle.licenses ? 200 : 400);
            if (status === 200) oracle.reduction = licenses;
          } else if ("cancelReduction" in one) {
            await reduce(backend, id, null);
            oracle.reduction = null;
          } else if (oracle.used < oracle.licenses) {
            const body = { email: `user${index}@added-${id}.test`, firstName: "New", lastName: "User" };
            const path = `/organizations/${id}/users`;
            expect((await call(backend, "POST", path, { token: tokenOf(id), body })).status).toBe(201);
            oracle.used += 1;
          }
          expect(await subscriptionOf(backend, id)).toMatchObject(oracle.picture(backend.clocks.billing));
        }
        expect(await receiptsOf(id)).toEqual(oracle.renewals);
        await expectInvariants(backend, id, 25);
        renewed += oracle.renewals.length;
      }),
      { numRuns: dialect === "sqlite" ? 25 : 6, endOnFailure: false },
    );
    expect(renewed).toBeGreaterThan(dialect === "sqlite" ? 20 : 0);
  }, 120_000);
});
