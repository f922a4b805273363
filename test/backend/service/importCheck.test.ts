import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { GatewayUnavailable, type ProviderSubscription } from "../../../src/backend/payments/gateway.ts";
import { stripeLimits } from "../../../src/backend/payments/stripe/units.ts";
import { importSeed } from "../../../src/backend/service/import.ts";
import { type OperatorProvider, operatorProvider } from "../../../src/backend/service/operatorProvider.ts";
import { providerSilent } from "../../../src/backend/service/provider.ts";
import { seed } from "../../support/seed.ts";
import { POSTGRES } from "../../support/service.ts";
import { organization } from "../support/backend.ts";
import { openTestStore } from "../support/stores.ts";

const DAY_MS = 24 * 3_600_000;

const NOW = new Date();

/** The first day of this month, and of the same one of next year. */
const [ANCHOR, NEXT] = [0, 1].map((years) =>
  new Date(Date.UTC(NOW.getUTCFullYear() + years, NOW.getUTCMonth(), 1)).toISOString().slice(0, 10),
);

const IDS = { stripeCustomerId: "cus_1", stripeSubscriptionId: "sub_1", stripeSubscriptionItemId: "si_1" };

const FOUND: ProviderSubscription = {
  id: "sub_1",
  customer: "cus_1",
  mode: "test",
  status: "active",
  autoRenew: true,
  invoice: "in_1",
  items: [{ id: "si_1", quantity: 25, start: Date.parse(`${ANCHOR}T09:00:00Z`), end: Date.parse(`${NEXT}T09:00:00Z`) }],
};

type Records = NonNullable<Parameters<Parameters<OperatorProvider["lookUp"]>[0]>[0]>;

const stripe = (records: Records): OperatorProvider => ({
  name: "stripe",
  limits: (currency) => stripeLimits(currency),
  lookUp: (look) => look(records),
});

function records(found: Partial<ProviderSubscription> | null, customers = ["cus_1"]): Records {
  const unexpected = () => Promise.reject(new Error("unexpected"));
  return {
    account: { mode: "test", seller: "SecureFlag" },
    subscriptions: { read: async () => found && { ...FOUND, ...found }, setQuantity: unexpected },
    customers: {
      exists: async (customer) => customers.includes(customer),
      create: unexpected,
      findMethod: unexpected,
      attachCard: unexpected,
      startCardEntry: unexpected,
      readCardEntry: unexpected,
    },
  };
}

const provider = (found: Partial<ProviderSubscription> | null, customers?: string[]) =>
  stripe(records(found, customers));

describe.skipIf(!POSTGRES)("an import of organizations that the provider knows", () => {
  async function importOf(changes: object, provider: OperatorProvider | "sandbox", currency = "GBP") {
    const store = await openTestStore("postgres");
    try {
      const flags = { payments: "sandbox", "test-mode": true };
      const chosen =
        provider === "sandbox"
          ? await operatorProvider({ flags, env: {} }, { now: Date.now, monotonic: () => 0 })
          : provider;
      const seeded = organization({ timeZone: "UTC", paymentMethod: null, ...changes });
      seeded.subscription.anchorDate = ANCHOR ?? "";
      seeded.subscription.unitPrice.currency = currency;
      const file = { path: "seed.json", text: JSON.stringify(seed(seeded)) };
      const options = { isTestMode: true, provider: chosen, masterKeys: [], random: randomBytes };
      const message = await importSeed(store.database, file, options).then(
        () => null,
        (error) => String(error.message),
      );
      const objects = await store.database.selectFrom("provider_objects").selectAll().orderBy("id").execute();
      const row = await store.database.selectFrom("subscriptions").selectAll().executeTakeFirst();
      return { message, objects, row };
    } finally {
      await store.close();
    }
  }

  test("keeps whose the customer and the subscription are, and leaves renewals to the provider", async () => {
    const { message, objects, row } = await importOf(IDS, provider({}));
    expect(message).toBeNull();
    expect(objects).toMatchObject([
      { id: "cus_1", kind: "customer", check_at: null },
      { id: "sub_1", kind: "subscription", check_at: 0 },
    ]);
    expect(row).toMatchObject({ customer_id: "cus_1", provider_item: "si_1", renew_at: null, auto_renew: 1 });
  });

  test("renews an organization here that has only a customer", async () => {
    const { message, row } = await importOf({ stripeCustomerId: "cus_1" }, provider(null));
    expect(message).toBeNull();
    expect(row).toMatchObject({ customer_id: "cus_1", provider_subscription: null, renew_at: expect.any(Number) });
  });

  const [item] = FOUND.items;
  const later = {
    ...item,
    id: "si_1",
    quantity: 25,
    start: (item?.start ?? 0) + DAY_MS,
    end: (item?.end ?? 0) + DAY_MS,
  };

  test.each<[string, object, OperatorProvider | "sandbox", string]>([
    ["without a provider that has customers", IDS, "sandbox", "stripeCustomerId: requires --payments stripe"],
    ["with an unknown customer", IDS, provider({}, []), "stripeCustomerId: cus_1 was not found"],
    ["with an unknown subscription", IDS, provider(null), "stripeSubscriptionId: sub_1 was not found"],
    ["with another's subscription", IDS, provider({ customer: "cus_2" }), "stripeCustomerId: is not cus_2"],
    ["with one of the other mode", IDS, provider({ mode: "live" }), "stripeSubscriptionId: is in live mode"],
    ["with one that is canceled", IDS, provider({ status: "canceled" }), "stripeSubscriptionId: is canceled"],
    ["with an unknown item", IDS, provider({ items: [] }), "stripeSubscriptionItemId: si_1 is not an item"],
    ["with another quantity", IDS, provider({ items: [{ ...later, quantity: 24 }] }), "licenses: is not 24"],
    ["with another term", IDS, provider({ items: [later] }), "anchorDate: makes the current term"],
    ["with a subscription alone", { stripeSubscriptionId: "sub_1" }, provider({}), "requires stripeCustomerId"],
    ["with a test card", { paymentMethod: "card_ok" }, provider({}), "paymentMethod: is a test card, which requires"],
    ["with a wrong kind of ID", { stripeCustomerId: "sub_1" }, provider({}), "begins with cus_"],
  ])("is refused %s", async (_what, ids, by, expected) => {
    const { message, row } = await importOf(ids, by);
    expect(message).toContain(expected);
    expect(row).toBeUndefined();
  });

  test("is refused while the provider does not answer", async () => {
    const failing = {
      ...provider({}),
      lookUp: () => Promise.reject(providerSilent(new GatewayUnavailable("No answer"))),
    };
    const { message } = await importOf(IDS, failing);
    expect(message).toBe("The payment provider did not answer");
  });

  test("is refused in a currency that the provider lacks", async () => {
    const { message, row } = await importOf({}, provider({}), "IRR");
    expect(message).toContain("unitPrice.currency: IRR is not supported");
    expect(row).toBeUndefined();
  });
});
