import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { sweep } from "../../../src/backend/sweep.ts";
import { hiddenFields } from "../../support/paymentPage.ts";
import { buy, call, NOON, organization, startBackend, submit, type TestBackend, tokenOf } from "../support/backend.ts";
import { expectInvariants } from "../support/invariants.ts";
import { act, addressOf, buyWaiting, look, post, read, send } from "../support/paying.ts";
import { DIALECTS } from "../support/stores.ts";

describe.each(DIALECTS)("the payment page on %s", (dialect) => {
  let backend: TestBackend;
  const open = async (changes: Parameters<typeof organization>[0] = {}) => {
    const made = organization({ paymentMethod: "card_requires_approval", ...changes });
    await backend.addOrganization(made);
    return made.id;
  };
  const waiting = async (changes: Parameters<typeof organization>[0] = {}) => {
    const id = await open(changes);
    const purchase = await buyWaiting(backend, id);
    return { id, purchase, address: addressOf(purchase) };
  };
  const statusOf = async (id: number, purchaseId: string) => (await read(backend, id, purchaseId)).status;

  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  afterEach(() => {
    backend.clocks.billing = NOON;
  });
  afterAll(() => backend.close());

  test("shows the item, organization, buyer and price, and viewing it changes nothing", async () => {
    const { id, purchase, address } = await waiting({ name: "Northwind Labs" });
    const before = await backend.deps.database
      .selectFrom("purchases")
      .selectAll()
      .where("id", "=", purchase.id)
      .execute();
    const { status, html } = await look(backend, address);
    expect(status).toBe(200);
    for (const text of [
      "Pay for 5 licenses",
      `Northwind Labs (${id})`,
      `Bought by</dt><dd>admin@organization-${id}.test, token ci`,
      "5 more (25 → 30)",
      "March 1, 2026 to March 1, 2027, 99 of 365 days",
      "Subtotal</dt><dd>£203.42",
      "Tax (20%)</dt><dd>£40.68",
      '<div class="amount total"><dt>Due now</dt><dd>£244.10',
      "Pay £244.10",
      "November 23, 2026 at 12:00 PM GMT",
    ]) {
      expect(html).toContain(text);
    }
    expect(
      await backend.deps.database.selectFrom("purchases").selectAll().where("id", "=", purchase.id).execute(),
    ).toEqual(before);
  });

  test("has exactly the form that scripts rely on (src/backend/README.md, Pages)", async () => {
    const { html } = await look(backend, (await waiting()).address);
    expect(html.match(/<form[^>]*>/g)).toEqual(['<form method="post">']);
    expect(html.match(/<input[^>]*>/g)).toHaveLength(1);
    expect(html).toMatch(/<input type="hidden" name="form" value="[\w.-]+"\/?>/);
    expect(html).toMatch(/<select id="card" name="card"/);
    expect(html).toMatch(/<button type="submit" name="action" value="pay">/);
    expect(html.match(/<button[^>]*>/g)).toHaveLength(1);
    expect(html).not.toMatch(/<script|javascript:|onclick/i);
    const [first, ...others] = [...html.matchAll(/<option value="([^"]*)">([^<]*)</g)].map(
      ([, id, label]) => `${id} ${label}`,
    );
    expect(first).toBe("card_requires_approval Stored: Visa ending in 3220 (test card, asks for approval)");
    expect(others).toHaveLength(6);
    expect(others.join()).toContain("card_expired Visa ending in 0069 (test card, expired)");
  });

  test("shows the sandbox banner and the seller", async () => {
    const { address } = await waiting();
    for (const url of [address, `${address}?cancel`]) {
      expect((await look(backend, url)).html).toContain('<p class="banner">SANDBOX: no money moves</p>');
    }
    expect((await look(backend, address)).html).toContain("Seller</dt><dd>Example Seller Ltd (made up)");
  });

  test.each([
    ["de-DE,de;q=0.9,en;q=0.8", "23 November 2026 at 12:00 GMT", "1 March 2026"],
    ["fr;q=0.5, xx-invalid, en-GB", "23 November 2026 at 12:00 GMT", "1 March 2026"],
    ["ja-JP-u-ca-japanese, fr", "23 November 2026 at 12:00 GMT", "1 March 2026"],
    ["en-IN", "23 November 2026 at 12:00 pm GMT", "1 March 2026"],
    ["en-US", "November 23, 2026 at 12:00 PM GMT", "March 1, 2026"],
    ["*", "November 23, 2026 at 12:00 PM GMT", "March 1, 2026"],
    [`${"x".repeat(5_000)}, de`, "November 23, 2026 at 12:00 PM GMT", "March 1, 2026"],
  ])("writes dates in English, ordered as for a reader of %s", async (language, deadline, start) => {
    const { address } = await waiting();
    const reader = { "accept-language": language };
    const asked = await look(backend, address, reader);
    expect(asked.html).toContain(`Pay until</dt><dd>${deadline}`);
    expect(asked.html).toContain(`Term</dt><dd>${start} to`);
    expect(asked.html).toContain(
      `Renews at</dt><dd>£5,400.00 (£4,500.00 + £900.00 tax) on ${start.replace("2026", "2027")}`,
    );
    await act(backend, address, { action: "pay", card: "card_ok" });
    const { html } = await look(backend, `${address}/receipt`, reader);
    expect(html).toContain(`Term</dt><dd>${start} to`);
    expect(html).toContain(`Issued</dt><dd>${deadline.replace("23", "22")}`);
    expect(html).not.toMatch(/\d{4}-\d{2}-\d{2}/);
  });

  test("keeps dates, times and receipt numbers on one line", async () => {
    const { id, address } = await waiting();
    const raw = async () => (await backend.app.inject({ method: "GET", url: address })).body;
    expect(await raw()).toContain("November\u00a023,\u00a02026 at 12:00\u00a0PM\u00a0GMT");
    await act(backend, address, { action: "pay", card: "card_ok" });
    expect(await raw()).toContain(`<span class="whole">${id}-000001</span>`);
  });

  test("shows the note, and the renewal price for the current number of licenses", async () => {
    const id = await open();
    const quote = await call(backend, "POST", `/organizations/${id}/quotes`, {
      token: tokenOf(id),
      body: { licenses: 5 },
    });
    const { body } = await submit(backend, id, { quoteId: quote.body.id, note: "For <the> new team" }, "k");
    const address = addressOf(body);
    const other = await buyWaiting(backend, id, "other");
    expect((await look(backend, address)).html).toContain("Note</dt><dd>For &lt;the> new team");
    await act(backend, addressOf(other), { action: "pay", card: "card_ok" });
    expect((await look(backend, address)).html).toContain("Renews at</dt><dd>£6,300.00 (£5,250.00 + £1,050.00 tax) on");
    await act(backend, address, { action: "pay", card: "card_ok" });
    const { html } = await look(backend, `${address}/receipt`);
    expect(html).toContain("Licenses</dt><dd>5 more (30 → 35)");
    expect(html).toContain("Note</dt><dd>For &lt;the> new team");
  });

  test("shows when the subscription ends if it does not renew", async () => {
    const { id, address } = await waiting();
    await backend.deps.database
      .updateTable("subscriptions")
      .set({ auto_renew: 0 })
      .where("organization_id", "=", id)
      .execute();
    expect((await look(backend, address)).html).toContain("Ends</dt><dd>March 1, 2027, without a renewal");
  });

  test("uses the same labels for a purchase and its receipt", async () => {
    const { address } = await waiting();
    const labelsOf = ({ html }: { html: string }) => [...html.matchAll(/<dt>([^<]*)/g)].map(([, label]) => label);
    const asked = labelsOf(await look(backend, address));
    await act(backend, address, { action: "pay", card: "card_ok" });
    const receipt = labelsOf(await look(backend, `${address}/receipt`));
    const paidOnly = ["Issued", "Bought on", "Plan", "Paid with", "Purchase", "Total"];
    expect(receipt.filter((label) => !paidOnly.includes(label ?? ""))).toEqual(
      asked.filter((label) => !["Due now", "Pay until", "Renews at"].includes(label ?? "")),
    );
  });

  test("asks before canceling: the link shows a form and changes nothing, the form cancels", async () => {
    const { id, purchase, address } = await waiting();
    expect((await look(backend, address)).html).toContain(`<a href="${address}?cancel">Cancel purchase</a>`);
    const asked = await look(backend, `${address}?cancel`);
    expect(asked.html).toContain("Cancel this purchase?");
    expect(asked.html.match(/<form[^>]*>/g)).toEqual([`<form method="post" action="${address}">`]);
    expect(asked.html.match(/<button[^>]*>/g)).toEqual(['<button type="submit" name="action" value="cancel">']);
    expect(await statusOf(id, purchase.id)).toBe("requires_approval");
    const done = await post(backend, address, { ...hiddenFields(asked), action: "cancel" });
    expect(done.html).toContain("The purchase was canceled");
    expect((await look(backend, `${address}?cancel`)).html).toContain("The purchase was canceled");
    expect(await statusOf(id, purchase.id)).toBe("failed");
  });

  test("links to the receipt once paid, until the payment window closes", async () => {
    const { id, address } = await waiting({ name: "山田 <Labs> 😀" });
    const receipt = `${address}/receipt`;
    expect((await look(backend, receipt)).status).toBe(404);
    const paid = await act(backend, address, { action: "pay", card: "card_ok" });
    expect(paid.html).toContain(`<a href="${receipt}">Show the receipt</a>`);
    const { status, html } = await look(backend, receipt);
    expect(status).toBe(200);
    for (const text of [`Receipt ${id}-000001`, "Example Seller Ltd", "山田 &lt;Labs> 😀", "£244.10", "SANDBOX"]) {
      expect(html).toContain(text);
    }
    expect((await look(backend, `${address}x/receipt`)).status).toBe(404);
    expect((await post(backend, receipt, { action: "pay" })).status).toBe(404);
    backend.clocks.billing += 24 * 3_600_000;
    expect((await look(backend, address)).html).not.toContain("/receipt");
    const over = await look(backend, receipt);
    expect([over.status, over.html.includes("£")]).toEqual([404, false]);
  });

  test("sends strict security headers and no cookie", async () => {
    const { address } = await waiting();
    const { headers } = await backend.app.inject({ method: "GET", url: address });
    expect(headers["content-security-policy"]).toContain("default-src 'none'");
    expect(headers["content-security-policy"]).toContain("frame-ancestors 'none'");
    expect(headers["cache-control"]).toBe("no-store");
    expect(headers["set-cookie"]).toBeUndefined();
  });

  test("escapes untrusted text", async () => {
    const id = await open({ name: `<img src=x onerror="alert(1)">` });
    const quote = await call(backend, "POST", `/organizations/${id}/quotes`, {
      token: tokenOf(id),
      body: { licenses: 1 },
    });
    const order = { quoteId: quote.body.id, purchaseOrder: "</dd><script>alert(2)</script>" };
    const { body } = await submit(backend, id, order, "k");
    const { html } = await look(backend, addressOf(body));
    expect(html).not.toMatch(/<img|<script/);
    expect(html).toContain("&lt;script>alert(2)");
  });

  test("has an unguessable URL: any other answers 404 with one message", async () => {
    const { address } = await waiting();
    const other = await waiting();
    const [, , purchaseId, signature = ""] = address.split("/");
    const wrong = [
      `/pay/${purchaseId}/${signature.slice(0, -1)}`,
      `/pay/${purchaseId}/${signature}x`,
      `/pay/${purchaseId}/${other.address.split("/")[3]}`,
      `/pay/pur_000000000000000000000000/${signature}`,
      `/pay/${purchaseId}/%ff`,
    ];
    const pages = [];
    for (const url of wrong.slice(0, 4))
      pages.push(await look(backend, url), await post(backend, url, { action: "pay" }));
    expect(pages.map(({ status }) => status)).toEqual(pages.map(() => 404));
    const words = pages.map(({ html }) => html.replaceAll(/req_[0-9a-f]+/g, ""));
    expect(new Set(words).size).toBe(1);
    expect((await look(backend, wrong[4] ?? "")).status).toBeGreaterThanOrEqual(400);
  });

  test("accepts only a form that it served in the last hour, for this purchase", async () => {
    const { id, purchase, address } = await waiting();
    const other = await waiting();
    const { form = "" } = hiddenFields(await look(backend, address));
    const foreign = hiddenFields(await look(backend, other.address)).form ?? "";
    const [until = "", signature] = form.split(".");
    for (const wrong of ["", foreign, `${Number(until) + 1}.${signature}`, until]) {
      const page = await post(backend, address, { form: wrong, action: "pay" });
      expect([page.status, page.html.includes('role="alert"')]).toEqual([403, true]);
    }
    backend.clocks.machine += 3_600_000;
    const old = await post(backend, address, { form, action: "pay" });
    expect(old.status).toBe(403);
    expect(await statusOf(id, purchase.id)).toBe("requires_approval");
    expect((await post(backend, address, { ...hiddenFields({ ...old, status: 200 }), action: "pay" })).status).toBe(
      200,
    );
    expect(await statusOf(id, purchase.id)).toBe("succeeded");
  });

  test.each([
    [{ origin: "https://evil.example" }, 403],
    [{ origin: "null" }, 403],
    [{ "sec-fetch-site": "cross-site" }, 403],
    [{ "sec-fetch-site": "same-site" }, 403],
    [{ "content-type": "application/json" }, 400],
    [{ origin: "http://localhost", "sec-fetch-site": "same-origin" }, 200],
    [{ "sec-fetch-site": "none" }, 200],
  ])("answers a form submitted with %o with %d", async (headers, expected) => {
    const { id, purchase, address } = await waiting();
    const fields = { ...hiddenFields(await look(backend, address)), action: "pay" };
    const page = await post(backend, address, fields, headers as Record<string, string>);
    expect(page.status).toBe(expected);
    expect(await statusOf(id, purchase.id)).toBe(expected === 200 ? "succeeded" : "requires_approval");
  });

  test.each([
    [{ action: "buy" }],
    [{ action: "pay", card: "card_free" }],
    [{ action: "pay", card: "__proto__" }],
    [{ action: "pay", amount: "1" }],
    [{}],
  ])("rejects a form with %o and charges nothing", async (fields) => {
    const { id, purchase, address } = await waiting();
    const page = await post(backend, address, { ...hiddenFields(await look(backend, address)), ...fields });
    expect(page.status).toBe(400);
    expect(await statusOf(id, purchase.id)).toBe("requires_approval");
  });

  test("pays once from two windows, and the second shows the payment", async () => {
    const { id, purchase, address } = await waiting();
    const windows = [await look(backend, address), await look(backend, address)].map(hiddenFields);
    const pages = [];
    for (const fields of windows) pages.push(await post(backend, address, { ...fields, action: "pay" }));
    for (const page of pages) expect([page.status, page.html.includes(`${id}-000001`)]).toEqual([200, true]);
    expect(backend.captures().filter((capture) => capture.purchaseId === purchase.id)).toHaveLength(1);
    await expectInvariants(backend, id, 25);
  });

  test("pays once from many parallel windows, with any cards", async () => {
    for (let round = 0; round < 10; round += 1) {
      const { id, purchase, address } = await waiting();
      const fields = hiddenFields(await look(backend, address));
      const cards = ["card_ok", "card_declined", "card_requires_approval", "card_expired", "card_timeout"];
      const time = setInterval(() => {
        backend.clocks.machine += 500;
      }, 20);
      await Promise.all(cards.map((card) => post(backend, address, { ...fields, card, action: "pay" })));
      clearInterval(time);
      expect(backend.captures().filter((capture) => capture.purchaseId === purchase.id).length).toBeLessThanOrEqual(1);
      await expectInvariants(backend, id, 25);
    }
  });

  test("shows that a payment is processing, offers to refresh, then shows its success", async () => {
    const { id, address } = await waiting();
    const time = setInterval(() => {
      backend.clocks.machine += 10;
    }, 20);
    const fields = { ...hiddenFields(await look(backend, address)), card: "card_processing", action: "pay" };
    const paying = post(backend, address, fields);
    await expect
      .poll(async () => (await look(backend, address)).html, { timeout: 10_000 })
      .toContain("The payment is being processed");
    expect((await look(backend, address)).html).toContain(`<a href="${address}">Refresh</a>`);
    clearInterval(time);
    backend.clocks.billing += 5_000;
    let answer = "";
    void paying.then(({ html }) => {
      answer = html;
    });
    // Again and again: the first sweep may find the purchase still leased by the payment.
    await expect.poll(() => sweep(backend.deps).then(() => answer), { timeout: 20_000 }).toContain("Payment received");
    await expectInvariants(backend, id, 25);
  });

  test("shows that the purchase was canceled", async () => {
    const { id, purchase, address } = await waiting();
    const page = await act(backend, address, { action: "cancel" });
    expect([page.status, page.html.includes("The purchase was canceled")]).toEqual([200, true]);
    expect((await look(backend, address)).html).toContain("Nothing was charged.");
    expect(await statusOf(id, purchase.id)).toBe("failed");
    expect((await send(backend, id, purchase.id, "cancel")).status).toBe(200);
    await expectInvariants(backend, id, 25);
  });

  test("shows an expired purchase for a form submitted after the deadline", async () => {
    const { id, purchase, address } = await waiting();
    const fields = hiddenFields(await look(backend, address));
    backend.clocks.billing += 24 * 3_600_000;
    expect((await look(backend, address)).status).toBe(410);
    const page = await post(backend, address, { ...fields, action: "pay" });
    expect([page.status, page.html.includes("The time to pay is over")]).toEqual([410, true]);
    expect((await read(backend, id, purchase.id)).failure.code).toBe("payment_expired");
    await expectInvariants(backend, id, 25);
  });

  test("shows only the outcome after the deadline", async () => {
    const { address } = await waiting({ name: "Northwind Labs" });
    await act(backend, address, { action: "cancel" });
    expect((await look(backend, address)).html).toContain("token ci");
    backend.clocks.billing += 24 * 3_600_000;
    const { html } = await look(backend, address);
    expect(html).toContain("The purchase was canceled");
    expect(html).not.toContain("token");
    expect(html).not.toContain("£");
  });

  test("is not linked for a purchase that needed no approval, and rejects cancellation with another organization's token", async () => {
    const id = await open({ paymentMethod: "card_ok" });
    const { body } = await buy(backend, id, 1, "k");
    expect(body.nextAction).toBeNull();
    const stranger = await open();
    expect((await send(backend, stranger, body.id, "cancel")).status).toBe(404);
    expect((await send(backend, id, body.id, "cancel", tokenOf(stranger))).status).toBe(404);
  });
});
