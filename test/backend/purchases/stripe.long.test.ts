import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sweep } from "../../../src/backend/sweep.ts";
import type { Fault } from "../../stripe/faults.ts";
import { useStandIn } from "../../stripe/useStandIn.ts";
import { buy, startBackend, type TestBackend } from "../support/backend.ts";
import { DIALECTS } from "../support/stores.ts";
import { addCustomer, expectPaidInvariants, payThrough } from "../support/stripe.ts";

const CALLS = [
  "customers.create",
  "paymentIntents.create",
  "paymentIntents.confirm",
  "paymentIntents.retrieve",
] as const;

/** What goes wrong. A lost answer is lost twice, because the client repeats a request whose connection broke. */
const FAULTS: readonly Omit<Fault, "call">[] = [
  ...(["before", "after"] as const).flatMap((when) => [
    { effect: "lost", when, times: 2 } as const,
    { effect: "failed", when } as const,
  ]),
  ...(["unauthorized", "forbidden", "key_in_use", "lock_timeout", "rate_limit"] as const).map((effect) => ({ effect })),
];

const CARDS = [
  { card: "pm_card_visa", ending: "fulfilled" },
  { card: "pm_card_chargeCustomerFail", ending: "declined" },
  { card: "pm_card_authenticationRequired", ending: "requires_approval" },
] as const;

const FIRST_CARD = { card: null, ending: "requires_approval" } as const;

const GRID = FAULTS.flatMap(({ when = "before", ...fault }) => [
  ...CALLS.flatMap((call) => CARDS.map((card) => ({ call, when, ...fault, ...card }))),
  { call: "customers.create" as const, when, ...fault, ...FIRST_CARD },
]);

/** How long after a fault the next look is, milliseconds: longer than a key that was spoiled is left alone. */
const LATER_MS = 70_000;

const MAX_LOOKS = 12;

// What differs between stores is tried elsewhere; two instances share PostgreSQL.
describe.each(DIALECTS.slice(-1))("on %s", (dialect) => {
  const standIn = useStandIn();
  let backend: TestBackend;

  beforeAll(async () => {
    backend = await startBackend(dialect);
    payThrough(standIn, backend);
  });
  afterAll(() => backend.close());

  const purchaseOf = async (id: number) =>
    backend.deps.database
      .selectFrom("purchases")
      .selectAll()
      .where("organization_id", "=", id)
      .executeTakeFirstOrThrow();

  test.each(GRID)("$call $effect $when execution, with $card: $ending, once", async ({ card, ending, ...fault }) => {
    const id = await addCustomer(standIn, backend, card);
    if (card === null) await forgetCustomer(id);
    await standIn.control.fault(fault);
    // A payment is read once the answer to its confirmation was lost.
    if (fault.call === "paymentIntents.retrieve") {
      await standIn.control.fault({ call: "paymentIntents.confirm", effect: "lost", when: "after", times: 2 });
    }
    await buy(backend, id, 5, "k");
    for (let looks = 0; looks < MAX_LOOKS && (await purchaseOf(id)).state !== ending; looks += 1) {
      backend.clocks.billing += LATER_MS;
      await sweep(backend.deps);
    }
    await standIn.control.clearFaults();
    expect((await purchaseOf(id)).state).toBe(ending);
    const payments = await paymentsOf(id);
    expect(payments.filter(({ latest_charge }) => latest_charge !== null)).toHaveLength(card === null ? 0 : 1);
    await expectPaidInvariants(standIn, backend, id, 25);
  });

  /** Leaves an organization without a customer, so that its first purchase makes one. */
  async function forgetCustomer(id: number): Promise<void> {
    await backend.deps.database
      .updateTable("subscriptions")
      .set({ customer_id: null })
      .where("organization_id", "=", id)
      .execute();
  }

  async function paymentsOf(id: number) {
    const { data } = await standIn.client().paymentIntents.list({ limit: 100 });
    return data.filter(({ metadata }) => metadata.organizationId === String(id));
  }
});
