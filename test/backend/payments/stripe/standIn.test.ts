import { describe, expect, test } from "vitest";
import { GatewayRefusal, type PaymentAttempt, type PaymentRequest } from "../../../../src/backend/payments/gateway.ts";
import { stripeLimits } from "../../../../src/backend/payments/stripe/units.ts";
import { useStandIn } from "../../../stripe/useStandIn.ts";
import { gatewayOf } from "../../support/stripe.ts";

const standIn = useStandIn();

const gateway = () => gatewayOf(standIn);

let count = 0;

/** A payment for a customer with a test payment method, as a purchase freezes it. */
async function requestWith(card: string, changes: Partial<PaymentRequest> = {}): Promise<PaymentRequest> {
  count += 1;
  const customer = await gateway().customers?.create({ id: count, name: "Northwind Labs" }, `${count}:customer`);
  const { id } = await standIn.client().paymentMethods.attach(card, { customer: customer ?? "" });
  return {
    idempotencyKey: `${count}:create`,
    organizationId: count,
    purchaseId: `pur_${count}_a`,
    kind: "purchase",
    description: "5 licenses",
    amount: { amount: 24_410, currency: "GBP" },
    customer: customer ?? null,
    paymentMethod: id,
    ...changes,
  };
}

const attemptOf = ({ paymentMethod }: PaymentRequest, changes: Partial<PaymentAttempt> = {}): PaymentAttempt => ({
  idempotencyKey: `${count}:confirm:0`,
  paymentMethod: paymentMethod ?? "",
  approvedByPerson: false,
  returnUrl: null,
  ...changes,
});

async function pay(card: string, changes: Partial<PaymentAttempt> = {}) {
  const request = await requestWith(card);
  const created = await gateway().create(request);
  return { request, created, paid: await gateway().confirm(created.id, attemptOf(request, changes)) };
}

test("a payment is created unconfirmed, takes the money once, and is read as it was frozen", async () => {
  const { request, created, paid } = await pay("pm_card_visa");
  expect(created).toMatchObject({ status: "requires_confirmation", lastAttempt: null });
  const { purchaseId, amount, customer, paymentMethod } = request;
  expect(paid).toMatchObject({ status: "succeeded", purchaseId, amount, customer, paymentMethod, mode: "test" });
  expect(await gateway().confirm(created.id, attemptOf(request))).toEqual(paid);
  expect(await gateway().confirm(created.id, attemptOf(request, { idempotencyKey: "another" }))).toEqual(paid);
  expect(await gateway().cancel(created.id)).toEqual(paid);
  expect((await standIn.control.captures()).filter(({ payment }) => payment === created.id)).toHaveLength(1);
});

test.each([
  ["pm_card_chargeCustomerFail", "generic_decline"],
  ["pm_card_authenticationRequired", "authentication_required"],
])("%s is declined with %s without a person", async (card, code) => {
  const { created, paid } = await pay(card);
  expect(paid).toMatchObject({ id: created.id, status: "requires_payment_method", failure: { code } });
  expect(paid.lastAttempt).not.toBeNull();
});

test("a person is sent to the bank", async () => {
  const attempt = { approvedByPerson: true, returnUrl: "https://billing.example/pay" };
  const { paid } = await pay("pm_card_threeDSecure2Required", attempt);
  expect(paid).toMatchObject({
    status: "requires_action",
    approvalUrl: expect.stringContaining("http"),
    failure: null,
  });
});

test("another request under the same key is a conflict, and has done nothing", async () => {
  const request = await requestWith("pm_card_visa");
  const created = await gateway().create(request);
  const other = gateway().create({ ...request, amount: { amount: 1_000, currency: "GBP" } });
  await expect(other).rejects.toMatchObject({ isConflict: true });
  expect(await gateway().create(request)).toEqual(created);
});

test("a failure of Stripe's own is repeated under its key, and another key works", async () => {
  const request = await requestWith("pm_card_visa");
  await standIn.control.fault({ call: "paymentIntents.create", about: request.idempotencyKey, effect: "failed" });
  await expect(gateway().create(request)).rejects.toMatchObject({ isReplayed: false });
  await expect(gateway().create(request)).rejects.toMatchObject({ isReplayed: true });
  const again = await gateway().create({ ...request, idempotencyKey: `${request.idempotencyKey}:r1` });
  expect(again.status).toBe("requires_confirmation");
});

