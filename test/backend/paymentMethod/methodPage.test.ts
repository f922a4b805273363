import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { saveMethod } from "../../../src/backend/paymentMethod/store.ts";
import { hiddenFields } from "../../support/paymentPage.ts";
import { token, user } from "../../support/seed.ts";
import { buy, call, NOON, organization, startBackend, submit, type TestBackend, tokenOf } from "../support/backend.ts";
import { act, look, post } from "../support/paying.ts";
import { fastForward, onlyRenewal, openSubscription, subscriptionOf } from "../support/renewing.ts";
import { changesOf, methodOf, methodPage } from "../support/storedMethod.ts";
import { DIALECTS } from "../support/stores.ts";

const DAY_MS = 24 * 3_600_000;

describe.each(DIALECTS)("the page that changes the payment method on %s", (dialect) => {
  let backend: TestBackend;

  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  afterEach(() => {
    Object.assign(backend.clocks, { billing: NOON, machine: NOON });
  });
  afterAll(() => backend.close());

  const open = (paymentMethod: string | null = "card_ok") => openSubscription(backend, {}, { paymentMethod });
  const labelOf = async (id: number) => (await subscriptionOf(backend, id)).paymentMethod?.label ?? null;

  test("is in the answer, with the stored card and the time until when its address is valid", async () => {
    const id = await open();
    const { status, body } = await methodOf(backend, id);
    expect([status, body]).toEqual([
      200,
      {
        paymentMethod: { type: "card", label: "Visa ending in 4242 (test card)" },
        expires: null,
        url: expect.stringMatching(new RegExp(`^http://[^/]+/payment-method/${id}/${NOON + DAY_MS}/[\\w-]{43}$`)),
        urlExpiresAt: "2026-11-23T12:00:00.000Z",
        livemode: false,
        mode: "sandbox",
      },
    ]);
    const none = await open(null);
    await backend.deps.database
      .updateTable("subscriptions")
      .set({ payment_method_expires: "2027-04" })
      .where("organization_id", "=", none)
      .execute();
    expect((await methodOf(backend, none)).body).toMatchObject({ paymentMethod: null, expires: "2027-04" });
  });

  test("is not given to a token that may not buy", async () => {
    const made = organization();
    const [admin = user({})] = made.users;
    const reader = token(made.id, { token: `sfl_reader_${made.id}`, scopes: ["billing:read"], userEmail: admin.email });
    await backend.addOrganization({ ...made, tokens: [...made.tokens, { ...reader, name: "reader" }] });
    const { status, body } = await methodOf(backend, made.id, reader.token ?? "");
    expect([status, body.url, body.urlExpiresAt]).toEqual([200, null, null]);
    expect(body.paymentMethod).toEqual({ type: "card", label: "Visa ending in 4242 (test card)" });
    expect((await methodOf(backend, made.id, tokenOf(await open()))).status).toBe(404);
  });

  test("shows the seller, the organization and the stored card, and changes nothing when it is looked at", async () => {
    const id = await open();
    const before = await subscriptionOf(backend, id);
    const { status, html } = await look(backend, await methodPage(backend, id));
    expect(status).toBe(200);
    expect(html).toContain('<p class="banner">SANDBOX: no money moves</p>');
    expect(html).toContain("Seller</dt><dd>Example Seller Ltd (made up)");
    expect(html).toContain(`Organization</dt><dd>Organization ${id} (${id})`);
    expect(html).toContain("Stored payment method</dt><dd>Visa ending in 4242 (test card)");
    expect(html).not.toMatch(/£|<script|admin@/);
    expect(html.match(/<option value="card_[^"]*"/g)).toHaveLength(6);
    expect(html).not.toContain('value="card_ok"');
    expect(await subscriptionOf(backend, id)).toEqual(before);
  });

  test("stores the card that is chosen, for later purchases and renewals, in the audit log and as a notification", async () => {
    const id = await open("card_declined");
    const address = await methodPage(backend, id);
    const { status, html } = await act(backend, address, { action: "save", card: "card_ok" });
    expect([status, html.includes("The payment method was changed")]).toEqual([200, true]);
    expect(await labelOf(id)).toBe("Visa ending in 4242 (test card)");
    const { audited, notified } = await changesOf(backend, id);
    expect(audited).toMatchObject([{ actor: "payment page", data: { paymentMethod: "card_ok" } }]);
    expect(notified).toEqual([
      {
        id: expect.stringMatching(new RegExp(`^organization_${id}:payment_method.changed:\\d+$`)),
        type: "payment_method.changed",
        organizationId: id,
        purchaseId: null,
        to: null,
        text: "The payment method for purchases and renewals is now Visa ending in 4242 (test card).",
        data: { paymentMethod: { type: "card", label: "Visa ending in 4242 (test card)" }, expires: null },
      },
    ]);
    expect((await buy(backend, id, 1, "k")).body).toMatchObject({ status: "succeeded" });
  });

  test("outdates quotes, whose buyer has seen the card before", async () => {
    const id = await open();
    const path = `/organizations/${id}/quotes`;
    const quote = await call(backend, "POST", path, { token: tokenOf(id), body: { licenses: 1 } });
    await act(backend, await methodPage(backend, id), { action: "save", card: "card_processing" });
    const { status, body } = await submit(backend, id, { quoteId: quote.body.id }, "k");
    expect([status, body.code]).toEqual([409, "subscription_changed"]);
  });

  test("changes once, however often and in parallel a form is sent", async () => {
    const id = await open();
    const address = await methodPage(backend, id);
    const fields = { ...hiddenFields(await look(backend, address)), card: "card_processing", action: "save" };
    const answers = await Promise.all(Array.from({ length: 5 }, () => post(backend, address, fields)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    const { audited, notified } = await changesOf(backend, id);
    expect([audited.length, notified.length]).toEqual([1, 1]);
  });

  test.each([
    ["no card", {}, "Choose a card. Nothing was changed."],
    ["an unknown card", { card: "card_other" }, "Choose a card. Nothing was changed."],
    ["a page of the provider, which has none", { action: "enter_card" }, "Choose a card."],
    ["an unknown action", { action: "pay" }, "not valid"],
  ])("refuses %s", async (_case, fields, sentence) => {
    const id = await open();
    const address = await methodPage(backend, id);
    const form = hiddenFields(await look(backend, address));
    const { status, html } = await post(backend, address, { ...form, action: "save", ...fields });
    expect([status, html.includes(sentence)]).toEqual([400, true]);
    expect(await changesOf(backend, id)).toEqual({ audited: [], notified: [] });
  });

  test("refuses forms from elsewhere, of another page, and those that are over an hour old", async () => {
    const [id, other] = [await open(), await open()];
    const address = await methodPage(backend, id);
    const own = { ...hiddenFields(await look(backend, address)), card: "card_processing", action: "save" };
    const foreign = { ...own, ...hiddenFields(await look(backend, await methodPage(backend, other))) };
    expect((await post(backend, address, foreign)).status).toBe(403);
    expect((await post(backend, address, own, { origin: "https://evil.example" })).status).toBe(403);
    expect((await post(backend, address, own, { "sec-fetch-site": "cross-site" })).status).toBe(403);
    backend.clocks.machine += 3_600_000;
    const late = await post(backend, address, own);
    expect([late.status, late.html.includes("This form has expired, and nothing was changed.")]).toEqual([403, true]);
    expect(await labelOf(id)).toBe("Visa ending in 4242 (test card)");
  });

  test("is found at no other address, and only for a day", async () => {
    const [id, other] = [await open(), await open()];
    const address = await methodPage(backend, id);
    const [, , , expires = "", signature = ""] = address.split("/");
    for (const wrong of [
      `/payment-method/${other}/${expires}/${signature}`,
      `/payment-method/${id}/${Number(expires) + 1}/${signature}`,
      `/payment-method/${id}/${expires}/${signature.slice(1)}`,
      `/payment-method/${id}/${expires}/`,
    ]) {
      const { status, html } = await look(backend, wrong);
      expect([wrong, status, html.includes("Organization")]).toEqual([wrong, 404, false]);
    }
    backend.clocks.machine += DAY_MS - 1;
    expect((await look(backend, address)).status).toBe(200);
    backend.clocks.machine += 1;
    const { status, html } = await look(backend, address);
    expect([status, html.includes("This address has expired"), html.includes("Stored")]).toEqual([404, true, false]);
    expect((await post(backend, address, { form: "x", action: "save", card: "card_ok" })).status).toBe(404);
  });

  test("links to the unpaid renewal, which another card does not pay by itself", async () => {
    const id = await open("card_declined");
    await fastForward(backend, "2027-03-01T12:00:00Z");
    const renewal = await onlyRenewal(backend, id);
    const { html } = await look(backend, await methodPage(backend, id));
    expect(html).toContain("The last renewal is unpaid, and storing a card does not pay it.");
    expect(html).toContain(`<a href="${renewal.nextAction?.url}">Pay the renewal</a>`);
    await act(backend, await methodPage(backend, id), { action: "save", card: "card_ok" });
    expect((await onlyRenewal(backend, id)).status).toBe("failed");
    // The next retry is charged to it.
    await fastForward(backend, "2027-03-02T12:00:00Z");
    expect((await onlyRenewal(backend, id)).status).toBe("succeeded");
  });

  describe("and a failed renewal that was paid with another card", () => {
    const paid = async (card = "card_ok") => {
      const id = await open("card_declined");
      await fastForward(backend, "2027-03-01T12:00:00Z");
      const { nextAction } = await onlyRenewal(backend, id);
      const address = new URL(nextAction?.url ?? "").pathname;
      const answer = await act(backend, address, { action: "pay", card });
      expect((await onlyRenewal(backend, id)).status).toBe("succeeded");
      return { id, address, answer };
    };
    const KEEP = 'name="action" value="keep_card"';

    test("leave the stored card as it is, unless the person says so", async () => {
      const { id, address, answer } = await paid();
      expect(answer.html).toContain("This was paid with Visa ending in 4242 (test card).");
      expect(answer.html).toContain("is still Visa ending in 0002 (test card, declined)");
      expect((await look(backend, address)).html).toContain(KEEP);
      expect(await labelOf(id)).toBe("Visa ending in 0002 (test card, declined)");
      await fastForward(backend, "2028-03-01T12:00:00Z");
      expect((await subscriptionOf(backend, id)).state).toBe("past_due");
    });

    test("store the new card if the person says so: once, and the next renewal is charged to it", async () => {
      const { id, address } = await paid();
      const fields = { ...hiddenFields(await look(backend, address)), action: "keep_card" };
      const answers = await Promise.all([post(backend, address, fields), post(backend, address, fields)]);
      expect(answers.map(({ status, html }) => [status, html.includes("Payment received")])).toEqual([
        [200, true],
        [200, true],
      ]);
      expect((await look(backend, address)).html).not.toContain(KEEP);
      expect(await labelOf(id)).toBe("Visa ending in 4242 (test card)");
      const { audited, notified } = await changesOf(backend, id);
      expect([audited.length, notified.length]).toEqual([1, 1]);
      await fastForward(backend, "2028-03-01T12:00:00Z");
      expect((await subscriptionOf(backend, id)).state).toBe("active");
    });

    test("ask for a day only, because the address may be in a log", async () => {
      const { id, address } = await paid();
      backend.clocks.billing += DAY_MS - 1;
      const page = await look(backend, address);
      expect(page.html).toContain(KEEP);
      backend.clocks.billing += 1;
      expect((await look(backend, address)).html).not.toContain(KEEP);
      await post(backend, address, { ...hiddenFields(page), action: "keep_card" });
      expect(await labelOf(id)).toBe("Visa ending in 0002 (test card, declined)");
    });

    test("do not ask if the card is stored already, or was stored since", async () => {
      const { id, address } = await paid();
      await saveMethod(backend.deps.database, id, { id: "card_ok", label: "x" }, { actor: "operator", at: NOON });
      expect((await look(backend, address)).html).not.toContain(KEEP);
      const first = await open(null);
      await fastForward(backend, "2028-03-01T12:00:00Z");
      const { nextAction } = await onlyRenewal(backend, first);
      const answer = await act(backend, new URL(nextAction?.url ?? "").pathname, { action: "pay", card: "card_ok" });
      expect(answer.html).toContain("Payment received");
      expect(answer.html).not.toContain(KEEP);
    });

    test("do not ask about the card of a retry, which nobody has chosen on the page", async () => {
      const id = await open("card_declined");
      await fastForward(backend, "2027-03-01T12:00:00Z");
      const { nextAction } = await onlyRenewal(backend, id);
      const store = (card: string) =>
        saveMethod(backend.deps.database, id, { id: card, label: card }, { actor: "operator", at: NOON });
      await store("card_ok");
      await fastForward(backend, "2027-03-02T12:00:00Z");
      expect((await onlyRenewal(backend, id)).status).toBe("succeeded");
      await store("card_processing");
      const { html } = await look(backend, new URL(nextAction?.url ?? "").pathname);
      expect(html).toContain("Payment received");
      expect(html).not.toContain(KEEP);
    });
  });
});

describe("storing a payment method", () => {
  let backend: TestBackend;

  beforeAll(async () => {
    backend = await startBackend(DIALECTS[0]);
  });
  afterAll(() => backend.close());

  test("that is stored already updates what is known of it, and is no change", async () => {
    const id = await openSubscription(backend);
    const { version } = await subscriptionOf(backend, id);
    const card = { id: "card_ok", label: "Visa", expires: "2030-01" };
    expect(await saveMethod(backend.deps.database, id, card, { actor: "operator", at: NOON })).toBe(false);
    expect((await methodOf(backend, id)).body.expires).toBe("2030-01");
    expect((await subscriptionOf(backend, id)).version).toBe(version);
    expect(await changesOf(backend, id)).toEqual({ audited: [], notified: [] });
  });

  test("does not outlive a crash before its commit in part", async () => {
    const id = await openSubscription(backend);
    await backend.deps.database.deleteFrom("outbox").execute();
    const broken = { id: "card_processing", label: "Bank debit" };
    const failing = saveMethod(backend.deps.database, id, broken, { actor: "operator", at: Number.NaN });
    await expect(failing).rejects.toThrow();
    expect((await methodOf(backend, id)).body.paymentMethod.label).toContain("4242");
    expect(await changesOf(backend, id)).toEqual({ audited: [], notified: [] });
  });
});
