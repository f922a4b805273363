import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import Stripe from "stripe";
import { afterEach, beforeEach, expect, test } from "vitest";
import { GatewayRefusal, GatewayUnavailable } from "../../../../src/backend/payments/gateway.ts";
import { customerExists, findDispute, findPaymentMethod } from "../../../../src/backend/payments/stripe/lookups.ts";
import { stripeSubscriptions } from "../../../../src/backend/payments/stripe/subscriptions.ts";

let server: Server;
let stripe: Stripe;
let answer: { status: number; body: unknown };
let requests: { method: string; url: string; body: string; key: string | undefined }[];

beforeEach(async () => {
  requests = [];
  server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const { method = "", url = "", headers } = request;
    requests.push({
      method,
      url: decodeURIComponent(url),
      body,
      key: headers["idempotency-key"] as string | undefined,
    });
    response.writeHead(answer.status, { "content-type": "application/json" }).end(JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  stripe = new Stripe("sk_test_1", {
    host: "127.0.0.1",
    port,
    protocol: "http",
    maxNetworkRetries: 0,
    telemetry: false,
  });
});
afterEach(() => void server.close());

const subscription = (changes: object = {}) => ({
  id: "sub_1",
  object: "subscription",
  customer: "cus_1",
  livemode: false,
  status: "active",
  cancel_at_period_end: false,
  cancel_at: null,
  latest_invoice: { id: "in_1", object: "invoice", status: "paid" },
  items: {
    object: "list",
    data: [{ id: "si_1", quantity: 25, current_period_start: 1_000, current_period_end: 2_000 }],
  },
  ...changes,
});

const read = (changes: object = {}) => {
  answer = { status: 200, body: subscription(changes) };
  return stripeSubscriptions(stripe).read("sub_1");
};

test("a subscription is read with its invoice", async () => {
  expect(await read()).toEqual({
    id: "sub_1",
    customer: "cus_1",
    mode: "test",
    status: "active",
    autoRenew: true,
    items: [{ id: "si_1", quantity: 25, start: 1_000_000, end: 2_000_000 }],
    invoice: "in_1",
  });
  expect(requests).toMatchObject([{ method: "GET", url: "/v1/subscriptions/sub_1?expand[0]=latest_invoice" }]);
});

const open = { latest_invoice: { id: "in_1", object: "invoice", status: "open" } };

test.each([
  [{ status: "trialing" }, "active", true],
  [{ status: "past_due" }, "past_due", true],
  [{ status: "unpaid" }, "unpaid", true],
  [{ status: "incomplete" }, "past_due", false],
  [{ status: "incomplete_expired", ...open }, "unpaid", false],
  [{ status: "paused" }, "active", false],
  [{ status: "canceled" }, "canceled", false],
  [{ status: "canceled", ...open }, "unpaid", false],
  [{ cancel_at_period_end: true }, "active", false],
  [{ cancel_at: 2_000 }, "active", false],
  [{ cancel_at: 9_000 }, "active", true],
])("of %j the status is %s, and whether it renews %s", async (changes, status, autoRenew) => {
  expect(await read(changes)).toMatchObject({ status, autoRenew });
});

test("a quantity is set without charging for the current term", async () => {
  answer = { status: 200, body: { id: "si_1", object: "subscription_item", quantity: 30 } };
  await stripeSubscriptions(stripe).setQuantity("si_1", 30, "key");
  expect(requests).toEqual([
    { method: "POST", url: "/v1/subscription_items/si_1", body: "quantity=30&proration_behavior=none", key: "key" },
  ]);
});

test("what Stripe does not have is null, and an item that it does not have is refused", async () => {
  answer = {
    status: 404,
    body: { error: { type: "invalid_request_error", code: "resource_missing", message: "No such" } },
  };
  expect(await stripeSubscriptions(stripe).read("sub_1")).toBeNull();
  await expect(stripeSubscriptions(stripe).setQuantity("si_1", 1, "key")).rejects.toBeInstanceOf(GatewayRefusal);
});

test.each([
  [400, "invalid_request_error", GatewayRefusal],
  [401, "invalid_request_error", GatewayUnavailable],
  [429, "invalid_request_error", GatewayUnavailable],
  [500, "api_error", GatewayUnavailable],
])("an answer of %i with %s is told apart", async (status, type, expected) => {
  answer = { status, body: { error: { type, message: "No" } } };
  await expect(stripeSubscriptions(stripe).read("sub_1")).rejects.toBeInstanceOf(expected);
});

test("a customer who was deleted does not exist", async () => {
  answer = { status: 200, body: { id: "cus_1", object: "customer" } };
  expect(await customerExists(stripe, "cus_1")).toBe(true);
  answer = { status: 200, body: { id: "cus_1", object: "customer", deleted: true } };
  expect(await customerExists(stripe, "cus_1")).toBe(false);
});

test("a payment method that was detached, or is another's, is not the customer's", async () => {
  const owners = [];
  for (const customer of ["cus_1", { id: "cus_1" }, "cus_2", null]) {
    answer = { status: 200, body: { id: "pm_1", object: "payment_method", type: "card", customer } };
    owners.push((await findPaymentMethod(stripe, "cus_1", "pm_1"))?.id ?? null);
  }
  expect(owners).toEqual(["pm_1", "pm_1", null, null]);
});

test.each([
  ["needs_response", true],
  ["warning_under_review", true],
  ["won", false],
  ["lost", false],
])("of a dispute that is %s it is %s that it is open", async (status, isOpen) => {
  const dispute = { id: "du_1", object: "dispute", payment_intent: "pi_1", amount: 500, currency: "gbp", status };
  answer = { status: 200, body: { ...dispute, reason: "fraudulent", evidence_details: { due_by: 10 } } };
  const found = await findDispute(stripe, "du_1");
  expect(found).toEqual({
    id: "du_1",
    paymentId: "pi_1",
    amount: { amount: 500, currency: "GBP" },
    status,
    reason: "fraudulent",
    isOpen,
    answerBefore: 10_000,
  });
});
