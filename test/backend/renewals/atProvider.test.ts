import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { buildApp } from "../../../src/backend/app.ts";
import type { BackendDeps } from "../../../src/backend/deps.ts";
import { passwords } from "../../../src/backend/identity/secrets.ts";
import { GatewayUnavailable, type Payment, type ProviderSubscription } from "../../../src/backend/payments/gateway.ts";
import { followDue } from "../../../src/backend/renewals/atProvider.ts";
import { changeUsed } from "../../../src/backend/subscriptions/store.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import type { Subscription } from "../../../src/contract/billing.ts";
import {
  buy,
  call,
  organization,
  SimulatedCrash,
  startBackend,
  type TestBackend,
  tokenOf,
} from "../support/backend.ts";
import { DIALECTS } from "../support/stores.ts";

const DAY_MS = 24 * 3_600_000;

const instant = (date: string) => Date.parse(`${date}T00:00:00Z`);

describe.each(DIALECTS)("a subscription that the provider renews, on %s", (dialect) => {
  let backend: TestBackend;
  let shop: Pick<TestBackend, "app">;
  let id: number;
  let atProvider: ProviderSubscription;
  let quantities: number[];
  let labels: Record<string, string>;
  /** What happens before a change arrives at the provider. */
  let delayed: (() => Promise<void>) | null;
  /** What the provider does instead of answering the next change. */
  let interrupt: (() => void) | null;

  beforeEach(async () => {
    backend = await startBackend(dialect);
    const seeded = organization({
      stripeCustomerId: "cus_1",
      stripeSubscriptionId: "sub_1",
      stripeSubscriptionItemId: "si_1",
    });
    id = seeded.id;
    quantities = [];
    labels = { card_ok: "Visa ending in 4242" };
    [delayed, interrupt] = [null, null];
    atProvider = {
      id: "sub_1",
      customer: "cus_1",
      mode: "sandbox",
      status: "active",
      autoRenew: true,
      invoice: "in_1",
      items: [{ id: "si_1", quantity: 25, start: instant("2026-03-01"), end: instant("2027-03-01") }],
    };
    await backend.addOrganization(seeded);
    const signIn = { passwords: passwords(randomBytes), passwordHashOf: async () => null };
    shop = { app: buildApp(deps(), { signIn }) };
    await work();
  });
  afterEach(async () => {
    await shop.app.close();
    await backend.close();
  });

  const deps = (): BackendDeps => ({
    ...backend.deps,
    gateway: {
      ...backend.deps.gateway,
      create: async (request) => ofCustomer(await backend.deps.gateway.create(request)),
      confirm: async (paymentId, attempt) => ofCustomer(await backend.deps.gateway.confirm(paymentId, attempt)),
      subscriptions: {
        read: async () => atProvider,
        async setQuantity(itemId, quantity) {
          quantities.push(quantity);
          await delayed?.();
          change({ items: atProvider.items.map((item) => (item.id === itemId ? { ...item, quantity } : item)) });
          interrupt?.();
        },
      },
      customers: {
        create: async (created) => `cus_${created.id}`,
        exists: async () => true,
        findMethod: async (_customer, method) => (labels[method] ? { id: method, label: labels[method] } : null),
        attachCard: () => Promise.reject(new Error("unexpected")),
        startCardEntry: () => Promise.reject(new Error("unexpected")),
        readCardEntry: () => Promise.reject(new Error("unexpected")),
      },
    },
  });

  const ofCustomer = (payment: Payment): Payment => {
    const [, organizationId] = payment.purchaseId.split("_");
    return { ...payment, customer: Number(organizationId) === id ? "cus_1" : `cus_${organizationId}` };
  };

  const work = () => followDue(deps(), 10);

  function change(changes: Partial<ProviderSubscription>): void {
    atProvider = { ...atProvider, ...changes };
  }

  /** What a webhook does. */
  const hear = (object: string) =>
    backend.deps.database
      .updateTable("provider_objects")
      .set({ check_at: backend.clocks.billing })
      .where("id", "=", object)
      .execute();

  function renewAtProvider(quantity = atProvider.items[0]?.quantity ?? 0): void {
    const item = { id: "si_1", quantity, start: instant("2027-03-01"), end: instant("2028-03-01") };
    change({ invoice: "in_2", items: [item] });
  }

  const row = () =>
    backend.deps.database
      .selectFrom("subscriptions")
      .selectAll()
      .where("organization_id", "=", id)
      .executeTakeFirstOrThrow();

  const status = async (): Promise<Subscription> =>
    (await call(shop, "GET", `/organizations/${id}/subscription`, { token: tokenOf(id) })).body;

  const audited = async (type: string) => {
    const { body } = await call(shop, "GET", `/organizations/${id}/events`, { token: tokenOf(id) });
    return (body.items as { type: string; data: unknown }[]).filter((event) => event.type === type);
  };

  const reduce = (licenses: number) =>
    call(shop, "PUT", `/organizations/${id}/subscription/reduction`, { token: tokenOf(id), body: { licenses } });

  const bought = async (licenses: number, key: string) => {
    const answer = await buy(shop, id, licenses, key);
    expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  };

  test("gets our count after a purchase, once", async () => {
    await bought(5, "a");
    await work();
    await work();
    expect(quantities).toEqual([30]);
    expect(await row()).toMatchObject({ licenses: 30, provider_quantity: 30, renew_at: null });
  });

  test("gets the count of the next term before the renewal", async () => {
    expect((await reduce(23)).status).toBe(200);
    await work();
    await bought(2, "a");
    await work();
    expect(quantities).toEqual([23, 25]);
  });

  test("gets as many as are in use if a reduction to fewer is scheduled", async () => {
    await reduce(23);
    await work();
    await changeUsed(backend.deps.database, id, 2);
    await work();
    await changeUsed(backend.deps.database, id, -2);
    await work();
    expect(quantities).toEqual([23, 24, 23]);
  });

  test("is set right again after somebody else has set it, and looked at every day", async () => {
    change({ items: atProvider.items.map((item) => ({ ...item, quantity: 7 })) });
    expect(await work()).toBe(false);
    backend.clocks.billing += DAY_MS;
    expect(await work()).toBe(true);
    expect(quantities).toEqual([25]);
  });

  test.each([
    ["is killed", () => new SimulatedCrash("B13")],
    ["gets no answer", () => new GatewayUnavailable("No answer")],
  ])("is read again if the worker %s after it was set", async (_how, failure) => {
    await bought(5, "a");
    interrupt = () => {
      throw failure();
    };
    await work();
    expect(await row()).toMatchObject({ provider_quantity: 25 });
    interrupt = null;
    backend.clocks.billing += 60_000;
    await work();
    expect(quantities).toEqual([30]);
    expect(await row()).toMatchObject({ provider_quantity: 30 });
  });

  test("is not lost sight of if it changes while it is set", async () => {
    await bought(5, "a");
    let buying: Promise<void> | null = null;
    interrupt = () => {
      interrupt = null;
      buying = bought(1, "b");
    };
    await work();
    await buying;
    await work();
    backend.clocks.billing += 60_000;
    await work();
    expect(quantities.at(-1)).toBe(31);
    expect(await row()).toMatchObject({ licenses: 31, provider_quantity: 31 });
  });

  /** Another worker sets a later count while the first one is on its way. */
  const overtake = () => {
    delayed = async () => {
      delayed = null;
      await bought(1, "b");
      await work();
      expect(atProvider.items).toMatchObject([{ quantity: 31 }]);
    };
  };

  test("keeps a later count that was set before an earlier one arrives", async () => {
    await bought(5, "a");
    overtake();
    await work();
    expect(quantities).toEqual([30, 31, 31]);
    expect(atProvider.items).toMatchObject([{ quantity: 31 }]);
    expect(await row()).toMatchObject({ licenses: 31, provider_quantity: 31 });
  });

  test("is read again soon if an earlier count arrives after a later one, and nothing is answered", async () => {
    await bought(5, "a");
    overtake();
    interrupt = () => {
      if (atProvider.items[0]?.quantity === 30) throw new GatewayUnavailable("No answer");
    };
    await work();
    expect(atProvider.items).toMatchObject([{ quantity: 30 }]);
    backend.clocks.billing += 60_000;
    await work();
    expect(atProvider.items).toMatchObject([{ quantity: 31 }]);
  });

  test("is left for later if somebody else keeps setting it", async () => {
    await bought(5, "a");
    interrupt = () => change({ items: atProvider.items.map((item) => ({ ...item, quantity: 7 })) });
    await work();
    expect(quantities).toEqual([30, 30, 30]);
    interrupt = null;
    backend.clocks.billing += 60_000;
    await work();
    expect(await row()).toMatchObject({ provider_quantity: 30 });
  });

  test("is renewed by the provider, never here", async () => {
    await reduce(23);
    await work();
    backend.clocks.billing = instant("2027-03-01") + 3_600_000;
    // Plans its reminders.
    await sweep(deps());
    expect(await sweep(deps())).toBe(false);
    renewAtProvider();
    await hear("sub_1");
    await work();
    expect(await row()).toMatchObject({ term_index: 1, licenses: 23, reduction: null, unpaid_renewal: null });
    const view = await status();
    expect(view).toMatchObject({ state: "active", term: { start: "2027-03-01", renewalDate: "2028-03-01" } });
    expect(await audited("renewal.made")).toMatchObject([{ data: { invoice: "in_2", licenses: 23 } }]);
    await hear("sub_1");
    await work();
    expect(await audited("renewal.made")).toHaveLength(1);
    expect(backend.captures()).toEqual([]);
  });

  test("sells nothing until both are in the same term", async () => {
    backend.clocks.billing = instant("2027-03-01") + 3_600_000;
    const before = await buy(shop, id, 1, "a");
    expect([before.status, before.body.code]).toEqual([503, "unavailable"]);
    renewAtProvider();
    await bought(1, "b");
  });

  test.each([
    ["past_due", "past_due"],
    ["unpaid", "suspended"],
  ] as const)("that is %s at the provider is %s here until it is paid", async (providerStatus, state) => {
    change({ status: providerStatus });
    await hear("sub_1");
    await work();
    expect(await status()).toMatchObject({ state, unpaid: null });
    const refused = await buy(shop, id, 1, "a");
    expect([refused.status, refused.body.code]).toEqual([409, "subscription_not_purchasable"]);
    expect(refused.body.detail).toContain("invoice");
    change({ status: "active" });
    await hear("sub_1");
    await work();
    expect(await status()).toMatchObject({ state: "active" });
    expect(await audited("renewal.changed")).toHaveLength(2);
  });

  test("that was canceled ends with its term, and its quantity is left alone", async () => {
    change({ status: "canceled", autoRenew: false });
    await hear("sub_1");
    await work();
    expect(await status()).toMatchObject({ state: "active", renewal: { autoRenew: false } });
    await bought(1, "a");
    await work();
    expect(quantities).toEqual([]);
    backend.clocks.billing = instant("2027-03-01") + 3_600_000;
    expect(await status()).toMatchObject({ state: "ended" });
  });

  test("that belongs to another customer is left alone and reported", async () => {
    change({ customer: "cus_2" });
    await bought(5, "a");
    await work();
    expect(quantities).toEqual([]);
    expect(backend.log.join("\n")).toContain("is not the one that was imported");
  });

  test("is told apart from a customer who was created here, and whose it is known", async () => {
    const other = organization();
    await backend.addOrganization(other);
    expect((await buy(shop, other.id, 1, "a")).status).toBe(201);
    const known = backend.deps.database
      .selectFrom("provider_objects")
      .selectAll()
      .where("organization_id", "=", other.id);
    const customer = { id: `cus_${other.id}`, kind: "customer", organization_id: other.id, check_at: null };
    expect(await known.execute()).toEqual([customer]);
  });

  test("has its payment method's label read again, and forgets one that is gone", async () => {
    await hear("cus_1");
    await work();
    expect(await row()).toMatchObject({ payment_method: "card_ok", payment_method_label: "Visa ending in 4242" });
    labels = {};
    await hear("cus_1");
    await work();
    expect(await row()).toMatchObject({ payment_method: null, payment_method_label: null });
    expect(await audited("payment_method.changed")).toHaveLength(2);
  });
});
