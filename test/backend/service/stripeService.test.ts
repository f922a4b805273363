import { randomBytes } from "node:crypto";
import Stripe from "stripe";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { checkProvider } from "../../../src/backend/service/check.ts";
import type { GivenSettings } from "../../../src/backend/service/given.ts";
import { importSeed } from "../../../src/backend/service/import.ts";
import { migrateService } from "../../../src/backend/service/migrate.ts";
import { operatorProvider } from "../../../src/backend/service/operatorProvider.ts";
import { createOrganization } from "../../../src/backend/service/organizations.ts";
import { setPaymentMethod } from "../../../src/backend/service/paymentMethods.ts";
import { reconcileService } from "../../../src/backend/service/reconcileService.ts";
import { type RunningService, startService } from "../../../src/backend/service/server.ts";
import { readPaymentSettings, readServiceSettings } from "../../../src/backend/service/settings.ts";
import { withStore } from "../../../src/backend/service/store.ts";
import { useStandIn } from "../../stripe/useStandIn.ts";
import { organization, seed, tokenOf } from "../../support/seed.ts";
import { createDatabase, POSTGRES, serviceEnvironment, type TestDatabase } from "../../support/service.ts";
import { serviceMachine } from "../support/serviceMachine.ts";

const PUBLIC_URL = "https://billing.example.com";
const ANCHOR = `${new Date().getUTCFullYear()}-01-01`;

