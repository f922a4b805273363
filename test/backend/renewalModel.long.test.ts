import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { payNow } from "../../src/backend/purchases/pay.ts";
import { advancePurchase } from "../../src/backend/purchases/processor.ts";
import { findPurchase } from "../../src/backend/purchases/store.ts";
import { sweep } from "../../src/backend/sweep.ts";
import type { Purchase } from "../../src/contract/billing.ts";
import { oracleBoundary, oracleCharge } from "../support/oracle.ts";
import { wallDate } from "../support/renewalOracle.ts";
import { buy, NOON, SimulatedCrash, startBackend, type TestBackend } from "./support/backend.ts";
import { expectInvariants } from "./support/invariants.ts";
import { send } from "./support/paying.ts";
import {
  openSubscription,
  receiptOf,
  reduce,
  renewalsOf,
  setClock,
  storeCard,
  subscriptionOf,
} from "./support/renewing.ts";
import { DIALECTS } from "./support/stores.ts";

const ANCHOR = "2026-08-31";

const ZONE = "Europe/London";

const POINTS = ["B0", "B12", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10"];

const CARDS = [
  "card_ok",
  "card_ok",
  "card_declined",
  "card_requires_approval",
  "card_processing",
  "card_timeout",
  null,
];

type Act = (backend: TestBackend, id: number, step: number) => Promise<void>;

/** An event, and its name for a failure's report. */
interface Happening {
  readonly name: string;
  readonly act: Act;
}

async function unpaidRenewal(backend: TestBackend, id: number): Promise<Purchase | undefined> {
  return (await renewalsOf(backend, id)).find(({ status }) => status === "failed");
}

const later = (ms: number, workers: number): Happening => ({
  name: `${workers} sweep ${ms} ms later`,
  async act(backend) {
    // A service sweeps every second, so what a crash interrupted is found long before its key is a day old.
    const soon = Math.min(ms, 60_000);
    for (const step of [soon, ms - soon]) {
      setClock(backend, backend.clocks.billing + step);
      await Promise.all(Array.from({ length: workers }, () => sweep(backend.deps)));
    }
  },
});

const buying = (licenses: number): Happening => ({
  name: `buy ${licenses}`,
  async act(backend, id, step) {
    const { status, body } = await buy(backend, id, licenses, `k${step}`);
    if (status >= 500) expect([500, 503]).toContain(status);
    else if (status === 409) expect(["subscription_not_purchasable", "subscription_changed"]).toContain(body.code);
    else expect([201, 202, 402]).toContain(status);
  },
});

const paying = (clients: number): Happening => ({
  name: `${clients} pay`,
  async act(backend, id) {
    const renewal = await unpaidRenewal(backend, id);
    const answers = await Promise.all(
      Array.from({ length: renewal ? clients : 0 }, () => send(backend, id, renewal?.id ?? "", "payment")),
    );
    for (const { status } of answers) expect([200, 202, 402, 500]).toContain(status);
  },
});

const onPage = (card: string): Happening => ({
  name: `pay on the page with ${card}`,
  async act(backend, id) {
    const renewal = await unpaidRenewal(backend, id);
    const row = renewal && (await findPurchase(backend.deps.database, renewal.id));
    if (row?.state !== "declined") return;
    await payNow(backend.deps, row, {
      paymentMethod: card,
      byPerson: true,
      label: null,
      returnUrl: null,
      actor: "page",
    });
    await advancePurchase(backend.deps, row);
  },
});

const storing = (card: string | null): Happening => ({
  name: `store ${card}`,
  act: (backend, id) => storeCard(backend, id, card),
});

const reducing = (by: number | null): Happening => ({
  name: `reduce by ${by}`,
  async act(backend, id) {
    const { licenses } = await subscriptionOf(backend, id);
    const { status, body } = await reduce(backend, id, by === null ? null : Math.max(10, licenses.purchased - by));
    if (status === 409) expect(body.code).toBe("subscription_not_purchasable");
    else expect([200, 400, 500, 503]).toContain(status);
  },
});

const anyHappening = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 80 }), fc.constantFrom(1, 2))
      .map(([days, workers]) => later(days * 86_400_000, workers)),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 7_200 }), fc.constantFrom(1, 3))
      .map(([s, workers]) => later(s * 1_000, workers)),
  },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 9 }).map(buying) },
  { weight: 2, arbitrary: fc.constantFrom(1, 3).map(paying) },
  { weight: 1, arbitrary: fc.constantFrom("card_ok", "card_declined", "card_processing").map(onPage) },
  { weight: 2, arbitrary: fc.constantFrom(...CARDS).map(storing) },
  { weight: 1, arbitrary: fc.option(fc.integer({ min: 0, max: 9 })).map(reducing) },
);