test("a card that belongs to nobody is attached, one of theirs stays, and any other is refused", async () => {
  const { customers } = gateway();
  const [mine, other] = await Promise.all(["a", "b"].map((key) => customers?.create({ id: 1, name: "A" }, key)));
  const attach = (customer = "", id = "") => customers?.attachCard(customer, id);
  const card = await attach(mine, "pm_card_mastercard");
  expect(card).toEqual({
    id: expect.stringMatching(/^pm_(?!card)/),
    label: "Mastercard ending in 4444",
    expires: expect.stringMatching(/^20\d\d-(0[1-9]|1[0-2])$/),
  });
  expect(await customers?.findMethod(mine ?? "", card?.id ?? "")).toEqual(card);
  expect(await attach(mine, card?.id)).toEqual(card);
  await expect(attach(other, card?.id)).rejects.toThrow("belongs to another customer");
  await expect(attach(mine, "pm_card_chargeDeclined")).rejects.toThrow("Your card was declined.");
  await expect(attach(mine, "pm_none")).rejects.toBeInstanceOf(GatewayRefusal);
  await standIn.client().paymentMethods.detach(card?.id ?? "");
  await expect(attach(mine, card?.id)).rejects.toBeInstanceOf(GatewayRefusal);
  const debit = await standIn.client().paymentMethods.attach("pm_card_visa", { customer: mine ?? "" });
  await standIn.control.alter(debit.id, { type: "sepa_debit" });
  await expect(attach(mine, debit.id)).rejects.toThrow("is not a card");
});

test("a card that was detached is refused, and is not the customer's any more", async () => {
  const request = await requestWith("pm_card_visa");
  const created = await gateway().create(request);
  await standIn.client().paymentMethods.detach(request.paymentMethod ?? "");
  await expect(gateway().confirm(created.id, attemptOf(request))).rejects.toBeInstanceOf(GatewayRefusal);
  const { customer, paymentMethod } = request;
  expect(await gateway().customers?.findMethod(customer ?? "", paymentMethod ?? "")).toBeNull();
});

describe("a refund", () => {
  test.each([
    ["pm_card_visa", "succeeded"],
    ["pm_card_pendingRefund", "pending"],
  ])("with %s is %s", async (card, status) => {
    const { request, created } = await pay(card);
    expect(await gateway().refund(created.id, `${request.purchaseId}:refund`)).toBe(status);
    expect(await gateway().refund(created.id, `${request.purchaseId}:refund`)).toBe(status);
    expect((await gateway().findCapture(created.id))?.refunded).toBe(status === "succeeded" ? 24_410 : 0);
  });

  test("that was made in the Dashboard after one that failed is found, under the same key", async () => {
    const { request, created } = await pay("pm_card_visa");
    const key = `${request.purchaseId}:refund`;
    await standIn.control.setRefund(created.id, "failed");
    expect(await gateway().refund(created.id, key)).toBe("failed");
    await standIn.control.setRefund(created.id, "succeeded");
    await standIn.client().refunds.create({ payment_intent: created.id });
    expect(await gateway().refund(created.id, key)).toBe("succeeded");
  });

  test("that was made in the Dashboard is found", async () => {
    const { request, created } = await pay("pm_card_visa");
    await standIn.client().refunds.create({ payment_intent: created.id });
    expect(await gateway().refund(created.id, `${request.purchaseId}:refund`)).toBe("succeeded");
  });
});

test("what was captured is listed by pages, and every payment once", async () => {
  const from = Date.now() - 1_000;
  const made: string[] = [];
  for (let payments = 0; payments < 3; payments += 1) made.push((await pay("pm_card_visa")).created.id);
  const listed: string[] = [];
  for (let cursor: string | null = null; ; ) {
    const { captures, next } = await gateway().listCaptures(from, cursor);
    listed.push(...captures.map(({ paymentId }) => paymentId));
    if (next === null) break;
    cursor = next;
  }
  expect(made.filter((id) => !listed.includes(id))).toEqual([]);
  expect(new Set(listed).size).toBe(listed.length);
});

const CURRENCIES = Intl.supportedValuesOf("currency").flatMap((currency) => {
  const limits = stripeLimits(currency);
  return limits ? [{ currency, ...limits }] : [];
});

describe("amounts", () => {
  test.each(CURRENCIES)("of $currency from $minimum to $maximum are charged as they were confirmed", async (limits) => {
    const { currency, minimum, maximum, step } = limits;
    const least = Math.max(minimum, step);
    for (const amount of [least, least + step * 7, maximum ?? 0]) {
      const request = await requestWith("pm_card_visa", { amount: { amount, currency } });
      const created = await gateway().create(request);
      const paid = await gateway().confirm(created.id, attemptOf(request));
      expect(paid).toMatchObject({ status: "succeeded", amount: { amount, currency } });
      expect(await gateway().findCapture(created.id)).toMatchObject({ amount, currency });
    }
  });
});
