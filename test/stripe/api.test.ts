import Stripe from "stripe";
import { afterEach, describe, expect, test } from "vitest";
import { waitFor } from "../support/wait.ts";
import { errorOf } from "./errorOf.ts";
import { useStandIn } from "./useStandIn.ts";

const standIn = useStandIn();

afterEach(() => standIn.control.clearFaults());

const AMOUNT = { amount: 2_000, currency: "usd" } as const;

let count = 0;

/** A key that no other test uses. */
function newKey(): { idempotencyKey: string } {
  count += 1;
  return { idempotencyKey: `pur_7_test${count}:create` };
}

async function newPayment(payment_method = "pm_card_visa"): Promise<string> {
  return (await standIn.client().paymentIntents.create({ ...AMOUNT, payment_method })).id;
}

describe("a key", () => {
  test("gives the same answer for a day", async () => {
    const [stripe, key] = [standIn.client(), newKey()];
    const first = await stripe.paymentIntents.create(AMOUNT, key);
    const again = await stripe.paymentIntents.create(AMOUNT, key);
    expect(again.id).toBe(first.id);
    expect(first.lastResponse.headers["idempotent-replayed"]).toBeUndefined();
    expect(again.lastResponse.headers["idempotent-replayed"]).toBe("true");
    await standIn.control.advance(24 * 60 * 60 + 1);
    expect((await stripe.paymentIntents.create(AMOUNT, key)).id).not.toBe(first.id);
  });

  test("is refused for other parameters", async () => {
    const [stripe, key] = [standIn.client(), newKey()];
    await stripe.paymentIntents.create(AMOUNT, key);
    const error = await errorOf(stripe.paymentIntents.create({ ...AMOUNT, amount: 2_001 }, key));
    expect(error).toMatchObject({ statusCode: 400, type: "StripeIdempotencyError" });
  });

  test("replays a decline, also after the payment was paid with another method", async () => {
    const [stripe, key] = [standIn.client(), newKey()];
    const id = await newPayment("pm_card_visa_chargeDeclined");
    const confirm = () => stripe.paymentIntents.confirm(id, {}, key);
    const first = await errorOf(confirm());
    await stripe.paymentIntents.confirm(id, { payment_method: "pm_card_visa" });
    const again = await errorOf(confirm());
    expect(again).toMatchObject({ statusCode: 402, code: first.code, charge: first.charge });
    expect(again.headers?.["idempotent-replayed"]).toBe("true");
  });

  test("is free after a request that was wrong in itself", async () => {
    const [stripe, key] = [standIn.client(), newKey()];
    expect(await errorOf(stripe.paymentIntents.create({ ...AMOUNT, amount: 1 }, key))).toMatchObject({
      statusCode: 400,
    });
    expect(await stripe.paymentIntents.create(AMOUNT, key)).toMatchObject({ amount: 2_000 });
  });

  test("is in use while the first request runs, and its object is locked", async () => {
    const [stripe, key] = [standIn.client(), newKey()];
    const id = await newPayment();
    await standIn.control.fault({ call: "paymentIntents.confirm", about: id, effect: "slow", milliseconds: 3_000 });
    const first = stripe.paymentIntents.confirm(id, {}, key);
    await waitFor(async () => (await standIn.control.faults()).length === 0);
    const [other, second] = await Promise.all([
      errorOf(stripe.paymentIntents.confirm(id, {}, newKey())),
      errorOf(stripe.paymentIntents.confirm(id, {}, key)),
    ]);
    expect(other).toMatchObject({ statusCode: 429, code: "lock_timeout" });
    expect(second).toMatchObject({ statusCode: 409, code: "idempotency_key_in_use" });
    expect(await first).toMatchObject({ status: "succeeded" });
  });
});

describe("a fault", () => {
  test.each([
    ["before", 0],
    ["after", 1],
  ] as const)("that loses an answer %s execution", async (when, made) => {
    const [stripe, key] = [standIn.client(), newKey()];
    const metadata = { purchaseId: key.idempotencyKey };
    // The client repeats a connection that was reset once, with the same key.
    await standIn.control.fault({
      call: "paymentIntents.create",
      about: key.idempotencyKey,
      effect: "lost",
      when,
      times: 2,
    });
    const error = await errorOf(stripe.paymentIntents.create({ ...AMOUNT, metadata }, key));
    expect(error).toMatchObject({ type: "StripeConnectionError" });
    const { data } = await stripe.paymentIntents.list({ limit: 100 });
    expect(data.filter((payment) => payment.metadata.purchaseId === metadata.purchaseId)).toHaveLength(made);
    expect(await stripe.paymentIntents.create({ ...AMOUNT, metadata }, key)).toMatchObject({ metadata });
  });

  test.each([
    ["before", "requires_confirmation"],
    ["after", "succeeded"],
  ] as const)("of Stripe's own %s execution is replayed", async (when, status) => {
    const [stripe, key] = [standIn.client(), newKey()];
    const id = await newPayment();
    await standIn.control.fault({ call: "paymentIntents.confirm", about: id, effect: "failed", when });
    const first = await errorOf(stripe.paymentIntents.confirm(id, {}, key));
    expect(first).toMatchObject({ statusCode: 500, type: "StripeAPIError" });
    expect(first.headers?.["idempotent-replayed"]).toBeUndefined();
    const again = await errorOf(stripe.paymentIntents.confirm(id, {}, key));
    expect(again.headers?.["idempotent-replayed"]).toBe("true");
    expect(await stripe.paymentIntents.retrieve(id)).toMatchObject({ status });
  });

  test.each([
    ["unauthorized", 401, "StripeAuthenticationError"],
    ["forbidden", 403, "StripePermissionError"],
    ["key_in_use", 409, "StripeAPIError"],
    ["lock_timeout", 429, "StripeRateLimitError"],
    ["rate_limit", 429, "StripeRateLimitError"],
  ] as const)("%s is answered with %i, and leaves the key free", async (effect, statusCode, type) => {
    const [stripe, key] = [standIn.client(), newKey()];
    const id = await newPayment();
    await standIn.control.fault({ call: "paymentIntents.confirm", about: id, effect });
    expect(await errorOf(stripe.paymentIntents.confirm(id, {}, key))).toMatchObject({ statusCode, type });
    expect(await stripe.paymentIntents.confirm(id, {}, key)).toMatchObject({ status: "succeeded" });
  });
});

