import type Stripe from "stripe";
import { describe, expect, test } from "vitest";
import { errorOf } from "./errorOf.ts";
import { useStandIn } from "./useStandIn.ts";

const standIn = useStandIn();

const AMOUNT = { amount: 2_000, currency: "usd" } as const;

async function customerWith(card: string): Promise<{ customer: string; payment_method: string }> {
  const stripe = standIn.client();
  const { id: customer } = await stripe.customers.create({ name: "Ada", metadata: { organizationId: 7 } });
  const { id: payment_method } = await stripe.paymentMethods.attach(card, { customer });
  return { customer, payment_method };
}

async function paymentWith(card: string, fields: Partial<Stripe.PaymentIntentCreateParams> = {}) {
  return standIn.client().paymentIntents.create({ ...AMOUNT, ...(await customerWith(card)), ...fields });
}

describe("customers and payment methods", () => {
  test("are what was sent", async () => {
    const stripe = standIn.client();
    const { customer, payment_method } = await customerWith("pm_card_mastercard");
    expect(await stripe.customers.retrieve(customer)).toMatchObject({ name: "Ada", metadata: { organizationId: "7" } });
    const found = await stripe.paymentMethods.retrieve(payment_method);
    expect(found).toMatchObject({
      customer,
      type: "card",
      livemode: false,
      card: { brand: "mastercard", last4: "4444" },
    });
    const listed = await stripe.customers.listPaymentMethods(customer);
    expect(listed.data.map(({ id }) => id)).toEqual([payment_method]);
  });

  test("that were deleted or detached are gone", async () => {
    const stripe = standIn.client();
    const { customer, payment_method } = await customerWith("pm_card_visa");
    expect(await stripe.customers.del(customer)).toEqual(expect.objectContaining({ deleted: true }));
    expect(await stripe.customers.retrieve(customer)).toMatchObject({ deleted: true });
    expect(await stripe.paymentMethods.retrieve(payment_method)).toMatchObject({ customer: null });
    const error = await errorOf(stripe.paymentIntents.create({ ...AMOUNT, payment_method }));
    expect(error).toMatchObject({ statusCode: 400, code: "payment_method_unexpected_state" });
    expect(await errorOf(stripe.customers.retrieve("cus_none"))).toMatchObject({
      statusCode: 404,
      code: "resource_missing",
    });
  });

  test.each(["pm_card_visa_chargeDeclined", "pm_card_chargeDeclinedExpiredCard"])(
    "%s is not attached",
    async (card) => {
      const { id: customer } = await standIn.client().customers.create({});
      expect(await errorOf(standIn.client().paymentMethods.attach(card, { customer }))).toMatchObject({
        statusCode: 402,
      });
    },
  );
});

