import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import Stripe from "stripe";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GatewayUnavailable } from "../../../../src/backend/payments/gateway.ts";
import { checkStripe, type StripeReport } from "../../../../src/backend/payments/stripe/check.ts";

const URL_OF_WEBHOOKS = "https://billing.example.com/webhooks/stripe";

/** What is answered to a request, by its method and path; 404 to any other. */
type Answers = Record<string, readonly [status: number, body: unknown]>;

const endpoint = (changes: object = {}) => ({
  id: "we_1",
  url: URL_OF_WEBHOOKS,
  status: "enabled",
  enabled_events: ["*"],
  api_version: Stripe.API_VERSION,
  ...changes,
});

const HEALTHY: Answers = {
  "GET /v1/account": [200, { business_profile: { name: "SecureFlag" }, charges_enabled: true }],
  "GET /v1/balance": [200, { livemode: false }],
  "GET /v1/webhook_endpoints": [200, { object: "list", data: [endpoint()], has_more: false }],
};

const FORBIDDEN = [403, { error: { type: "invalid_request_error", message: "not allowed" } }] as const;
const MISSING = [404, { error: { type: "invalid_request_error", code: "resource_missing", message: "none" } }] as const;

let server: Server;
let answers: Answers;
let requests: string[];

beforeEach(async () => {
  [answers, requests] = [HEALTHY, []];
  server = createServer((request, response) => {
    const name = `${request.method} ${request.url?.split("?")[0]}`;
    requests.push(name);
    const [status, body] = answers[name] ?? answers.all ?? MISSING;
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(() => void server.close());

function check(changes: Answers = {}, options: object = {}): Promise<StripeReport> {
  answers = { ...HEALTHY, ...changes };
  const { port } = server.address() as AddressInfo;
  const stripe = new Stripe("rk_test_1", { host: "127.0.0.1", port, protocol: "http", maxNetworkRetries: 0 });
  return checkStripe(stripe, { mode: "test", seller: null, webhookUrl: URL_OF_WEBHOOKS, ...options });
}

const endpoints = (...data: object[]): Answers => ({
  "GET /v1/webhook_endpoints": [200, { object: "list", data, has_more: false }],
});

test("an account with all that is needed has nothing to say", async () => {
  expect(await check()).toEqual({
    seller: "SecureFlag",
    apiVersion: Stripe.API_VERSION,
    problems: [],
    warnings: [],
  });
  // Nothing that exists is changed.
  const changing = requests.filter((name) => !name.startsWith("GET "));
  for (const name of changing) expect(name).toMatch(/serve_check|^POST \/v1\/refunds$/);
});

test.each<[string, Answers, object, RegExp]>([
  ["a key that Stripe rejects", { all: [401, { error: { message: "no" } }] }, {}, /^Stripe rejects SECURE/],
  [
    "permissions that the key lacks",
    { "POST /v1/refunds": FORBIDDEN, "GET /v1/disputes/dp_serve_check": FORBIDDEN },
    {},
    /^SECUREFLAG_STRIPE_KEY lacks permissions: Charges and Refunds \(write\), Disputes \(read\)$/,
  ],
  ["an account of the other mode", { "GET /v1/balance": [200, { livemode: true }] }, {}, /answers in the other mode/],
  [
    "an account that cannot be paid",
    { "GET /v1/account": [200, { charges_enabled: false }], "GET /v1/balance": [200, { livemode: true }] },
    { mode: "live", seller: "SecureFlag" },
    /cannot take payments yet/,
  ],
])("%s keeps the service from selling", async (_, changes, options, problem) => {
  const { problems } = await check(changes, options);
  expect(problems).toEqual([expect.stringMatching(problem)]);
});

test.each<[string, Answers, RegExp]>([
  ["a name that the key cannot read", { "GET /v1/account": FORBIDDEN }, /Pass --seller <name>/],
  ["endpoints that the key cannot list", { "GET /v1/webhook_endpoints": FORBIDDEN }, /cannot list webhook endpoints/],
  ["no endpoint", endpoints(endpoint({ url: "https://other.example.com/" })), /has no webhook endpoint https:/],
  ["an endpoint that is disabled", endpoints(endpoint({ status: "disabled" })), /is disabled. Enable it/],
  [
    "events that an endpoint does not receive",
    endpoints(endpoint({ enabled_events: ["payment_intent.succeeded"] })),
    /does not receive payment_intent.payment_failed, .*customer.subscription.deleted\.$/,
  ],
  [
    "an endpoint of another API version",
    endpoints(endpoint({ api_version: "2024-06-20" })),
    /uses API version 2024-06-20, not 2/,
  ],
  [
    "a balance that the key cannot read",
    { "GET /v1/balance": FORBIDDEN },
    /mode in which Stripe answers was not checked/,
  ],
  ["no account", { "GET /v1/account": MISSING }, /Pass --seller <name>/],
  ["no list of endpoints", { "GET /v1/webhook_endpoints": MISSING }, /^The key cannot list webhook endpoints, so/],
  ["no balance", { "GET /v1/balance": MISSING }, /mode in which Stripe answers was not checked/],
])("%s is a warning", async (_, changes, warning) => {
  const { problems, warnings } = await check(changes);
  expect(problems).toEqual([]);
  expect(warnings).toEqual([expect.stringMatching(warning)]);
});

describe("of two endpoints with the address", () => {
  test("the enabled one counts", async () => {
    expect((await check(endpoints(endpoint({ status: "disabled" }), endpoint()))).warnings).toEqual([]);
  });
});

test("a Stripe that fails, or is not there, is no answer", async () => {
  await expect(check({ all: [500, { error: { message: "oops" } }] })).rejects.toThrow(GatewayUnavailable);
  const gone = new Stripe("sk_test_1", { host: "127.0.0.1", port: 1, protocol: "http", maxNetworkRetries: 0 });
  const options = { mode: "test", seller: null, webhookUrl: URL_OF_WEBHOOKS } as const;
  await expect(checkStripe(gone, options)).rejects.toThrow(GatewayUnavailable);
});