describe("a request", () => {
  test("needs the key", async () => {
    const { hostname: host, port } = new URL(standIn.ready.url);
    const stripe = new Stripe("sk_test_wrong", {
      host,
      port,
      protocol: "http",
      maxNetworkRetries: 0,
      telemetry: false,
    });
    expect(await errorOf(stripe.customers.list())).toMatchObject({ statusCode: 401 });
    const basic = { authorization: `Basic ${btoa(`${standIn.ready.key}:`)}`, "stripe-version": Stripe.API_VERSION };
    expect((await fetch(`${standIn.ready.url}/v1/customers`, { headers: basic })).status).toBe(200);
  });

  test("with anything that Stripe's types do not know is a violation", async () => {
    const stripe = standIn.client();
    const unknown = { ...AMOUNT, payment_method_types: ["card"] } as Stripe.PaymentIntentCreateParams;
    expect(await errorOf(stripe.paymentIntents.create(unknown))).toMatchObject({
      statusCode: 400,
      code: "parameter_unknown",
      param: "payment_method_types",
    });
    const nested = { created: { since: 1 } } as Stripe.PaymentIntentListParams;
    expect(await errorOf(stripe.paymentIntents.list(nested))).toMatchObject({ statusCode: 400 });
    const older = standIn.client({ apiVersion: "2020-08-27" as typeof Stripe.API_VERSION });
    await older.customers.list();
    expect(await errorOf(stripe.rawRequest("GET", "/v1/nothing"))).toMatchObject({ statusCode: 404 });
    expect((await standIn.control.violations()).map(({ message }) => message)).toEqual([
      "Received unknown parameter: payment_method_types",
      expect.stringMatching("created"),
      "Stripe-Version is 2020-08-27",
      "Unrecognized request URL (GET: /v1/nothing).",
    ]);
    await standIn.control.forgetViolations();
  });

  test("is recorded with its parameters", async () => {
    const key = newKey();
    const { id, lastResponse } = await standIn.client().paymentIntents.create({ ...AMOUNT, metadata: { a: "1" } }, key);
    expect(lastResponse.requestId).toMatch(/^req_/);
    expect((await standIn.control.requests()).at(-1)).toMatchObject({
      id: lastResponse.requestId,
      call: "paymentIntents.create",
      parameters: { amount: "2000", currency: "usd", metadata: { a: "1" } },
      idempotencyKey: key.idempotencyKey,
      status: 200,
    });
    expect(id).toMatch(/^pi_/);
  });

  test("that was answered survives kill -9", async () => {
    const key = newKey();
    const [first, id] = [await standIn.client().paymentIntents.create(AMOUNT, key), await newPayment()];
    const confirmation = newKey();
    await standIn.client().paymentIntents.confirm(id, {}, confirmation);
    const requests = (await standIn.control.requests()).length;
    await standIn.restart();
    const again = await standIn.client().paymentIntents.create(AMOUNT, key);
    expect(again.id).toBe(first.id);
    const confirmed = await standIn.client().paymentIntents.confirm(id, {}, confirmation);
    expect(confirmed.lastResponse.headers["idempotent-replayed"]).toBe("true");
    expect(await standIn.control.captures()).toContainEqual(expect.objectContaining({ payment: id }));
    expect(await standIn.control.requests()).toHaveLength(requests + 2);
  });

  test("that was answered while others came survives kill -9, and the others happened once or not at all", async () => {
    const stripe = standIn.client();
    const keys = Array.from({ length: 60 }, newKey);
    const create = (key: { idempotencyKey: string }) =>
      stripe.paymentIntents.create({ ...AMOUNT, metadata: { purchaseId: key.idempotencyKey } }, key);
    const answered = new Map<string, string>();
    const calls = keys.map(async (key) => answered.set(key.idempotencyKey, (await create(key)).id).size);
    await Promise.any(calls);
    await Promise.all([standIn.restart(), Promise.allSettled(calls)]);
    const again = await Promise.all(keys.map(create));
    for (const { id, metadata } of again) expect(answered.get(metadata.purchaseId ?? "") ?? id).toBe(id);
    const { data } = await stripe.paymentIntents.list({ limit: 100 });
    const made = data.filter(({ metadata }) => keys.some((key) => key.idempotencyKey === metadata.purchaseId));
    expect(made.map(({ id }) => id).toSorted()).toEqual(again.map(({ id }) => id).toSorted());
  });

  test("with a key that is too long is refused", async () => {
    const key = { idempotencyKey: "k".repeat(256) };
    expect(await errorOf(standIn.client().paymentIntents.create(AMOUNT, key))).toMatchObject({ statusCode: 400 });
  });
});
