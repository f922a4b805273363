import { once } from "node:events";
import { createServer, type Server } from "node:http";
import Stripe from "stripe";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { freePort } from "../support/ports.ts";
import { waitFor } from "../support/wait.ts";
import type { WebhookSettings } from "./events.ts";
import { useStandIn } from "./useStandIn.ts";

const standIn = useStandIn();

let [server, url]: [Server | undefined, string] = [undefined, ""];

/** The events that arrived and were genuine, and what the next ones are answered with instead of 200. */
const received: { type: string; id: string; object: { id: string }; at: number }[] = [];

const refusals: number[] = [];

beforeAll(async () => {
  const port = await freePort();
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const signature = String(request.headers["stripe-signature"]);
    const event = Stripe.webhooks.constructEvent(Buffer.concat(chunks), signature, standIn.ready.webhookSecret);
    received.push({ type: event.type, id: event.id, object: event.data.object as { id: string }, at: Date.now() });
    response.writeHead(refusals.shift() ?? 200).end();
  });
  await once(server.listen(port, "127.0.0.1"), "listening");
  url = `http://127.0.0.1:${port}/webhooks/stripe`;
});

afterAll(() => {
  server?.closeAllConnections();
  server?.close();
});

beforeEach(async () => {
  // What an earlier test caused may still be on its way.
  await waitFor(async () => (await standIn.control.deliveries()).every(({ due }) => due === null));
  received.length = 0;
});

async function pay(payment_method = "pm_card_visa"): Promise<string> {
  const { id } = await standIn.client().paymentIntents.create({ amount: 2_000, currency: "usd", payment_method });
  await standIn
    .client()
    .paymentIntents.confirm(id, {})
    .catch(() => null);
  return id;
}

const send = (settings: Omit<WebhookSettings, "urls"> = {}) =>
  standIn.control.setWebhooks({ urls: [url], ...settings });

const typesOf = (id: string) => received.filter(({ object }) => object.id === id).map(({ type }) => type);

describe("events", () => {
  test("are signed, and sent as soon as they happened", async () => {
    await send();
    const id = await pay();
    await waitFor(() => typesOf(id).length === 2);
    expect(typesOf(id).toSorted()).toEqual(["payment_intent.created", "payment_intent.succeeded"]);
    const event = received.find(({ type }) => type === "payment_intent.succeeded");
    expect(await standIn.client().events.retrieve(event?.id ?? "")).toMatchObject({
      type: "payment_intent.succeeded",
      livemode: false,
      data: { object: { id, status: "succeeded" } },
    });
  });

  test.each([
    ["pm_card_visa_chargeDeclined", "payment_intent.payment_failed"],
    ["pm_card_authenticationRequired", "payment_intent.requires_action"],
    ["pm_stand_in_processing", "payment_intent.processing"],
  ])("of a payment with %s: %s", async (card, type) => {
    await send();
    const id = await pay(card);
    await waitFor(() => typesOf(id).includes(type));
    expect(typesOf(id)).not.toContain("payment_intent.succeeded");
  });

  test("are held until they are released, in any order", async () => {
    await send({ mode: "held" });
    const ids = [await pay(), await pay(), await pay()];
    expect((await standIn.control.deliveries()).filter(({ due, tries }) => due === null && tries === 0)).not.toEqual(
      [],
    );
    expect(received).toEqual([]);
    await standIn.control.release("shuffled");
    await waitFor(() => ids.every((id) => typesOf(id).length === 2));
    expect(ids.flatMap(typesOf)).toHaveLength(6);
  });

  test("can come twice, and spread", async () => {
    await send({ copies: 2, spread: 50 });
    const id = await pay();
    await waitFor(() => typesOf(id).length === 4);
    expect(new Set(received.filter(({ object }) => object.id === id).map((event) => event.id)).size).toBe(2);
  });

  test("come again until they are accepted", async () => {
    await send({ mode: "held" });
    const id = await pay();
    refusals.push(500, 503);
    await standIn.control.release();
    await waitFor(async () => (await standIn.control.deliveries()).every(({ status }) => status === 200));
    expect(refusals).toEqual([]);
    expect(received).toHaveLength(5);
    expect(typesOf(id).length).toBeGreaterThanOrEqual(2);
    const [{ id: event } = { id: "" }] = received;
    const count = received.length;
    await standIn.control.resend(event);
    await waitFor(() => received.length === count + 1);
    expect(received.at(-1)?.id).toBe(event);
  });

  test("that were not sent yet survive kill -9", async () => {
    await send({ mode: "held" });
    const id = await pay();
    await standIn.restart();
    await standIn.control.release();
    await waitFor(() => typesOf(id).length === 2);
    expect(typesOf(id)).toContain("payment_intent.succeeded");
  });

  test("are of whatever was altered", async () => {
    await send();
    const { id } = await standIn.client().customers.create({ name: "Ada" });
    await standIn.control.alter(id, { name: "Grace" }, "customer.updated");
    await waitFor(() => typesOf(id).includes("customer.updated"));
    const { data } = await standIn.client().events.list({ type: "customer.updated" });
    expect(data).toMatchObject([{ data: { object: { name: "Grace" }, previous_attributes: { name: "Ada" } } }]);
  });

  test("are not sent when they are off", async () => {
    await send({ mode: "off" });
    const id = await pay();
    const { data } = await standIn.client().events.list({ type: "payment_intent.succeeded", limit: 1 });
    expect(data).toMatchObject([{ data: { object: { id } }, pending_webhooks: 0 }]);
  });
});