describe("a payment", () => {
  test("moves nothing before it is confirmed, then takes the amount", async () => {
    const stripe = standIn.client();
    const created = await paymentWith("pm_card_visa", { metadata: { purchaseId: "pur_1" } });
    expect(created).toMatchObject({ status: "requires_confirmation", latest_charge: null, amount_received: 0 });
    const paid = await stripe.paymentIntents.confirm(created.id, {
      off_session: true,
      expand: ["latest_charge.refunds"],
    });
    expect(paid).toMatchObject({
      status: "succeeded",
      amount_received: 2_000,
      latest_charge: {
        status: "succeeded",
        paid: true,
        captured: true,
        metadata: { purchaseId: "pur_1" },
        refunds: { data: [] },
      },
    });
    const [capture] = await standIn.control.captures();
    expect(capture).toMatchObject({ payment: created.id, amount: 2_000, refunded: 0, currency: "usd" });
  });

  test.each([
    ["pm_card_chargeCustomerFail", "card_declined", "generic_decline"],
    ["pm_card_authenticationRequired", "authentication_required", "authentication_required"],
    ["pm_card_authenticationRequiredOnSetup", "authentication_required", "authentication_required"],
  ])("with %s is declined when nobody is there, and leaves a charge", async (card, code, decline_code) => {
    const { id } = await paymentWith(card);
    const error = await errorOf(standIn.client().paymentIntents.confirm(id, { off_session: true }));
    expect(error).toMatchObject({ statusCode: 402, type: "StripeCardError", code, decline_code });
    expect(error.payment_intent).toMatchObject({ id, status: "requires_payment_method" });
    const read = await standIn.client().paymentIntents.retrieve(id, { expand: ["latest_charge"] });
    expect(read).toMatchObject({
      status: "requires_payment_method",
      payment_method: null,
      last_payment_error: { code, decline_code, payment_method: { object: "payment_method" } },
      latest_charge: { status: "failed", failure_code: code },
    });
  });

  test.each([
    ["pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"],
    ["pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"],
    ["pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"],
    ["pm_card_chargeDeclinedExpiredCard", "expired_card", undefined],
    ["pm_card_chargeDeclinedProcessingError", "processing_error", undefined],
  ])("with %s is declined", async (payment_method, code, decline_code) => {
    const { id } = await standIn.client().paymentIntents.create({ ...AMOUNT, payment_method });
    const error = await errorOf(standIn.client().paymentIntents.confirm(id));
    expect(error).toMatchObject({ statusCode: 402, code });
    expect(error.decline_code || undefined).toBe(decline_code);
  });

  test("has another charge after each attempt", async () => {
    const stripe = standIn.client();
    const { id, payment_method } = await paymentWith("pm_card_visa");
    await standIn.control.setCard(id, "pm_card_visa_chargeDeclined", "pm_card_chargeDeclinedExpiredCard");
    const charges: unknown[] = [];
    for (const code of ["card_declined", "expired_card"]) {
      const error = await errorOf(stripe.paymentIntents.confirm(id, { payment_method: String(payment_method) }));
      expect(error.code).toBe(code);
      charges.push(error.payment_intent?.latest_charge);
    }
    const paid = await stripe.paymentIntents.confirm(id, { payment_method: String(payment_method) });
    expect(paid).toMatchObject({ status: "succeeded", last_payment_error: null });
    expect(new Set([...charges, paid.latest_charge]).size).toBe(3);
    const listed = await stripe.charges.list({ payment_intent: id });
    expect(listed.data.map(({ status }) => status)).toEqual(["succeeded", "failed", "failed"]);
  });

  test("waits for a person who is there", async () => {
    const { id } = await paymentWith("pm_card_authenticationRequired");
    const waiting = await standIn.client().paymentIntents.confirm(id, { return_url: "https://example.com/back" });
    expect(waiting).toMatchObject({
      status: "requires_action",
      latest_charge: null,
      next_action: { type: "redirect_to_url", redirect_to_url: { return_url: "https://example.com/back" } },
    });
    expect(waiting.next_action?.redirect_to_url?.url).toMatch(`${standIn.ready.url}/authenticate/${id}/`);
  });

  test("that is over cannot be confirmed or canceled", async () => {
    const stripe = standIn.client();
    const { id } = await paymentWith("pm_card_visa");
    await stripe.paymentIntents.confirm(id);
    const other = await paymentWith("pm_card_visa");
    expect(await stripe.paymentIntents.cancel(other.id)).toMatchObject({
      status: "canceled",
      cancellation_reason: null,
    });
    const calls = [
      stripe.paymentIntents.confirm(id),
      stripe.paymentIntents.cancel(id),
      stripe.paymentIntents.confirm(other.id),
      stripe.paymentIntents.cancel(other.id),
    ];
    for (const error of await Promise.all(calls.map(errorOf))) {
      expect(error).toMatchObject({ statusCode: 400, code: "payment_intent_unexpected_state" });
      expect(error.payment_intent).toBeDefined();
    }
  });

  test("without a method, or with somebody else's, is refused", async () => {
    const stripe = standIn.client();
    const { id, status } = await stripe.paymentIntents.create(AMOUNT);
    expect(status).toBe("requires_payment_method");
    expect(await errorOf(stripe.paymentIntents.confirm(id))).toMatchObject({ code: "payment_intent_unexpected_state" });
    const { payment_method } = await customerWith("pm_card_visa");
    expect(await errorOf(stripe.paymentIntents.confirm(id, { payment_method }))).toMatchObject({ statusCode: 400 });
  });

  test.each([
    [49, "usd", "amount_too_small"],
    [50, "usd", null],
    [29, "gbp", "amount_too_small"],
    [17_400, "huf", "amount_too_small"],
    [99_999_999, "eur", null],
    [100_000_000, "eur", "amount_too_large"],
    [1_050, "isk", "parameter_invalid_integer"],
    [1_100, "isk", null],
    [1_005, "kwd", "parameter_invalid_integer"],
    [1_010, "kwd", null],
    [1_000, "xyz", "parameter_invalid_string"],
  ])("of %i %s gives %s", async (amount, currency, code) => {
    const call = standIn.client().paymentIntents.create({ amount, currency });
    if (code === null) expect(await call).toMatchObject({ amount, currency });
    else expect(await errorOf(call)).toMatchObject({ statusCode: 400, code });
  });

  test("is listed from an instant on, by pages", async () => {
    const stripe = standIn.client();
    await standIn.control.advance(3_600);
    const ids: string[] = [];
    for (let count = 0; count < 3; count += 1) ids.unshift((await stripe.paymentIntents.create(AMOUNT)).id);
    const since = Math.floor(Date.now() / 1_000) + 3_500;
    const first = await stripe.paymentIntents.list({ created: { gte: since }, limit: 2 });
    expect(first).toMatchObject({ has_more: true, data: [{ id: ids[0] }, { id: ids[1] }] });
    const found: string[] = [];
    for await (const { id } of stripe.paymentIntents.list({ created: { gte: since }, limit: 2 })) found.push(id);
    expect(found).toEqual(ids);
  });

  test("keeps what a test makes of it", async () => {
    const { id } = await paymentWith("pm_card_visa");
    await standIn.control.alter(id, { livemode: true });
    expect(await standIn.client().paymentIntents.retrieve(id)).toMatchObject({ livemode: true });
  });
});

