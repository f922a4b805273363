import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CustomerRecords } from "../../../src/backend/payments/gateway.ts";
import { stripeLimits } from "../../../src/backend/payments/stripe/units.ts";
import { type OperatorProvider, operatorProvider } from "../../../src/backend/service/operatorProvider.ts";
import { createOrganization, setPaymentMethod } from "../../../src/backend/service/organizations.ts";
import { POSTGRES } from "../../support/service.ts";
import { openTestStore, type TestStore } from "../support/stores.ts";

const unexpected = () => Promise.reject(new Error("unexpected"));

const CUSTOMERS: CustomerRecords = {
  exists: async (customer) => customer === "cus_1",
  findMethod: async (customer, id) =>
    customer === "cus_1" && id === "pm_1" ? { id, label: "Visa ending in 4242" } : null,
  create: unexpected,
  startCardEntry: unexpected,
  readCardEntry: unexpected,
};

const STRIPE: OperatorProvider = {
  name: "stripe",
  limits: (currency) => stripeLimits(currency),
  lookUp: (look) => look({ account: { mode: "test", seller: "" }, customers: CUSTOMERS, subscriptions: null }),
};

const clocks = { now: Date.now, monotonic: () => 0 };
const sandbox = () => operatorProvider({ flags: { payments: "sandbox", "test-mode": true }, env: {} }, clocks);

const ORGANIZATION = {
  id: 1,
  name: "Northwind",
  timeZone: "UTC",
  plan: "SMB",
  unitPrice: "150",
  currency: "GBP",
  interval: "year",
  intervalCount: 1,
  anchorDate: "2026-03-01",
  taxRate: "20",
  licenses: 25,
  autoRenew: true,
  stripeCustomerId: null as string | null,
};

describe.skipIf(!POSTGRES)("an operator's organization", () => {
  let store: TestStore;

  beforeAll(async () => {
    store = await openTestStore("postgres");
  });
  afterAll(() => store.close());

  const create = (changes: Partial<typeof ORGANIZATION>, provider = STRIPE) =>
    createOrganization(store.database, { ...ORGANIZATION, ...changes }, { provider, random: randomBytes });

  const subscription = (id: number) =>
    store.database.selectFrom("subscriptions").selectAll().where("organization_id", "=", id).executeTakeFirst();

  test("keeps its customer, whose payment methods it can have", async () => {
    await create({ id: 1, stripeCustomerId: "cus_1" });
    expect(await subscription(1)).toMatchObject({ customer_id: "cus_1", payment_method: null });
    const set = (paymentMethod: string) => setPaymentMethod(store.database, 1, { paymentMethod, provider: STRIPE });
    await expect(set("pm_2")).rejects.toThrow("pm_2 is not a payment method of cus_1");
    expect(await set("pm_1")).toEqual({ type: "card", label: "Visa ending in 4242" });
    expect(await subscription(1)).toMatchObject({
      payment_method: "pm_1",
      payment_method_label: "Visa ending in 4242",
      version: 2,
    });
  });

  test("cannot have the customer of another", async () => {
    await expect(create({ id: 2, stripeCustomerId: "cus_1" })).rejects.toMatchObject({ code: "seed_invalid" });
    expect(await subscription(2)).toBeUndefined();
  });

  test("without a customer has no payment method at Stripe, and one that does not exist has none", async () => {
    await create({ id: 3 });
    const set = (id: number) => setPaymentMethod(store.database, id, { paymentMethod: "pm_1", provider: STRIPE });
    await expect(set(3)).rejects.toThrow("Organization 3 has no customer at Stripe");
    await expect(set(4)).rejects.toMatchObject({ code: "not_found" });
  });

  test("is refused with all that the provider cannot charge", async () => {
    await expect(create({ id: 5, currency: "IRR", stripeCustomerId: "cus_9" })).rejects.toMatchObject({
      code: "settings_invalid",
      message:
        "--currency cannot be IRR: not supported by the payment provider; --stripe-customer cus_9 was not found at Stripe",
    });
    await expect(create({ id: 5, stripeCustomerId: "sub_1" })).rejects.toThrow(/--stripe-customer is not an ID/);
    await expect(create({ id: 5, stripeCustomerId: "cus_1" }, await sandbox())).rejects.toThrow(
      "--stripe-customer requires --payments stripe",
    );
    expect(await subscription(5)).toBeUndefined();
  });

  test("pays with test cards in any currency where those are allowed", async () => {
    const provider = await sandbox();
    await create({ id: 6, currency: "IRR" }, provider);
    const set = (paymentMethod: string) => setPaymentMethod(store.database, 6, { paymentMethod, provider });
    expect(await set("card_ok")).toMatchObject({ type: "card", label: expect.stringContaining("4242") });
    expect(await subscription(6)).toMatchObject({ payment_method: "card_ok", payment_method_label: null });
    await expect(set("pm_1")).rejects.toThrow(/must be one of card_ok, /);
  });
});

test("a lookup at Stripe needs its key, and limits do not", async () => {
  const provider = await operatorProvider({ flags: {}, env: { SECUREFLAG_DATABASE_URL: "postgresql:///x" } }, clocks);
  expect(provider.limits("USD")).toMatchObject({ minimum: 50 });
  await expect(provider.lookUp(unexpected)).rejects.toThrow("SECUREFLAG_STRIPE_KEY is required");
});
