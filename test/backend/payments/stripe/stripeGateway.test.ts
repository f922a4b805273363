import { describe, expect, test } from "vitest";
import { GatewayRefusal, type PaymentRequest } from "../../../../src/backend/payments/gateway.ts";
import { openStripe } from "../../../../src/backend/payments/stripe/client.ts";
import { stripeGateway } from "../../../../src/backend/payments/stripe/stripeGateway.ts";
import { useAnswers } from "./support.ts";

const NOW = Date.UTC(2026, 10, 22, 12);

const stripe = useAnswers();

const gateway = () =>
  stripeGateway(openStripe({ key: "sk_test_1", apiUrl: stripe.url, rate: 1_000, monotonic: () => performance.now() }), {
    account: { mode: "test", seller: "SecureFlag" },
    now: () => NOW,
  });

const intent = (changes: object = {}) => ({
  id: "pi_1",
  object: "payment_intent",
  status: "requires_confirmation",
  amount: 24_410,
  amount_received: 0,
  currency: "gbp",
  livemode: false,
  metadata: { organizationId: "7", purchaseId: "pur_7_a", kind: "purchase" },
  customer: "cus_1",
  payment_method: "pm_1",
  latest_charge: null,
  last_payment_error: null,
  next_action: null,
  created: NOW / 1_000,
  ...changes,
});

const paid = (changes: object = {}) => intent({ status: "succeeded", amount_received: 24_410, ...changes });

const request: PaymentRequest = {
  idempotencyKey: "pur_7_a:create",
  organizationId: 7,
  purchaseId: "pur_7_a",
  kind: "purchase",
  description: "5 licenses",
  amount: { amount: 24_410, currency: "GBP" },
  customer: "cus_1",
  paymentMethod: "pm_1",
};

const attempt = {
  idempotencyKey: "pur_7_a:confirm:1",
  paymentMethod: "pm_1",
  approvedByPerson: false,
  returnUrl: null,
};

const declined = { code: "card_declined", decline_code: "insufficient_funds", message: "Your card has no funds." };

