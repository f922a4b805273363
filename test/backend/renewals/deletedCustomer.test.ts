import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { keepCustomer } from "../../../src/backend/purchases/customer.ts";
import { followDue } from "../../../src/backend/renewals/atProvider.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import { useStandIn } from "../../stripe/useStandIn.ts";
import { buy, startBackend, type TestBackend } from "../support/backend.ts";
import { send } from "../support/paying.ts";
import { onlyRenewal, setClock } from "../support/renewing.ts";
import { DIALECTS } from "../support/stores.ts";
import { addCustomer, expectPaidInvariants, payThrough } from "../support/stripe.ts";

describe.each(DIALECTS)("a customer who was deleted at Stripe, on %s", (dialect) => {
  const standIn = useStandIn();
  let backend: TestBackend;

  beforeEach(async () => {
    backend = await startBackend(dialect);
    payThrough(standIn, backend);
  });
  afterEach(() => backend.close());

  const subscriptionRow = (id: number) =>
    backend.deps.database
      .selectFrom("subscriptions")
      .selectAll()
      .where("organization_id", "=", id)
      .executeTakeFirstOrThrow();

  const purchaseRow = (id: number) =>
    backend.deps.database
      .selectFrom("purchases")
      .selectAll()
      .where("organization_id", "=", id)
      .executeTakeFirstOrThrow();

  const open = async (card: string | null) => {
    const id = await addCustomer(standIn, backend, card);
    const { customer_id: customer } = await subscriptionRow(id);
    await keepCustomer(backend.deps.database, id, customer ?? "");
    return { id, customer: customer ?? "" };
  };

  /** What a webhook does. */
  const hear = async (customer: string) => {
    await backend.deps.database
      .updateTable("provider_objects")
      .set({ check_at: 0 })
      .where("id", "=", customer)
      .execute();
    await followDue(backend.deps, 10);
  };

  const storeCard = async (id: number) => {
    const { customer_id: customer } = await subscriptionRow(id);
    const method = await standIn.client().paymentMethods.attach("pm_card_visa", { customer: customer ?? "" });
    await backend.deps.database
      .updateTable("subscriptions")
      .set({ payment_method: method.id, payment_method_label: "Visa ending in 4242" })
      .where("organization_id", "=", id)
      .execute();
  };

  test.each(["pm_card_visa", null])("with %s: the next purchase creates another one", async (card) => {
    const { id, customer } = await open(card);
    await standIn.client().customers.del(customer);
    await hear(customer);
    expect(await subscriptionRow(id)).toMatchObject({ customer_id: null, payment_method: null });
    expect((await buy(backend, id, 5, "k")).body).toMatchObject({ status: "requires_approval" });
    const { customer_id: created } = await purchaseRow(id);
    expect([created, (await subscriptionRow(id)).customer_id]).toEqual([expect.stringMatching(/^cus_/), created]);
    expect(created).not.toBe(customer);
  });

  test("and whose purchase was refused before that was known: it can be paid again", async () => {
    const { id, customer } = await open("pm_card_visa");
    await standIn.client().customers.del(customer);
    const { body } = await buy(backend, id, 5, "k");
    expect(await purchaseRow(id)).toMatchObject({ state: "declined", payment_id: null, customer_id: customer });
    await hear(customer);
    await send(backend, id, (body.purchase ?? body).id, "payment");
    expect(await purchaseRow(id)).toMatchObject({ state: "requires_approval" });
    expect((await purchaseRow(id)).customer_id).not.toBe(customer);
  });

  test("and whom the purchase itself had created: it creates another one", async () => {
    const { id } = await open(null);
    await backend.deps.database
      .updateTable("subscriptions")
      .set({ customer_id: null })
      .where("organization_id", "=", id)
      .execute();
    await standIn.control.fault({ call: "paymentIntents.create", effect: "lost", when: "before", times: 2 });
    const { body } = await buy(backend, id, 5, "k");
    const { customer_id: created } = await subscriptionRow(id);
    await standIn.client().customers.del(created ?? "");
    setClock(backend, backend.clocks.billing + 60_000);
    await sweep(backend.deps);
    expect(await purchaseRow(id)).toMatchObject({ state: "declined", customer_id: created });
    await hear(created ?? "");
    await send(backend, id, (body.purchase ?? body).id, "payment");
    expect(await purchaseRow(id)).toMatchObject({ state: "requires_approval" });
  });

  test("and who has not paid a renewal: another customer pays it with another payment", async () => {
    const { id, customer } = await open("pm_card_chargeCustomerFail");
    setClock(backend, "2027-03-01T12:00:00Z");
    await sweep(backend.deps);
    const { payment_id: payment } = await purchaseRow(id);
    await standIn.client().customers.del(customer);
    await hear(customer);
    expect(await purchaseRow(id)).toMatchObject({ state: "declined", payment_id: null });
    expect(await standIn.client().paymentIntents.retrieve(payment ?? "")).toMatchObject({ status: "canceled" });
    const { id: renewal } = await onlyRenewal(backend, id);
    // The first attempt has no card yet.
    await send(backend, id, renewal, "payment");
    await storeCard(id);
    await send(backend, id, renewal, "payment");
    expect(await onlyRenewal(backend, id)).toMatchObject({ status: "succeeded" });
    await expectPaidInvariants(standIn, backend, id, 25);
  });

  test("while a renewal is being paid: they are forgotten once that was declined", async () => {
    const { id, customer } = await open("pm_card_visa");
    await standIn.control.fault({ call: "paymentIntents.confirm", effect: "lost", when: "before", times: 2 });
    setClock(backend, "2027-03-01T12:00:00Z");
    await sweep(backend.deps);
    expect(await purchaseRow(id)).toMatchObject({ state: "unknown" });
    await standIn.client().customers.del(customer);
    await hear(customer);
    expect(await subscriptionRow(id)).toMatchObject({ customer_id: customer });
    setClock(backend, backend.clocks.billing + 60_000);
    await sweep(backend.deps);
    setClock(backend, backend.clocks.billing + 60_000);
    await followDue(backend.deps, 10);
    expect(await purchaseRow(id)).toMatchObject({ state: "declined", payment_id: null });
    expect(await subscriptionRow(id)).toMatchObject({ customer_id: null });
  });
});
