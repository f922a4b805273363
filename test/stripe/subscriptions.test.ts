import { describe, expect, test } from "vitest";
import { customerExists, findDispute } from "../../src/backend/payments/stripe/lookups.ts";
import { stripeSubscriptions } from "../../src/backend/payments/stripe/subscriptions.ts";
import { ACCOUNT } from "./account.ts";
import { errorOf } from "./errorOf.ts";
import { useStandIn } from "./useStandIn.ts";

const standIn = useStandIn();

const seconds = (date: string) => Date.parse(date) / 1_000;

async function subscribe(start = "2026-01-31", months = 12) {
  const { id: customer } = await standIn.client().customers.create({});
  const subscription = await standIn.control.createSubscription({
    ...{ customer, quantity: 25, unitAmount: 10_000, currency: "eur", start: seconds(start), months },
  });
  return { customer, id: subscription.id, item: subscription.items.data[0]?.id ?? "" };
}

const read = (id: string) => stripeSubscriptions(standIn.client()).read(id);

describe("a subscription", () => {
  test("is read as the service reads it", async () => {
    const { customer, id, item } = await subscribe();
    expect(await read(id)).toEqual({
      ...{ id, customer, mode: "test", status: "active", autoRenew: true, invoice: expect.stringMatching(/^in_/) },
      items: [{ id: item, quantity: 25, start: Date.parse("2026-01-31"), end: Date.parse("2027-01-31") }],
    });
  });

  test("has the quantity that was set, also on its next invoice", async () => {
    const { id, item } = await subscribe();
    const { setQuantity } = stripeSubscriptions(standIn.client());
    for (let count = 0; count < 2; count += 1) await setQuantity(item, 30, `key ${id}`);
    expect(await read(id)).toMatchObject({ items: [{ id: item, quantity: 30 }] });
    expect(await standIn.client().subscriptionItems.retrieve(item)).toMatchObject({ quantity: 30, subscription: id });
    const renewed = await standIn.control.renew(id, "paid");
    const invoice = await standIn.client().invoices.retrieve(String(renewed.latest_invoice));
    expect(invoice).toMatchObject({ total: 300_000, amount_paid: 300_000, status: "paid" });
    const { data } = await standIn.client().invoices.list({ subscription: id });
    expect(data.map(({ total }) => total)).toEqual([300_000, 250_000]);
  });

  test("is charged for nothing when its quantity changes", async () => {
    const { item } = await subscribe();
    const error = await errorOf(standIn.client().subscriptionItems.update(item, { quantity: 30 }));
    expect(error).toMatchObject({ statusCode: 400, param: "proration_behavior" });
    expect(await standIn.control.violations()).toHaveLength(1);
    await standIn.control.forgetViolations();
  });

  test("renews on the day on which it began, or the last of the month", async () => {
    const { id } = await subscribe("2026-01-31", 1);
    const ends = [(await read(id))?.items[0]?.end];
    for (let count = 0; count < 3; count += 1) {
      await standIn.control.renew(id, "paid");
      ends.push((await read(id))?.items[0]?.end);
    }
    const days = ends.map((end) => new Date(end ?? 0).toISOString().slice(0, 10));
    expect(days).toEqual(["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]);
  });

  test("is past due until its invoice is paid, and can end", async () => {
    const { id } = await subscribe();
    const { latest_invoice } = await standIn.control.renew(id, "failed");
    expect(await read(id)).toMatchObject({ status: "past_due", invoice: latest_invoice });
    await standIn.control.payInvoice(String(latest_invoice));
    expect(await read(id)).toMatchObject({ status: "active" });
    await standIn.control.cancelSubscription(id);
    expect(await read(id)).toMatchObject({ status: "canceled", autoRenew: false });
    const { data } = await standIn.client().events.list({ limit: 100 });
    expect(data.map(({ type }) => type)).toEqual(
      expect.arrayContaining([
        "invoice.paid",
        "invoice.payment_failed",
        "customer.subscription.updated",
        "customer.subscription.deleted",
      ]),
    );
  });
});

test("a dispute is opened and closed", async () => {
  const stripe = standIn.client();
  const { id } = await stripe.paymentIntents.create({ amount: 500, currency: "gbp", payment_method: "pm_card_visa" });
  await expect(standIn.control.dispute(id)).rejects.toThrow();
  const { latest_charge } = await stripe.paymentIntents.confirm(id);
  const dispute = await standIn.control.dispute(id, { reason: "duplicate" });
  expect(await stripe.charges.retrieve(String(latest_charge))).toMatchObject({ disputed: true });
  expect(await errorOf(stripe.refunds.create({ payment_intent: id }))).toMatchObject({ code: "charge_disputed" });
  const find = () => findDispute(stripe, dispute.id);
  expect(await find()).toMatchObject({
    ...{ paymentId: id, amount: { amount: 500, currency: "GBP" }, reason: "duplicate", isOpen: true },
  });
  await standIn.control.closeDispute(dispute.id, "lost");
  expect(await find()).toMatchObject({ status: "lost", isOpen: false });
  expect((await stripe.disputes.list({ payment_intent: id })).data).toHaveLength(1);
});

describe("the account", () => {
  test("names the seller, and can be altered", async () => {
    const stripe = standIn.client();
    expect(await stripe.accounts.retrieveCurrent()).toMatchObject({
      id: ACCOUNT,
      charges_enabled: true,
      settings: { dashboard: { display_name: "SecureFlag" } },
    });
    await standIn.control.alter(ACCOUNT, { charges_enabled: false });
    expect(await stripe.accounts.retrieveCurrent()).toMatchObject({ charges_enabled: false });
    expect(await stripe.balance.retrieve()).toMatchObject({ object: "balance", livemode: false });
  });

  test("lists its endpoints of webhooks", async () => {
    const url = "https://billing.example.com/webhooks/stripe";
    expect((await standIn.client().webhookEndpoints.list()).data).toEqual([]);
    await standIn.control.addEndpoint({ url, events: ["refund.updated"], status: "disabled" });
    expect((await standIn.client().webhookEndpoints.list({ limit: 100 })).data).toMatchObject([
      { url, status: "disabled", enabled_events: ["refund.updated"] },
    ]);
  });

  test("has customers, until they are deleted", async () => {
    const { id } = await standIn.client().customers.create({});
    expect(await customerExists(standIn.client(), id)).toBe(true);
    await standIn.client().customers.del(id);
    expect(await customerExists(standIn.client(), id)).toBe(false);
  });
});