const steps = fc.array(fc.tuple(anyHappening, fc.option(fc.constantFrom(...POINTS), { freq: 2 })), {
  minLength: 3,
  maxLength: 14,
});

/** Runs it, and crashes at the given point. */
async function happen(backend: TestBackend, id: number, index: number, [what, point]: [Happening, string | null]) {
  backend.crashAt(point);
  try {
    await what.act(backend, id, index);
  } catch (error) {
    if (!(error instanceof SimulatedCrash)) throw error;
  } finally {
    backend.crashAt(null);
  }
}

/** Expects every term from the second to the current one once, at the price of its licenses. */
async function expectEveryTerm(backend: TestBackend, id: number): Promise<number> {
  const today = wallDate(backend.clocks.billing, ZONE);
  const renewals = await renewalsOf(backend, id);
  const starts: string[] = [];
  const captured = backend.captures().map(({ purchaseId }) => purchaseId);
  for (const renewal of renewals) {
    const { term, dueNow, tax, total } = await receiptOf(backend, id, renewal.id);
    starts.push(term.start);
    const oracle = oracleCharge({
      unitPrice: 15_000,
      taxRate: "20",
      licenses: renewal.licenses,
      remainingDays: 1,
      termDays: 1,
    });
    expect([dueNow, tax, total].map(({ amount }) => BigInt(amount))).toEqual([oracle.dueNow, oracle.tax, oracle.total]);
    expect(captured.filter((purchaseId) => purchaseId === renewal.id)).toHaveLength(1);
  }
  const expected: string[] = [];
  for (let months = 3; oracleBoundary(ANCHOR, months) <= today; months += 1)
    expected.push(oracleBoundary(ANCHOR, months));
  expect(starts).toEqual(expected);
  return starts.length;
}

describe.each(DIALECTS)("any sequence of renewals, failures and crashes on %s", (dialect) => {
  let backend: TestBackend;
  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  afterAll(() => backend.close());

  test("renews every term once, in order, and charges the right total", async () => {
    const numRuns = dialect === "sqlite" ? 60 : 25;
    let renewals = 0;
    await fc.assert(
      fc.asyncProperty(steps, async (happenings) => {
        backend.clocks.billing = NOON;
        await backend.deps.database.updateTable("subscriptions").set({ renew_at: null }).execute();
        const id = await openSubscription(backend, { interval: "month", anchorDate: ANCHOR }, { usedLicenses: 10 });
        for (const [index, one] of happenings.entries()) {
          await happen(backend, id, index, one);
          const { unpaid_renewal: unpaid } = await backend.deps.database
            .selectFrom("subscriptions")
            .select("unpaid_renewal")
            .where("organization_id", "=", id)
            .executeTakeFirstOrThrow();
          const open = (await renewalsOf(backend, id)).filter(({ status }) => status !== "succeeded");
          expect(open.map((renewal) => renewal.id)).toEqual(unpaid === null ? [] : [unpaid]);
        }
        // In the end everything is paid, and missed terms are renewed.
        await storeCard(backend, id, "card_ok");
        for (const ms of [25 * 3_600_000, 25 * 3_600_000, 60_000]) await later(ms, 1).act(backend, id, 0);
        await paying(1).act(backend, id, 0);
        await later(1_000, 1).act(backend, id, 0);
        expect((await subscriptionOf(backend, id)).state).toBe("active");
        await expectInvariants(backend, id, 25);
        renewals += await expectEveryTerm(backend, id);
      }),
      { numRuns, endOnFailure: false },
    );
    expect(renewals).toBeGreaterThan(numRuns);
  }, 300_000);
});