describe("a payment", () => {
  test("is created unconfirmed, with everything that was frozen", async () => {
    stripe.answers["POST payment_intents"] = [{ body: intent() }];
    expect(await gateway().create(request)).toEqual({
      id: "pi_1",
      purchaseId: "pur_7_a",
      status: "requires_confirmation",
      amount: { amount: 24_410, currency: "GBP" },
      mode: "test",
      customer: "cus_1",
      paymentMethod: "pm_1",
      lastAttempt: null,
      failure: null,
      approvalUrl: null,
    });
    expect(stripe.requests).toEqual([
      {
        method: "POST",
        path: "payment_intents",
        key: "pur_7_a:create",
        params: {
          amount: "24410",
          currency: "gbp",
          customer: "cus_1",
          payment_method: "pm_1",
          "allowed_payment_method_types[0]": "card",
          description: "5 licenses",
          statement_descriptor_suffix: "LICENSES",
          "metadata[organizationId]": "7",
          "metadata[purchaseId]": "pur_7_a",
          "metadata[kind]": "purchase",
        },
      },
    ]);
  });

  test.each([
    [{ approvedByPerson: false, returnUrl: "https://pay.example/p" }, { off_session: "true" }],
    [{ approvedByPerson: true, returnUrl: "https://pay.example/p" }, { return_url: "https://pay.example/p" }],
  ])("of %j is confirmed with %j", async (presence, sent) => {
    stripe.answers["POST payment_intents/pi_1/confirm"] = [{ body: paid({ latest_charge: "ch_1" }) }];
    const confirmed = await gateway().confirm("pi_1", { ...attempt, ...presence });
    expect(confirmed).toMatchObject({ status: "succeeded", lastAttempt: "ch_1" });
    expect(stripe.requests).toMatchObject([{ key: "pur_7_a:confirm:1", params: { payment_method: "pm_1", ...sent } }]);
    expect(Object.keys(stripe.requests[0]?.params ?? {})).toHaveLength(2);
  });

  test.each([
    ["with the payment", { payment_intent: declinedIntent(declined) }],
    ["without it", {}],
    ["with another one", { payment_intent: { ...declinedIntent(declined), id: "pi_2" } }],
  ])("that the bank declines, as an error %s, has the bank's code", async (_, details) => {
    const error = { type: "card_error", ...declined, ...details };
    stripe.answers["POST payment_intents/pi_1/confirm"] = [{ status: 402, body: { error } }];
    stripe.answers["GET payment_intents/pi_1"] = [{ body: declinedIntent(declined) }];
    expect(await gateway().confirm("pi_1", attempt)).toMatchObject({
      id: "pi_1",
      status: "requires_payment_method",
      paymentMethod: "pm_1",
      lastAttempt: "ch_1",
      failure: { code: "insufficient_funds", message: "Your card has no funds." },
    });
  });

  test.each([
    [{ code: "authentication_required" }, "authentication_required"],
    [{ code: "card_declined", decline_code: "authentication_required" }, "authentication_required"],
    [{ code: "authentication_required", decline_code: "generic_decline" }, "authentication_required"],
    [{ code: "expired_card" }, "expired_card"],
    [{}, "payment_refused"],
  ])("declined with %j fails with %s", async (error, code) => {
    stripe.answers["GET payment_intents/pi_1"] = [{ body: declinedIntent(error) }];
    expect((await gateway().read("pi_1")).failure?.code).toBe(code);
  });

  test("that the bank did not approve says so in words for people", async () => {
    const error = { code: "payment_intent_authentication_failure", message: "The provided PaymentMethod has failed." };
    stripe.answers["GET payment_intents/pi_1"] = [{ body: declinedIntent(error) }];
    const { failure } = await gateway().read("pi_1");
    expect(failure).toEqual({ code: error.code, message: "The bank did not approve the payment." });
  });

  test.each(["confirm", "cancel"] as const)("that is beyond it is read instead of %s", async (action) => {
    const error = { type: "invalid_request_error", code: "payment_intent_unexpected_state" };
    stripe.answers[`POST payment_intents/pi_1/${action}`] = [{ status: 400, body: { error } }];
    stripe.answers["GET payment_intents/pi_1"] = [{ body: paid() }];
    const work = action === "confirm" ? gateway().confirm("pi_1", attempt) : gateway().cancel("pi_1");
    expect(await work).toMatchObject({ status: "succeeded" });
  });

  test("that a person has to approve has the bank's address", async () => {
    const next_action = { type: "redirect_to_url", redirect_to_url: { url: "https://bank.example/3ds" } };
    stripe.answers["GET payment_intents/pi_1"] = [{ body: intent({ status: "requires_action", next_action }) }];
    expect(await gateway().read("pi_1")).toMatchObject({
      status: "requires_action",
      approvalUrl: "https://bank.example/3ds",
    });
  });

  test("that took another amount than it asked for is worth what it took", async () => {
    stripe.answers["GET payment_intents/pi_1"] = [{ body: paid({ amount_received: 100, livemode: true }) }];
    expect(await gateway().read("pi_1")).toMatchObject({ amount: { amount: 100, currency: "GBP" }, mode: "live" });
  });

  test("that was authorized by hand is not taken for paid", async () => {
    stripe.answers["GET payment_intents/pi_1"] = [{ body: intent({ status: "requires_capture" }) }];
    expect(await gateway().read("pi_1")).toMatchObject({ status: "processing" });
  });
});

function declinedIntent(error: object) {
  const last_payment_error = { type: "card_error", ...error, payment_method: { id: "pm_1" } };
  return intent({ status: "requires_payment_method", payment_method: null, latest_charge: "ch_1", last_payment_error });
}