describe("a refund", () => {
  async function paid(card = "pm_card_visa"): Promise<string> {
    const { id } = await paymentWith(card);
    await standIn.client().paymentIntents.confirm(id, { off_session: true });
    return id;
  }

  test("gives the whole amount back, once", async () => {
    const stripe = standIn.client();
    const payment_intent = await paid();
    const refund = await stripe.refunds.create({ payment_intent });
    expect(refund).toMatchObject({ status: "succeeded", amount: 2_000, payment_intent });
    expect(await errorOf(stripe.refunds.create({ payment_intent }))).toMatchObject({ code: "charge_already_refunded" });
    const [capture] = await standIn.control.captures();
    expect(capture).toMatchObject({ payment: payment_intent, refunded: 2_000 });
    const { data } = await stripe.refunds.list({ payment_intent });
    expect(data.map(({ id }) => id)).toEqual([refund.id]);
  });

  test("of a part leaves the rest", async () => {
    const stripe = standIn.client();
    const payment_intent = await paid();
    await stripe.refunds.create({ payment_intent, amount: 500 });
    expect(await errorOf(stripe.refunds.create({ payment_intent, amount: 1_501 }))).toMatchObject({ param: "amount" });
    expect(await stripe.refunds.create({ payment_intent })).toMatchObject({ amount: 1_500 });
  });

  test("of a pending method is pending", async () => {
    const payment_intent = await paid("pm_card_pendingRefund");
    expect(await standIn.client().refunds.create({ payment_intent })).toMatchObject({ status: "pending" });
  });

  test("of nothing is refused", async () => {
    const { id: payment_intent } = await paymentWith("pm_card_visa");
    expect(await errorOf(standIn.client().refunds.create({ payment_intent }))).toMatchObject({ statusCode: 400 });
  });
});