describe("what the bank decides later", () => {
  test("a payment that is processing succeeds or fails", async () => {
    await send();
    const [good, bad] = [await pay("pm_stand_in_processing"), await pay("pm_stand_in_processing")];
    expect(await standIn.client().paymentIntents.retrieve(good)).toMatchObject({
      status: "processing",
      amount_received: 0,
    });
    expect(await standIn.control.settlePayment(good, "succeeded")).toMatchObject({ status: "succeeded" });
    expect(await standIn.control.settlePayment(bad, "failed")).toMatchObject({ status: "requires_payment_method" });
    await waitFor(() => typesOf(good).includes("payment_intent.succeeded"));
    await waitFor(() => typesOf(bad).includes("payment_intent.payment_failed"));
    await expect(standIn.control.settlePayment(bad, "failed")).rejects.toThrow("not processing");
  });

  test("a refund that is pending succeeds, fails or is canceled", async () => {
    await send();
    for (const [status, refunded] of [
      ["succeeded", 2_000],
      ["failed", 0],
      ["canceled", 0],
    ] as const) {
      const payment_intent = await pay();
      await standIn.control.setRefund(payment_intent, "pending");
      const { id, status: first } = await standIn.client().refunds.create({ payment_intent });
      expect(first).toBe("pending");
      expect(await standIn.control.settleRefund(id, status)).toMatchObject({ status });
      expect((await standIn.control.captures())[0]).toMatchObject({ payment: payment_intent, refunded });
      await waitFor(() => typesOf(id).includes("refund.updated"));
    }
  });

  test.each([
    ["pm_card_pendingRefund", "pending", "succeeded"],
    ["pm_card_refundFail", "succeeded", "failed"],
  ])("a refund of %s is %s, then %s", async (card, first, then) => {
    const refund = await standIn.client().refunds.create({ payment_intent: await pay(card) });
    expect(refund.status).toBe(first);
    await standIn.control.advance(1);
    expect(await standIn.client().refunds.retrieve(refund.id)).toMatchObject({ status: then });
  });

  test("a refund can fail at once", async () => {
    const payment_intent = await pay();
    await standIn.control.setRefund(payment_intent, "failed");
    expect(await standIn.client().refunds.create({ payment_intent })).toMatchObject({ status: "failed" });
    await standIn.control.setRefund(payment_intent, "succeeded");
    expect(await standIn.client().refunds.create({ payment_intent })).toMatchObject({ status: "succeeded" });
  });
});
