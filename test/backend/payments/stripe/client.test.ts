import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { afterEach, beforeEach, expect, test } from "vitest";
import { GatewayRefusal, GatewayUnavailable } from "../../../../src/backend/payments/gateway.ts";
import { openStripe, type StripeCall } from "../../../../src/backend/payments/stripe/client.ts";
import { ask, call } from "../../../../src/backend/payments/stripe/errors.ts";

let server: Server;
let calls: StripeCall[];
let answer: { status: number; body: unknown; headers?: Record<string, string> } | null;

beforeEach(async () => {
  calls = [];
  answer = { status: 200, body: { id: "pi_1", object: "payment_intent" } };
  server = createServer((request, response) => {
    if (answer === null) return void request.socket.destroy();
    const headers = { "content-type": "application/json", "request-id": "req_1", ...answer.headers };
    response.writeHead(answer.status, headers).end(JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(() => void server.close());

const open = (rate = 1_000, host = "127.0.0.1") => {
  const { port } = server.address() as AddressInfo;
  const apiUrl = new URL(`http://${host}:${port}`);
  return openStripe({
    key: "sk_test_1",
    apiUrl,
    rate,
    monotonic: () => performance.now(),
    observe: (made) => calls.push(made),
  });
};

test("every request is reported by name, status and Stripe's ID, without the IDs in its path", async () => {
  const stripe = open();
  await stripe.paymentIntents.confirm("pi_1", { payment_method: "pm_1" });
  await stripe.checkout.sessions.retrieve("cs_test_1", { expand: ["setup_intent"] });
  expect(calls).toMatchObject([
    { call: "POST payment_intents/confirm", status: 200, requestId: "req_1" },
    { call: "GET checkout/sessions", status: 200, requestId: "req_1" },
  ]);
  expect(calls.every(({ seconds }) => seconds > 0)).toBe(true);
});

const HAS_IPV6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === "::1"),
);

test.runIf(HAS_IPV6)("an API at an IPv6 address is reached", async () => {
  server.close();
  await new Promise<void>((resolve) => server.listen(0, "::1", resolve));
  expect(await open(1_000, "[::1]").paymentIntents.retrieve("pi_1")).toMatchObject({ id: "pi_1" });
});

test("a request without an answer is reported too, and its outcome is unknown", async () => {
  answer = null;
  const lost = call(() => open().paymentIntents.cancel("pi_1"));
  await expect(lost).rejects.toThrow(GatewayUnavailable);
  expect(calls.at(-1)).toMatchObject({ call: "POST payment_intents/cancel", status: null, requestId: null });
});

test("requests beyond the rate leave later", async () => {
  const stripe = open(40);
  const start = performance.now();
  await Promise.all(Array.from({ length: 20 }, () => stripe.paymentIntents.retrieve("pi_1")));
  // Ten at once, and ten more 25 ms apart.
  expect(performance.now() - start).toBeGreaterThan(225);
});

const refusal = { type: "invalid_request_error", message: "No" };

test.each([
  [400, refusal, {}, GatewayRefusal, { isConflict: false }],
  [404, refusal, {}, GatewayRefusal, { isConflict: false }],
  [400, { type: "idempotency_error", message: "No" }, {}, GatewayRefusal, { isConflict: true }],
  [400, { ...refusal, code: "rate_limit" }, {}, GatewayUnavailable, { isReplayed: false }],
  [401, refusal, {}, GatewayUnavailable, { isReplayed: false }],
  [403, refusal, {}, GatewayUnavailable, { isReplayed: false }],
  [409, { type: "idempotency_error", code: "idempotency_key_in_use" }, {}, GatewayUnavailable, { isReplayed: false }],
  [429, { ...refusal, code: "lock_timeout" }, {}, GatewayUnavailable, { isReplayed: false }],
  [500, { type: "api_error", message: "No" }, {}, GatewayUnavailable, { isReplayed: false }],
  [500, { type: "api_error" }, { "idempotent-replayed": "true" }, GatewayUnavailable, { isReplayed: true }],
])("an answer of %i with %j %j is told apart", async (status, error, headers, expected, details) => {
  answer = { status, body: { error }, headers };
  const failure = await call(() => open().paymentIntents.cancel("pi_1")).catch((caught: unknown) => caught);
  expect(failure).toBeInstanceOf(expected);
  expect(failure).toMatchObject(details);
});

test("what Stripe does not have is null to whoever asks", async () => {
  answer = { status: 404, body: { error: { ...refusal, code: "resource_missing" } } };
  expect(await ask(() => open().paymentIntents.retrieve("pi_1"))).toBeNull();
});

test("an error of ours is not taken for Stripe's", async () => {
  const ours = new TypeError("ours");
  await expect(call(() => Promise.reject(ours))).rejects.toBe(ours);
});