describe("a refund", () => {
  const refunds = (...list: object[]) => [{ body: { object: "list", has_more: false, data: list } }];
  const refund = (status: string, changes: object = {}) => ({ id: "re_1", amount: 24_410, status, ...changes });

  test.each([
    ["succeeded", "succeeded"],
    ["pending", "pending"],
    ["requires_action", "pending"],
    ["failed", "failed"],
    ["canceled", "failed"],
  ])("is what it is now, %s, whatever the answer to its key says", async (status, expected) => {
    stripe.answers["POST refunds"] = [{ body: refund("pending") }];
    stripe.answers["GET refunds/re_1"] = [{ body: refund(status) }];
    stripe.answers["GET payment_intents/pi_1"] = [{ body: paid() }];
    stripe.answers["GET refunds"] = refunds(refund(status));
    expect(await gateway().refund("pi_1", "pur_7_a:refund")).toBe(expected);
    expect(stripe.requests[0]).toMatchObject({ key: "pur_7_a:refund", params: { payment_intent: "pi_1" } });
  });

  test.each([
    ["made by hand", [refund("succeeded")], "succeeded"],
    ["made in parts", [refund("succeeded", { amount: 24_000 }), refund("succeeded", { amount: 410 })], "succeeded"],
    ["being made", [refund("failed"), refund("pending")], "pending"],
    ["failed", [refund("failed")], "failed"],
    ["partial", [refund("succeeded", { amount: 410 })], "failed"],
  ])("that was %s before is looked for", async (_, list, expected) => {
    const error = { type: "invalid_request_error", code: "charge_already_refunded" };
    stripe.answers["POST refunds"] = [{ status: 400, body: { error } }];
    stripe.answers["GET payment_intents/pi_1"] = [{ body: paid() }];
    stripe.answers["GET refunds"] = refunds(...list);
    expect(await gateway().refund("pi_1", "pur_7_a:refund")).toBe(expected);
  });

  test("of a payment that took nothing is refused", async () => {
    stripe.answers["POST refunds"] = [{ status: 400, body: { error: { type: "invalid_request_error" } } }];
    await expect(gateway().refund("pi_1", "pur_7_a:refund")).rejects.toBeInstanceOf(GatewayRefusal);
  });

  test("counts in what a payment took once it has succeeded", async () => {
    const latest_charge = { id: "ch_1", amount_refunded: 24_410, created: NOW / 1_000 };
    stripe.answers["GET payment_intents/pi_1"] = [{ body: paid({ latest_charge }) }];
    stripe.answers["GET refunds"] = refunds(
      refund("pending", { amount: 24_000 }),
      refund("succeeded", { amount: 410 }),
    );
    expect(await gateway().findCapture("pi_1")).toEqual({
      paymentId: "pi_1",
      purchaseId: "pur_7_a",
      kind: "purchase",
      amount: 24_410,
      currency: "GBP",
      refunded: 410,
      refundPending: 24_000,
      capturedAt: NOW,
    });
  });
});

describe("what payments took", () => {
  const page = (has_more: boolean, ...data: object[]) => ({ body: { object: "list", has_more, data } });
  const charge = (created: number) => ({ latest_charge: { id: "ch", amount_refunded: 0, created: created / 1_000 } });

  test("is listed page by page, then what was refunded since", async () => {
    const before = NOW - 1_000;
    stripe.answers["GET payment_intents"] = [
      page(true, paid({ id: "pi_1", ...charge(NOW) }), intent({ id: "pi_2" })),
      page(false, paid({ id: "pi_3", ...charge(before) }), paid({ id: "pi_4", metadata: {} })),
    ];
    stripe.answers["GET refunds"] = [page(false, { id: "re_1", payment_intent: "pi_3" }, { id: "re_2" })];
    stripe.answers["GET payment_intents/pi_3"] = [{ body: paid({ id: "pi_3", ...charge(before) }) }];
    const listed: string[][] = [];
    for (let cursor: string | null = null; ; ) {
      const { captures, next } = await gateway().listCaptures(NOW, cursor);
      listed.push(captures.map(({ paymentId }) => paymentId));
      if (next === null) break;
      cursor = next;
    }
    expect(listed).toEqual([["pi_1"], [], ["pi_3"]]);
    expect(stripe.requests[1]?.params).toMatchObject({ starting_after: "pi_2", limit: "100" });
  });

  test("is nothing for a payment that Stripe does not have, or that took nothing", async () => {
    expect(await gateway().findCapture("pi_9")).toBeNull();
    stripe.answers["GET payment_intents/pi_1"] = [{ body: intent() }];
    expect(await gateway().findCapture("pi_1")).toBeNull();
  });
});