describe.skipIf(!POSTGRES)("a service that is paid through Stripe", () => {
  const standIn = useStandIn();
  let database: TestDatabase;
  let log: string[] = [];
  const running: RunningService[] = [];

  const machine = serviceMachine({ log: (line) => void log.push(line) });

  const given = (flags: Record<string, string> = {}): GivenSettings => ({
    flags: { "test-mode": true, port: "0", "drain-seconds": "0", ...flags },
    env: {
      ...serviceEnvironment(database),
      SECUREFLAG_STRIPE_KEY: standIn.ready.key,
      SECUREFLAG_STRIPE_WEBHOOK_SECRETS: standIn.ready.webhookSecret,
      SECUREFLAG_STRIPE_API_URL: standIn.ready.url,
    },
  });

  const on = async <Result>(work: Parameters<typeof withStore<Result>>[2]) =>
    withStore((await readServiceSettings(given())).database, () => {}, work);

  const customerWithCard = async () => {
    const stripe = standIn.client();
    const { id: customer } = await stripe.customers.create({ name: "Northwind Labs" });
    const { id: card } = await stripe.paymentMethods.attach("pm_card_visa", { customer });
    return { customer, card };
  };

  async function start(flags: Record<string, string> = {}): Promise<RunningService> {
    const service = await startService(await readServiceSettings(given(flags)), machine);
    running.push(service);
    return service;
  }

  async function buy({ ready }: RunningService, key: string) {
    const send = async (path: string, body: object) => {
      const answer = await fetch(`${ready.url}/organizations/1/${path}`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${tokenOf(1)}`,
          "content-type": "application/json",
          "idempotency-key": key,
        },
        body: JSON.stringify(body),
      });
      return (await answer.json()) as { id: string; status: string; mode: string };
    };
    return send("purchases?wait=20", { quoteId: (await send("quotes", { licenses: 1 })).id });
  }

  beforeAll(async () => {
    database = await createDatabase();
    await migrateService((await readServiceSettings(given())).database, { isPlan: false, serviceRole: null }, () => {});
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((service) => service.close()));
    await standIn.control.clearFaults();
    log = [];
  });
  afterAll(() => database.drop());

  test("is checked: what the key may do, and whether events arrive", async () => {
    const settings = await readServiceSettings(given({ "public-url": PUBLIC_URL, "trust-proxy": "10.0.0.0/8" }));
    const check = () => checkProvider(settings, machine.monotonic);
    expect(await check()).toEqual({
      provider: "stripe",
      mode: "test",
      seller: "SecureFlag",
      apiVersion: Stripe.API_VERSION,
      warnings: [expect.stringContaining(`no webhook endpoint ${PUBLIC_URL}/webhooks/stripe`)],
    });
    await standIn.control.addEndpoint({ url: `${PUBLIC_URL}/webhooks/stripe` });
    expect((await check())?.warnings).toEqual([]);
    await standIn.control.fault({ call: "refunds.create", effect: "forbidden" });
    await expect(check()).rejects.toMatchObject({
      code: "settings_invalid",
      message: "SECUREFLAG_STRIPE_KEY lacks permissions: Charges and Refunds (write)",
    });
    await standIn.control.fault({ call: "balance.retrieve", effect: "lost", times: 2 });
    await expect(check()).rejects.toMatchObject({ code: "unavailable" });
  });

  test("imports a subscription that Stripe renews, and refuses one that is not what the file says", async () => {
    const { customer } = await customerWithCard();
    const { id: subscription, items } = await standIn.control.createSubscription({
      ...{
        customer,
        quantity: 25,
        unitAmount: 15_000,
        currency: "gbp",
        start: Date.parse(`${ANCHOR}T09:00:00Z`) / 1_000,
      },
    });
    const provider = await operatorProvider(given(), machine);
    const importWith = (licenses: number) => {
      const made = organization(2, {
        ...{ timeZone: "UTC", paymentMethod: null, stripeCustomerId: customer, stripeSubscriptionId: subscription },
        stripeSubscriptionItemId: items.data[0]?.id ?? "",
      });
      Object.assign(made.subscription, { anchorDate: ANCHOR, licenses });
      const file = { path: "seed.json", text: JSON.stringify(seed(made)) };
      return on((store) =>
        importSeed(store, file, { isTestMode: true, provider, masterKeys: [], random: randomBytes }),
      );
    };
    await expect(importWith(24)).rejects.toThrow("subscription.licenses: is not 25");
    expect(await importWith(25)).toMatchObject([{ id: 2 }]);
  });

  test("creates an organization for a customer, with one of its cards", async () => {
    const { customer, card } = await customerWithCard();
    const provider = await operatorProvider(given(), machine);
    const made = { id: 3, name: "Acme", timeZone: "UTC", plan: "SMB", unitPrice: "150", currency: "GBP" };
    const term = {
      interval: "year",
      intervalCount: 1,
      anchorDate: ANCHOR,
      taxRate: "20",
      licenses: 5,
      autoRenew: true,
    };
    const create = (stripeCustomerId: string) =>
      on((store) =>
        createOrganization(store, { ...made, ...term, stripeCustomerId }, { provider, random: randomBytes }),
      );
    await expect(create("cus_none")).rejects.toThrow("--stripe-customer cus_none was not found at Stripe");
    await create(customer);
    const set = (paymentMethod: string) =>
      on((store) => setPaymentMethod(store, 3, { paymentMethod, provider, random: randomBytes }));
    expect(await set(card)).toMatchObject({ type: "card", label: expect.stringContaining("4242") });
    await expect(set((await customerWithCard()).card)).rejects.toThrow("belongs to another customer");
  });

  test("sells, is reconciled, and finds a payment that it does not know", async () => {
    const { customer, card } = await customerWithCard();
    const provider = await operatorProvider(given(), machine);
    const file = {
      path: "seed.json",
      text: JSON.stringify(seed(organization(1, { paymentMethod: null, stripeCustomerId: customer }))),
    };
    await on((store) => importSeed(store, file, { isTestMode: true, provider, masterKeys: [], random: randomBytes }));
    await on((store) => setPaymentMethod(store, 1, { paymentMethod: card, provider, random: randomBytes }));

    const service = await start({ "metrics-port": "0", "log-level": "debug" });
    // A busy machine may shed the first request.
    await expect
      .poll(() => buy(service, "first"), { timeout: 20_000 })
      .toMatchObject({ status: "succeeded", mode: "test" });
    const port = /metrics on port (\d+)/.exec(log.join(""))?.[1];
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    expect(metrics).toMatch(/stripe_requests_total\{call="POST payment_intents",result="200"\} 1/);
    expect(log.join("")).toMatch(/"msg":"stripe POST payment_intents\/confirm".*"stripeRequestId":"req_/);
    expect(log.join("")).not.toContain(standIn.ready.key);

    const reconcileNow = async () =>
      reconcileService(await readPaymentSettings(given()), Date.now() - 3_600_000, machine);
    expect(await reconcileNow()).toMatchObject({ payments: 1, findings: [], hold: "none" });
    const stripe = standIn.client();
    const lost = await stripe.paymentIntents.create({
      ...{ amount: 700, currency: "gbp", customer, payment_method: card },
      allowed_payment_method_types: ["card"],
      metadata: { organizationId: "1", purchaseId: "pur_1_lost", kind: "purchase" },
    });
    await stripe.paymentIntents.confirm(lost.id, { off_session: true });
    expect((await reconcileNow()).findings).toMatchObject([{ finding: "unknownPurchase", purchaseId: "pur_1_lost" }]);
  });

  test("starts while Stripe rejects the key, and says so", async () => {
    await standIn.control.fault({ call: "accounts.retrieveCurrent", effect: "unauthorized" });
    const { ready } = await start();
    expect((await fetch(`${new URL(ready.url).origin}/readyz`)).status).toBe(200);
    await expect.poll(() => log.join("")).toContain("Stripe rejects the key: run serve check");
  });
});
