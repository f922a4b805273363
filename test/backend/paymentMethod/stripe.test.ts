import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { keepCustomer } from "../../../src/backend/purchases/customer.ts";
import { CARD_ENTRY_MS } from "../../../src/backend/purchases/schedule.ts";
import { followDue } from "../../../src/backend/renewals/atProvider.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import { useStandIn } from "../../stripe/useStandIn.ts";
import { answerElsewhere, elsewhereOf } from "../../support/paymentPage.ts";
import { organization, startBackend, type TestBackend } from "../support/backend.ts";
import { act, look } from "../support/paying.ts";
import { onlyRenewal, setClock, subscriptionOf } from "../support/renewing.ts";
import { changesOf, methodOf, methodPage } from "../support/storedMethod.ts";
import { DIALECTS } from "../support/stores.ts";
import { addCustomer, expectPaidInvariants, payThrough } from "../support/stripe.ts";
import { deliver, webhookApp } from "../support/webhooks.ts";

describe.each(DIALECTS)("the payment method of a customer at Stripe, on %s", (dialect) => {
  const standIn = useStandIn();
  let backend: TestBackend;

  beforeEach(async () => {
    backend = await startBackend(dialect);
    payThrough(standIn, backend);
  });
  afterEach(async () => {
    await standIn.control.clearFaults();
    await backend.close();
  });

  const rowOf = (id: number) =>
    backend.deps.database
      .selectFrom("subscriptions")
      .selectAll()
      .where("organization_id", "=", id)
      .executeTakeFirstOrThrow();
  const withoutCustomer = async () => {
    const made = organization({ paymentMethod: null });
    await backend.addOrganization(made);
    return made.id;
  };
  const withCard = async (card: string | null = "pm_card_visa") => {
    const id = await addCustomer(standIn, backend, card);
    await keepCustomer(backend.deps.database, id, (await rowOf(id)).customer_id ?? "");
    return id;
  };
  /** Presses the button that leads to Stripe. Returns the address of Stripe's page. */
  const enter = async (address: string) => {
    expect((await act(backend, address, { action: "enter_card" })).status).toBe(303);
    return elsewhereOf(await look(backend, address)) ?? "";
  };
  /** Saves a card on Stripe's page. The browser's way back leads to an address without a server. */
  const saveAtStripe = (page: string, card = "pm_card_mastercard") =>
    answerElsewhere(page, { action: "save", card }).catch(() => null);
  const labelOf = async (id: number) => (await methodOf(backend, id)).body.paymentMethod?.label ?? null;
  const setupKeys = async () =>
    (await standIn.control.requests())
      .filter(({ call }) => call === "checkout.sessions.create")
      .map(({ idempotencyKey }) => idempotencyKey);

  test("is asked for on Stripe's page, and stored when the person comes back", async () => {
    const id = await withCard();
    const address = await methodPage(backend, id);
    const { html } = await look(backend, address);
    expect(html).toContain("Stored payment method</dt><dd>Visa ending in 4242");
    expect(html).not.toContain("<select");
    await saveAtStripe(await enter(address));
    const back = await look(backend, address);
    expect([back.status, back.html.includes("The payment method was changed")]).toEqual([200, true]);
    expect((await methodOf(backend, id)).body).toMatchObject({
      paymentMethod: { type: "card", label: "Mastercard ending in 4444" },
      expires: expect.stringMatching(/^20\d\d-\d\d$/),
    });
    expect(await rowOf(id)).toMatchObject({ card_entry: null, card_entries: 1 });
    expect((await look(backend, address)).html).toContain("Change the payment method");
    const { audited, notified } = await changesOf(backend, id);
    expect([audited.length, notified.length]).toEqual([1, 1]);
    expect(audited).toMatchObject([{ actor: "payment page" }]);
  });

  test("is asked for of an organization without a customer, who is created once for two requests at once", async () => {
    const id = await withoutCustomer();
    const address = await methodPage(backend, id);
    const [one, two] = await Promise.all([
      act(backend, address, { action: "enter_card" }),
      act(backend, address, { action: "enter_card" }),
    ]);
    expect([one.status, two.status]).toEqual([303, 303]);
    const keys = (await standIn.control.requests())
      .filter(({ call, idempotencyKey }) => call === "customers.create" && idempotencyKey?.startsWith("method:"))
      .map(({ idempotencyKey }) => idempotencyKey);
    // The second one asks under the key of the first, unless it comes late enough to find the customer.
    expect(new Set(keys).size).toBe(1);
    await saveAtStripe(elsewhereOf(await look(backend, address)) ?? "");
    await look(backend, address);
    expect([await labelOf(id), (await rowOf(id)).customer_id]).toEqual([
      "Mastercard ending in 4444",
      expect.stringMatching(/^cus_/),
    ]);
  });

  test("is stored once by any number that find it", async () => {
    const id = await withCard();
    const address = await methodPage(backend, id);
    await saveAtStripe(await enter(address));
    await Promise.all(Array.from({ length: 4 }, () => look(backend, address)));
    const { audited, notified } = await changesOf(backend, id);
    expect([audited.length, notified.length, await labelOf(id)]).toEqual([1, 1, "Mastercard ending in 4444"]);
  });

  test("is found by a webhook if the person does not come back", async () => {
    const id = await withCard();
    await saveAtStripe(await enter(await methodPage(backend, id)));
    const { card_entry: session, customer_id: customer } = await rowOf(id);
    const object = { id: session, object: "checkout.session", customer, metadata: { organizationId: String(id) } };
    const app = webhookApp(backend.deps);
    expect(await deliver({ app, now: backend.deps.now }, { type: "checkout.session.completed", object })).toBe(200);
    expect(await labelOf(id)).toBe("Visa ending in 4242");
    await followDue(backend.deps, 10);
    expect(await labelOf(id)).toBe("Mastercard ending in 4444");
    await app.close();
  });

  test("is found by the schedule if there is no webhook either", async () => {
    const id = await withCard();
    await saveAtStripe(await enter(await methodPage(backend, id)));
    backend.clocks.billing += CARD_ENTRY_MS - 1;
    await followDue(backend.deps, 10);
    expect(await labelOf(id)).toBe("Visa ending in 4242");
    backend.clocks.billing += 1;
    await followDue(backend.deps, 10);
    expect(await labelOf(id)).toBe("Mastercard ending in 4444");
  });

  test("is still looked for after the customer was looked at because of something else", async () => {
    const id = await withCard();
    const page = await enter(await methodPage(backend, id));
    await backend.deps.database.updateTable("provider_objects").set({ check_at: 0 }).execute();
    await followDue(backend.deps, 10);
    await saveAtStripe(page);
    backend.clocks.billing += CARD_ENTRY_MS;
    await followDue(backend.deps, 10);
    expect(await labelOf(id)).toBe("Mastercard ending in 4444");
  });

  test("stays as it is if the card is not entered", async () => {
    const id = await withCard();
    const address = await methodPage(backend, id);
    const page = await enter(address);
    expect(await enter(address)).toBe(page);
    const { card_entry } = await rowOf(id);
    await standIn.client().checkout.sessions.expire(card_entry ?? "");
    expect((await look(backend, address)).html).not.toContain("Enter the card");
    expect(await rowOf(id)).toMatchObject({ card_entry: null, payment_method_label: "Visa ending in 4242" });
    expect(await enter(address)).not.toBe(page);
    expect(await changesOf(backend, id)).toEqual({ audited: [], notified: [] });
  });

  test("is not taken from a page of another customer", async () => {
    const [id, other] = [await withCard(), await withCard()];
    await saveAtStripe(await enter(await methodPage(backend, other)));
    const { card_entry } = await rowOf(other);
    await backend.deps.database
      .updateTable("subscriptions")
      .set({ card_entry })
      .where("organization_id", "=", id)
      .execute();
    await look(backend, await methodPage(backend, id));
    expect([await labelOf(id), (await rowOf(id)).card_entry]).toEqual(["Visa ending in 4242", null]);
  });

  test("is asked for on the same page after a crash before that was saved (B14)", async () => {
    const id = await withCard();
    const address = await methodPage(backend, id);
    const before = (await setupKeys()).length;
    backend.crashAt("B14");
    expect((await act(backend, address, { action: "enter_card" })).status).toBe(500);
    await saveAtStripe(await enter(address));
    const keys = (await setupKeys()).slice(before);
    // The second one asks under the key of the first, unless it comes late enough to find the customer.
    expect(new Set(keys).size).toBe(1);
    await look(backend, address);
    expect(await labelOf(id)).toBe("Mastercard ending in 4444");
  });

  test("is stored by the next one who looks after a crash before that (B15)", async () => {
    const id = await withCard();
    const address = await methodPage(backend, id);
    await saveAtStripe(await enter(address));
    backend.crashAt("B15");
    expect((await look(backend, address)).status).toBe(500);
    expect((await look(backend, address)).html).toContain("The payment method was changed");
    const { audited, notified } = await changesOf(backend, id);
    expect([audited.length, notified.length]).toEqual([1, 1]);
  });

  test("is asked for under another key after a failure that Stripe repeats", async () => {
    const id = await withCard();
    const address = await methodPage(backend, id);
    await standIn.control.fault({ call: "checkout.sessions.create", effect: "failed" });
    for (const tries of [1, 2]) {
      const { status, html } = await act(backend, address, { action: "enter_card" });
      expect([tries, status, html.includes("and nothing was changed. Try again.")]).toEqual([tries, 503, true]);
    }
    await saveAtStripe(await enter(address));
    await look(backend, address);
    expect(await labelOf(id)).toBe("Mastercard ending in 4444");
  });

  test("is kept after a failed renewal was paid with it, and then pays the renewals", async () => {
    const id = await withCard("pm_card_chargeCustomerFail");
    setClock(backend, "2027-03-01T12:00:00Z");
    await sweep(backend.deps);
    const renewal = await onlyRenewal(backend, id);
    expect([renewal.status, (await subscriptionOf(backend, id)).state]).toEqual(["failed", "past_due"]);
    const address = new URL(renewal.nextAction?.url ?? "").pathname;
    await saveAtStripe(await enter(address), "pm_card_visa");
    const paid = await look(backend, address);
    expect(paid.html).toContain("This was paid with Visa ending in 4242.");
    expect(await labelOf(id)).toBe("Visa ending in 0341");
    expect((await act(backend, address, { action: "keep_card" })).html).toContain("Payment received");
    expect(await labelOf(id)).toBe("Visa ending in 4242");
    setClock(backend, "2028-03-01T12:00:00Z");
    await sweep(backend.deps);
    expect(await subscriptionOf(backend, id)).toMatchObject({ state: "active", term: { start: "2028-03-01" } });
    await expectPaidInvariants(standIn, backend, id, 25);
  });

  test("is not kept if it was removed at Stripe meanwhile", async () => {
    const id = await withCard("pm_card_chargeCustomerFail");
    setClock(backend, "2027-03-01T12:00:00Z");
    await sweep(backend.deps);
    const address = new URL((await onlyRenewal(backend, id)).nextAction?.url ?? "").pathname;
    await saveAtStripe(await enter(address), "pm_card_visa");
    await look(backend, address);
    const purchases = backend.deps.database.selectFrom("purchases").select("payment_method");
    const { payment_method } = await purchases.where("organization_id", "=", id).executeTakeFirstOrThrow();
    await standIn.client().paymentMethods.detach(payment_method ?? "");
    const { status, html } = await act(backend, address, { action: "keep_card" });
    expect([status, html.includes("This card can no longer be charged. Nothing was changed.")]).toEqual([400, true]);
    expect(await labelOf(id)).toBe("Visa ending in 0341");
  });

  test("that was removed at Stripe is forgotten, which administrators are told", async () => {
    const id = await withCard();
    await standIn.client().paymentMethods.detach((await rowOf(id)).payment_method ?? "");
    await backend.deps.database.updateTable("provider_objects").set({ check_at: 0 }).execute();
    await followDue(backend.deps, 10);
    expect(await labelOf(id)).toBeNull();
    const { notified } = await changesOf(backend, id);
    expect(notified).toMatchObject([
      { text: expect.stringContaining("can no longer be charged"), data: { paymentMethod: null } },
    ]);
  });
});
