import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LEASE_MS } from "../../../src/backend/purchases/leases.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import { buy, call, NOON, organization, startBackend, submit, type TestBackend, tokenOf } from "../support/backend.ts";
import { expectInvariants } from "../support/invariants.ts";
import { DIALECTS } from "../support/stores.ts";

describe.each(DIALECTS)("purchases on %s", (dialect) => {
  let backend: TestBackend;
  const open = async (changes: Parameters<typeof organization>[0] = {}) => {
    const made = organization(changes);
    await backend.addOrganization(made);
    return made.id;
  };
  const quote = async (id: number, licenses: number) =>
    (await call(backend, "POST", `/organizations/${id}/quotes`, { token: tokenOf(id), body: { licenses } })).body;
  const read = (id: number, path: string) =>
    call(backend, "GET", `/organizations/${id}${path}`, { token: tokenOf(id) });

  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  afterAll(() => backend.close());

  test("a purchase charges the quoted total once and adds the licenses immediately", async () => {
    const id = await open();
    const answer = await buy(backend, id, 5, "k-1", { purchaseOrder: "PO 7", note: "new team" });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({
      status: "succeeded",
      kind: "purchase",
      licenses: 5,
      dueNow: { amount: 20_342, currency: "GBP" },
      tax: { amount: 4_068, currency: "GBP" },
      total: { amount: 24_410, currency: "GBP" },
      purchaseOrder: "PO 7",
      note: "new team",
      receiptNumber: `${id}-000001`,
      failure: null,
      purchasedBy: { email: `admin@organization-${id}.test`, token: "ci" },
      organizationLicenses: { purchased: 30, used: 22, available: 8 },
    });
    const receipt = await read(id, `/purchases/${answer.body.id}/receipt`);
    expect(receipt.body).toMatchObject({ receiptNumber: `${id}-000001`, licensesAfter: 30, total: { amount: 24_410 } });
    await expectInvariants(backend, id, 25);
  });

  test("the same key and body return the same purchase, whatever the order of the fields", async () => {
    const id = await open();
    const { id: quoteId } = await quote(id, 2);
    const first = await submit(backend, id, { quoteId, note: "a", purchaseOrder: "b" }, "k/ü".replace("ü", "%?#"));
    const again = await submit(backend, id, { purchaseOrder: "b", note: "a", quoteId }, "k/%?#");
    expect([first.status, again.status]).toEqual([201, 200]);
    expect(again.headers["idempotency-replayed"]).toBe("true");
    expect(first.headers["idempotency-replayed"]).toBeUndefined();
    expect(again.body).toEqual(first.body);
    await expectInvariants(backend, id, 25);
  });

  test("the same key with another body is rejected and buys nothing", async () => {
    const id = await open();
    const { id: quoteId } = await quote(id, 2);
    await submit(backend, id, { quoteId }, "k");
    const other = await submit(backend, id, { quoteId, note: "other" }, "k");
    expect(other).toMatchObject({ status: 422, body: { code: "idempotency_key_reused" } });
    await expectInvariants(backend, id, 25);
  });

  test("a quote can be bought once", async () => {
    const id = await open();
    const { id: quoteId } = await quote(id, 2);
    const first = await submit(backend, id, { quoteId }, "k-1");
    const second = await submit(backend, id, { quoteId }, "k-2");
    expect(second).toMatchObject({ status: 409, body: { code: "quote_used", purchaseId: first.body.id } });
    expect((await read(id, "/purchases/by-key/k-2")).body.code).toBe("idempotency_key_unknown");
  });

  test("an accepted purchase makes every other quote stale, and so does a failed one", async () => {
    const id = await open({ paymentMethod: "card_declined" });
    const [a, b] = [await quote(id, 1), await quote(id, 1)];
    expect((await submit(backend, id, { quoteId: a.id }, "a")).status).toBe(402);
    expect(await submit(backend, id, { quoteId: b.id }, "b")).toMatchObject({
      status: 409,
      body: { code: "subscription_changed" },
    });
    const subscription = await read(id, "/subscription");
    expect(subscription.body.version).toBe(a.subscriptionVersion + 2);
    expect(subscription.body.licenses.purchased).toBe(25);
    await expectInvariants(backend, id, 25);
  });

  test("a quote expires after 30 minutes or at the end of its day", async () => {
    const id = await open();
    const late = await quote(id, 1);
    backend.clocks.billing += 30 * 60_000;
    expect((await submit(backend, id, { quoteId: late.id }, "late")).body.code).toBe("quote_expired");
    backend.clocks.billing = Date.parse("2026-11-22T23:55:00Z");
    const midnight = await quote(id, 1);
    expect(midnight.expiresAt).toBe("2026-11-23T00:00:00.000Z");
    backend.clocks.billing = Date.parse("2026-11-23T00:00:00Z");
    expect((await submit(backend, id, { quoteId: midnight.id }, "midnight")).body.code).toBe("quote_expired");
    backend.clocks.billing = NOON;
  });

  test.each([
    ["card_declined", "card_declined"],
    ["card_insufficient_funds", "insufficient_funds"],
    ["card_expired", "expired_card"],
  ])("with %s the purchase fails as %s, charges nothing, and is replayed", async (paymentMethod, code) => {
    const id = await open({ paymentMethod });
    const { id: quoteId } = await quote(id, 3);
    const first = await submit(backend, id, { quoteId }, "k");
    const again = await submit(backend, id, { quoteId }, "k");
    expect(first).toMatchObject({
      status: 402,
      body: { code: "payment_declined", purchase: { status: "failed", receiptNumber: null, failure: { code } } },
    });
    expect(again.status).toBe(402);
    expect(again.headers["idempotency-replayed"]).toBe("true");
    expect(again.body.purchase).toEqual(first.body.purchase);
    expect((await read(id, "/purchases/by-key/k")).body.failure.code).toBe(code);
    await expectInvariants(backend, id, 25);
  });

  test("card_timeout: the charge succeeds as one purchase although its response is lost", async () => {
    const id = await open({ paymentMethod: "card_timeout" });
    const answer = await buy(backend, id, 5, "k");
    expect(answer.body).toMatchObject({ status: "succeeded", organizationLicenses: { purchased: 30 } });
    await expectInvariants(backend, id, 25);
  });

  test("card_processing is 202, pending, and settles during a wait", async () => {
    const id = await open({ paymentMethod: "card_processing" });
    const answer = await buy(backend, id, 5, "k");
    expect(answer).toMatchObject({
      status: 202,
      body: { status: "processing", organizationLicenses: { purchased: 25 } },
    });
    expect((await read(id, "/subscription")).body.pending).toEqual({ purchases: 1, licenses: 5 });
    const path = `/purchases/${answer.body.id}`;
    expect((await read(id, path)).body.status).toBe("processing");
    backend.clocks.billing += 2_000;
    expect((await read(id, `${path}?wait=20`)).body).toMatchObject({
      status: "succeeded",
      organizationLicenses: { purchased: 30 },
    });
    expect((await read(id, "/subscription")).body.pending).toEqual({ purchases: 0, licenses: 0 });
    await expectInvariants(backend, id, 25);
  });

  test("a key that was never used is voided permanently", async () => {
    const id = await open();
    const token = tokenOf(id);
    const key = `${"x".repeat(254)}%`;
    const path = `/organizations/${id}/purchases/by-key/${encodeURIComponent(key)}`;
    expect(await call(backend, "GET", path, { token })).toMatchObject({
      status: 404,
      body: { code: "idempotency_key_unknown" },
    });
    expect((await call(backend, "POST", `${path}/void`, { token })).status).toBe(204);
    expect((await call(backend, "POST", `${path}/void`, { token })).status).toBe(204);
    expect(await call(backend, "GET", path, { token })).toMatchObject({
      status: 409,
      body: { code: "idempotency_key_void" },
    });
    expect((await buy(backend, id, 1, key)).body.code).toBe("idempotency_key_void");
    expect(await read(id, "/purchases")).toMatchObject({ body: { items: [], next: null } });
  });

  test("voiding the key of a purchase answers with the purchase", async () => {
    const id = await open();
    const bought = await buy(backend, id, 1, "k");
    const path = `/organizations/${id}/purchases/by-key/k/void`;
    const answer = await call(backend, "POST", path, { token: tokenOf(id) });
    expect(answer).toMatchObject({ status: 200, body: { id: bought.body.id, status: "succeeded" } });
  });

  test("a rejection does not use up the key", async () => {
    const id = await open();
    const { id: quoteId } = await quote(id, 1);
    expect((await submit(backend, id, { quoteId: "quo_none" }, "k")).body.code).toBe("not_found");
    expect((await submit(backend, id, { quoteId }, "k")).status).toBe(201);
  });

  test("a missing or malformed key is rejected", async () => {
    const id = await open();
    const { id: quoteId } = await quote(id, 1);
    const path = `/organizations/${id}/purchases`;
    const without = await call(backend, "POST", path, { token: tokenOf(id), body: { quoteId } });
    expect(without).toMatchObject({ status: 400, body: { code: "idempotency_key_missing" } });
    for (const key of ["a b", "x".repeat(256)]) {
      expect((await submit(backend, id, { quoteId }, key)).body.code).toBe("invalid_request");
    }
  });

  const limited = async (spendLimit: { amount?: number; licenses?: number }, paymentMethod = "card_ok") => {
    const made = organization({ paymentMethod });
    for (const token of made.tokens ?? []) token.spendLimit = spendLimit;
    await backend.addOrganization(made);
    return made.id;
  };
  const leftOf = async (id: number) =>
    (await call(backend, "GET", "/me", { token: tokenOf(id) })).body.token.spendLimit;

  test("a token's monthly license limit holds for concurrent purchases, and resets the next month", async () => {
    const id = await limited({ licenses: 3 });
    const outcomes = [];
    for (let attempt = 0; attempt < 6; attempt += 1) {
      outcomes.push(...(await Promise.all([1, 2].map((twin) => buy(backend, id, 1, `a${attempt}-${twin}`)))));
    }
    expect(outcomes.filter(({ status }) => status === 201)).toHaveLength(3);
    expect(outcomes.at(-1)?.body).toMatchObject({ code: "spend_limit_exceeded" });
    expect(await leftOf(id)).toMatchObject({ licenses: 3, licensesLeft: 0, amount: null, amountLeft: null });
    backend.clocks.billing = Date.parse("2026-12-01T00:00:00Z");
    expect((await buy(backend, id, 3, "december")).status).toBe(201);
    backend.clocks.billing = NOON;
    await expectInvariants(backend, id, 25);
  });

  test("a token's monthly spending limit includes tax, to the minor unit", async () => {
    const id = await limited({ amount: 2 * 4_882 });
    expect((await buy(backend, id, 1, "1")).status).toBe(201);
    expect(await leftOf(id)).toMatchObject({ amountLeft: { amount: 4_882, currency: "GBP" } });
    expect((await buy(backend, id, 2, "2")).body).toMatchObject({ code: "spend_limit_exceeded" });
    expect((await buy(backend, id, 1, "3")).status).toBe(201);
    expect((await buy(backend, id, 1, "4")).body.detail).toContain("£0.00 left");
  });

  test("a failed purchase releases the limit that it reserved", async () => {
    const id = await limited({ licenses: 1 }, "card_declined");
    expect((await buy(backend, id, 1, "1")).status).toBe(402);
    expect((await buy(backend, id, 1, "2")).status).toBe(402);
    expect(await leftOf(id)).toMatchObject({ licensesLeft: 1 });
  });

  test("the database itself rejects a second purchase with the same quote or key", async () => {
    const id = await open();
    const bought = await buy(backend, id, 1, "k");
    const { database } = backend.deps;
    const row = await database
      .selectFrom("purchases")
      .selectAll()
      .where("id", "=", bought.body.id)
      .executeTakeFirstOrThrow();
    const copy = { ...row, id: "pur_copy", sequence: row.sequence + 1, payment_id: null };
    await expect(database.insertInto("purchases").values(copy).execute()).rejects.toThrow(/unique/i);
    const key = { organization_id: id, key: "k", request_hash: null, purchase_id: null, created_at: 0 };
    await expect(database.insertInto("idempotency_keys").values(key).execute()).rejects.toThrow(/unique/i);
  });

  test("a quote is valid only on its own day", async () => {
    const id = await open();
    const { id: quoteId } = await quote(id, 1);
    await backend.deps.database
      .updateTable("quotes")
      .set({ expires_at: NOON * 2 })
      .where("id", "=", quoteId)
      .execute();
    backend.clocks.billing = NOON + 86_400_000;
    expect((await submit(backend, id, { quoteId }, "k")).body.code).toBe("quote_expired");
    backend.clocks.billing = NOON;
  });

  test("purchases are listed newest first, in pages, by status", async () => {
    const id = await open();
    for (const key of ["1", "2", "3"]) await buy(backend, id, Number(key), key);
    const first = await read(id, "/purchases?limit=2");
    expect(first.body.items.map((item: { licenses: number }) => item.licenses)).toEqual([3, 2]);
    const second = await read(id, `/purchases?limit=2&after=${first.body.next}`);
    expect(second.body.items.map((item: { licenses: number }) => item.licenses)).toEqual([1]);
    expect(second.body.next).toBeNull();
    expect((await read(id, "/purchases?status=failed")).body.items).toEqual([]);
    expect((await read(id, "/purchases?limit=101")).body.code).toBe("invalid_request");
  });

  test("purchases are listed by kind, and by inclusive dates in the billing time zone", async () => {
    const id = await open({ timeZone: "America/New_York" });
    for (const [key, at] of [
      ["1", "2026-11-22T04:59:59.999Z"],
      ["2", "2026-11-22T05:00:00Z"],
      ["3", "2026-11-23T04:59:59.999Z"],
      ["4", "2026-11-23T05:00:00Z"],
    ] as const) {
      backend.clocks.billing = Date.parse(at);
      await buy(backend, id, Number(key), key);
    }
    backend.clocks.billing = Date.parse("2027-03-01T05:00:00Z");
    await sweep(backend.deps);
    const listed = async (query: string) =>
      (await read(id, `/purchases?${query}`)).body.items.map((item: { licenses: number }) => item.licenses);
    expect(await listed("from=2026-11-22&to=2026-11-22")).toEqual([3, 2]);
    expect(await listed("from=2026-11-22&kind=purchase")).toEqual([4, 3, 2]);
    expect(await listed("to=2026-11-22")).toEqual([3, 2, 1]);
    expect(await listed("from=2027-03-01")).toEqual([35]);
    expect(await listed("kind=renewal")).toEqual([35]);
    expect(await listed("kind=renewal&status=failed")).toEqual([]);
    expect(await listed("from=2026-11-23&to=2026-11-22")).toEqual([]);
    expect(await listed("from=0100-01-01&to=9999-12-31&limit=2")).toEqual([35, 4]);
    for (const query of ["from=2026-02-29", "to=yesterday", "kind=refund", "from=2026-11-22T00:00:00Z"]) {
      expect((await read(id, `/purchases?${query}`)).body.code).toBe("invalid_request");
    }
    backend.clocks.billing = NOON;
  });

  test("below the provider's minimum, the error names the number of licenses that reaches it", async () => {
    backend.clocks.billing = Date.parse("2027-02-28T12:00:00Z");
    const subscription = { ...organization().subscription, unitPrice: { amount: 2_000, currency: "GBP" } };
    const id = await open({ subscription });
    const answer = await call(backend, "POST", `/organizations/${id}/quotes`, {
      token: tokenOf(id),
      body: { licenses: 1 },
    });
    expect(answer).toMatchObject({ status: 409, body: { code: "below_minimum_charge", fewestLicenses: 5 } });
    expect((await buy(backend, id, 5, "k")).body.total).toEqual({ amount: 32, currency: "GBP" });
    backend.clocks.billing = NOON;
  });

  test("a free purchase needs no payment and has a receipt", async () => {
    const subscription = { ...organization().subscription, unitPrice: { amount: 0, currency: "GBP" } };
    const id = await open({ subscription, paymentMethod: null });
    expect((await buy(backend, id, 2, "k")).body).toMatchObject({ status: "succeeded", receiptNumber: `${id}-000001` });
    await expectInvariants(backend, id, 25);
  });

  test.each([
    ["once", null],
    ["once, also after a crash that followed the refund", "B16"],
  ])(
    "a payment that arrives after the end of its term is refunded %s, with a receipt and a credit note",
    async (_how, point) => {
      const id = await open({ paymentMethod: "card_processing" });
      const answer = await buy(backend, id, 5, "k");
      backend.clocks.billing = Date.parse("2027-03-01T00:00:00Z");
      if (point !== null) {
        backend.crashAt(point);
        await read(id, `/purchases/${answer.body.id}?wait=1`);
        expect(backend.log.at(-1)).toContain(point);
        backend.crashAt(null);
        backend.clocks.machine += LEASE_MS;
      }
      const ended = await read(id, `/purchases/${answer.body.id}?wait=1`);
      expect(ended.body).toMatchObject({
        status: "failed",
        failure: { code: "term_ended" },
        receiptNumber: `${id}-000001`,
      });
      expect(backend.captures().find((capture) => capture.purchaseId === answer.body.id)?.refunded).toBe(24_410);
      await expectInvariants(backend, id, 25);
      backend.clocks.billing = NOON;
    },
  );

  test("a subscription that does not renew ends on its renewal date and accepts no more purchases", async () => {
    const id = await open({ subscription: { ...organization().subscription, autoRenew: false } });
    expect((await quote(id, 1)).renewsAt).toBeNull();
    backend.clocks.billing = Date.parse("2027-03-01T00:00:00Z");
    expect((await read(id, "/subscription")).body.state).toBe("ended");
    expect(
      await call(backend, "POST", `/organizations/${id}/quotes`, { token: tokenOf(id), body: { licenses: 1 } }),
    ).toMatchObject({ status: 409, body: { code: "subscription_not_purchasable" } });
    backend.clocks.billing = NOON;
  });
});

test("SQLite itself refuses to delete records", async () => {
  const backend = await startBackend("sqlite");
  const made = organization();
  await backend.addOrganization(made);
  await buy(backend, made.id, 1, "k");
  for (const table of ["ledger", "events", "receipts"] as const) {
    await expect(backend.deps.database.deleteFrom(table).execute()).rejects.toThrow(/append-only/);
  }
  await backend.close();
});
