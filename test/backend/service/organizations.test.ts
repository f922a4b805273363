import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CustomerRecords, GatewayRefusal } from "../../../src/backend/payments/gateway.ts";
import { stripeLimits } from "../../../src/backend/payments/stripe/units.ts";
import { type OperatorProvider, operatorProvider } from "../../../src/backend/service/operatorProvider.ts";
import { createOrganization } from "../../../src/backend/service/organizations.ts";
import { setPaymentMethod } from "../../../src/backend/service/paymentMethods.ts";
import { POSTGRES } from "../../support/service.ts";
import { openTestStore, type TestStore } from "../support/stores.ts";

const unexpected = () => Promise.reject(new Error("unexpected"));

const CUSTOMERS: CustomerRecords = {
  exists: async (customer) => customer === "cus_1",
  findMethod: unexpected,
  async attachCard(customer, id) {
    if (id === "pm_declined") throw new GatewayRefusal("Your card was declined.", { isConflict: false });
    return { id: id === "pm_card_visa" ? `pm_of_${customer}` : id, label: "Visa ending in 4242" };
  },
  create: async ({ id, name }) => `cus_${name}_${id}`,
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

  const set = (id: number, paymentMethod: string, provider = STRIPE) =>
    setPaymentMethod(store.database, id, { paymentMethod, provider, random: randomBytes });

  const subscription = (id: number) =>
    store.database.selectFrom("subscriptions").selectAll().where("organization_id", "=", id).executeTakeFirst();

  test("keeps its customer, whose payment methods it can have", async () => {
    await create({ id: 1, stripeCustomerId: "cus_1" });
    expect(await subscription(1)).toMatchObject({ customer_id: "cus_1", payment_method: null });
    await expect(set(1, "pm_declined")).rejects.toMatchObject({
      code: "settings_invalid",
      message: "Cannot pay with pm_declined: Your card was declined.",
    });
    expect(await set(1, "pm_1")).toEqual({ type: "card", label: "Visa ending in 4242" });
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

  test("without a customer gets one with its first card, also if that is declined", async () => {
    await create({ id: 3 });
    await expect(set(3, "pm_declined")).rejects.toThrow("Your card was declined.");
    expect(await subscription(3)).toMatchObject({ customer_id: "cus_Northwind_3", payment_method: null, version: 1 });
    expect(await set(3, "pm_card_visa")).toMatchObject({ label: "Visa ending in 4242" });
    expect(await subscription(3)).toMatchObject({
      customer_id: "cus_Northwind_3",
      payment_method: "pm_of_cus_Northwind_3",
    });
    const followed = store.database
      .selectFrom("provider_objects")
      .select(["id", "kind"])
      .where("organization_id", "=", 3);
    expect(await followed.execute()).toEqual([{ id: "cus_Northwind_3", kind: "customer" }]);
    await expect(set(4, "pm_1")).rejects.toMatchObject({ code: "not_found" });
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
    expect(await set(6, "card_ok", provider)).toMatchObject({ type: "card", label: expect.stringContaining("4242") });
    expect(await subscription(6)).toMatchObject({
      payment_method: "card_ok",
      payment_method_label: expect.stringContaining("4242"),
    });
    await expect(set(6, "pm_1", provider)).rejects.toThrow(/must be one of card_ok, /);
  });
});

test("a lookup at Stripe needs its key, and limits do not", async () => {
  const provider = await operatorProvider({ flags: {}, env: { SECUREFLAG_DATABASE_URL: "postgresql:///x" } }, clocks);
  expect(provider.limits("USD")).toMatchObject({ minimum: 50 });
  await expect(provider.lookUp(unexpected)).rejects.toThrow("SECUREFLAG_STRIPE_KEY is required");
});