describe("a page that asks for a card", () => {
  const entry = {
    idempotencyKey: "pur_7_a:setup:1",
    organizationId: 7,
    purchaseId: "pur_7_a",
    customer: "cus_1",
    returnUrl: "https://pay.example/p",
  };
  const session = (changes: object = {}) => ({
    id: "cs_1",
    mode: "setup",
    status: "open",
    url: "https://checkout.example/cs_1",
    customer: "cus_1",
    livemode: false,
    setup_intent: null,
    ...changes,
  });

  test("saves a card for later and charges nothing", async () => {
    stripe.answers["POST checkout/sessions"] = [{ body: session() }];
    expect(await gateway().customers?.startCardEntry(entry)).toEqual({
      id: "cs_1",
      status: "open",
      url: "https://checkout.example/cs_1",
      customer: "cus_1",
      mode: "test",
      method: null,
    });
    expect(stripe.requests[0]).toMatchObject({
      key: "pur_7_a:setup:1",
      params: { mode: "setup", ui_mode: "hosted_page", customer: "cus_1", "metadata[purchaseId]": "pur_7_a" },
    });
    const expiresAt = Number(stripe.requests[0]?.params.expires_at) * 1_000;
    expect(expiresAt - NOW).toBeGreaterThan(30 * 60_000);
    expect(expiresAt - NOW).toBeLessThanOrEqual(61 * 60_000);
  });

  test("gives its card once it is complete, whether Stripe expands it or not", async () => {
    const method = { id: "pm_2", type: "card", card: { brand: "visa", display_brand: null, last4: "4242" } };
    stripe.answers["GET setup_intents/seti_1"] = [{ body: { id: "seti_1", payment_method: "pm_2" } }];
    stripe.answers["GET payment_methods/pm_2"] = [{ body: method }];
    for (const setup_intent of ["seti_1", { id: "seti_1", payment_method: method }]) {
      stripe.answers["GET checkout/sessions/cs_1"] = [{ body: session({ status: "complete", setup_intent }) }];
      expect(await gateway().customers?.readCardEntry("cs_1")).toMatchObject({
        status: "complete",
        method: { id: "pm_2", label: "Visa ending in 4242" },
      });
    }
  });

  test("of another mode gives none", async () => {
    const setup_intent = { id: "seti_1", payment_method: { id: "pm_2", type: "card" } };
    const other = session({ mode: "payment", status: "complete", setup_intent });
    stripe.answers["GET checkout/sessions/cs_1"] = [{ body: other }];
    expect(await gateway().customers?.readCardEntry("cs_1")).toMatchObject({ method: null });
  });
});

test.each([
  [{ type: "card", card: { brand: "amex", last4: "8431" } }, "American Express ending in 8431"],
  [
    { type: "card", card: { brand: "visa", display_brand: "cartes_bancaires", last4: "1" } },
    "Cartes Bancaires ending in 1",
  ],
  [{ type: "card", card: { brand: "unknown", last4: "1111" } }, "Card ending in 1111"],
  [{ type: "sepa_debit", sepa_debit: { last4: "3000" } }, "SEPA debit ending in 3000"],
  [{ type: "paypal", paypal: {} }, "Paypal"],
])("%j is called %s", async (method, label) => {
  stripe.answers["GET payment_methods/pm_1"] = [{ body: { id: "pm_1", ...method } }];
  expect(await gateway().readLabel("pm_1")).toBe(label);
});
