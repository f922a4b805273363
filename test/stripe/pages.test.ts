import { describe, expect, test } from "vitest";
import { errorOf } from "./errorOf.ts";
import { useStandIn } from "./useStandIn.ts";

const standIn = useStandIn();

const BACK = "https://service.example/pay/1";

/** Presses a button of a page. Returns the status, the page, and where it sends the browser. */
async function press(url: string, fields: Record<string, string>) {
  const answer = await fetch(url, { method: "POST", body: new URLSearchParams(fields), redirect: "manual" });
  return { status: answer.status, html: await answer.text(), location: answer.headers.get("location") };
}

describe("3-D Secure", () => {
  async function waiting(payment_method = "pm_card_threeDSecure2Required") {
    const stripe = standIn.client();
    const { id } = await stripe.paymentIntents.create({ amount: 2_000, currency: "eur", payment_method });
    const payment = await stripe.paymentIntents.confirm(id, { return_url: `${BACK}?a=b` });
    return { id, url: payment.next_action?.redirect_to_url?.url ?? "" };
  }

  test("takes the money once the cardholder approved", async () => {
    const { id, url } = await waiting();
    expect(await (await fetch(url)).text()).toContain('<button name="action" value="approve">');
    const { status, location } = await press(url, { action: "approve" });
    expect(status).toBe(303);
    const { searchParams, origin } = new URL(location ?? "");
    expect([origin, searchParams.get("a"), searchParams.get("payment_intent")]).toEqual([
      "https://service.example",
      "b",
      id,
    ]);
    expect(await standIn.client().paymentIntents.retrieve(id)).toMatchObject({
      status: "succeeded",
      next_action: null,
    });
    expect(await press(url, { action: "approve" })).toMatchObject({ status: 410 });
    expect((await standIn.client().charges.list({ payment_intent: id })).data).toHaveLength(1);
  });

  test("that fails leaves no charge", async () => {
    const { id, url } = await waiting();
    await press(url, { action: "fail" });
    expect(await standIn.client().paymentIntents.retrieve(id)).toMatchObject({
      status: "requires_payment_method",
      latest_charge: null,
      payment_method: null,
      last_payment_error: { code: "payment_intent_authentication_failure" },
    });
  });

  test("can be followed by a decline", async () => {
    const { id, url } = await waiting("pm_card_authenticationRequiredChargeDeclinedInsufficientFunds");
    await press(url, { action: "approve" });
    expect(await standIn.client().paymentIntents.retrieve(id, { expand: ["latest_charge"] })).toMatchObject({
      status: "requires_payment_method",
      last_payment_error: { decline_code: "insufficient_funds" },
      latest_charge: { status: "failed" },
    });
  });

  test("of a canceled payment, or of an earlier attempt, changes nothing", async () => {
    const [canceled, retried] = [await waiting(), await waiting()];
    await standIn.client().paymentIntents.cancel(canceled.id);
    await standIn.client().paymentIntents.confirm(retried.id, {
      payment_method: "pm_card_authenticationRequired",
      return_url: BACK,
    });
    for (const { url } of [canceled, retried]) expect((await press(url, { action: "approve" })).status).toBe(410);
    expect(await standIn.client().paymentIntents.retrieve(canceled.id)).toMatchObject({ status: "canceled" });
    expect(await standIn.client().paymentIntents.retrieve(retried.id)).toMatchObject({ status: "requires_action" });
  });
});

describe("a setup session", () => {
  async function open(fields: { expires_at?: number } = {}) {
    const stripe = standIn.client();
    const { id: customer } = await stripe.customers.create({});
    const session = await stripe.checkout.sessions.create({
      mode: "setup",
      ui_mode: "hosted_page",
      customer,
      allowed_payment_method_types: ["card"],
      success_url: `${BACK}?session={CHECKOUT_SESSION_ID}`,
      cancel_url: `${BACK}?canceled`,
      metadata: { purchaseId: "pur_1" },
      ...fields,
    });
    return { customer, id: session.id, url: session.url ?? "" };
  }

  const read = (id: string) => standIn.client().checkout.sessions.retrieve(id, { expand: ["setup_intent"] });

  test("saves the card for the customer, to be charged without asking", async () => {
    const { customer, id, url } = await open();
    expect(await read(id)).toMatchObject({ status: "open", setup_intent: { status: "requires_payment_method" } });
    expect(await (await fetch(url)).text()).toContain("<option>pm_card_visa</option>");
    const asked = await press(url, { action: "save", card: "pm_card_authenticationRequiredOnSetup" });
    expect(asked).toMatchObject({ status: 200, location: null });
    const card = /name="card" value="(\w+)"/.exec(asked.html)?.[1] ?? "";
    expect(await press(url, { action: "approve", card })).toMatchObject({ location: `${BACK}?session=${id}` });
    const { setup_intent, ...session } = await read(id);
    expect(session).toMatchObject({ status: "complete", mode: "setup", customer, url: null });
    const payment_method = typeof setup_intent === "object" ? String(setup_intent?.payment_method) : "";
    expect(await standIn.client().paymentMethods.retrieve(payment_method)).toMatchObject({ customer });
    const payment = { amount: 2_000, currency: "usd", customer, payment_method };
    const { id: created } = await standIn.client().paymentIntents.create(payment);
    const paid = await standIn.client().paymentIntents.confirm(created, { off_session: true });
    expect(paid.status).toBe("succeeded");
    expect(await press(url, { action: "save" })).toMatchObject({ status: 410 });
  });

  test("keeps asking after a decline, and goes back without a card", async () => {
    const { id, url } = await open();
    const declined = await press(url, { action: "save", card: "pm_card_visa_chargeDeclined" });
    expect(declined).toMatchObject({
      status: 200,
      location: null,
      html: expect.stringContaining("Your card was declined"),
    });
    expect(await press(url, { action: "cancel" })).toMatchObject({ status: 303, location: `${BACK}?canceled` });
    expect(await read(id)).toMatchObject({
      status: "open",
      setup_intent: { last_setup_error: { code: "card_declined" } },
    });
  });

  test("expires", async () => {
    const [now, [called, left]] = [Math.floor(Date.now() / 1_000), [await open(), await open()]];
    expect(await errorOf(open({ expires_at: now + 60 }))).toMatchObject({ statusCode: 400, param: "expires_at" });
    expect(await standIn.client().checkout.sessions.expire(called.id)).toMatchObject({ status: "expired" });
    expect(await errorOf(standIn.client().checkout.sessions.expire(called.id))).toMatchObject({ statusCode: 400 });
    await standIn.control.advance(24 * 60 * 60);
    expect(await read(left.id)).toMatchObject({ status: "expired" });
    expect(await press(left.url, { action: "save" })).toMatchObject({ status: 410 });
  });
});
