import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SANDBOX_SELLER } from "../../../src/backend/payments/cards.ts";
import { renderPdf } from "../../../src/backend/receipts/pdf.ts";
import { DEJAVU } from "../../support/fonts.ts";
import { HAS_POPPLER, readPdf } from "../../support/poppler.ts";
import { buy, call, NOON, organization, tokenOf } from "../support/backend.ts";
import { login, type People, startWithPeople } from "../support/people.ts";
import { DIALECTS, openOldStore } from "../support/stores.ts";

const DETAILS = {
  name: "Northwind Ltd",
  address: ["1 High Street", "London N1 1AA"],
  country: "GB",
  vatNumber: "GB999999973",
  email: "ap@northwind.example",
};

describe.each(DIALECTS)("billing details on %s", (dialect) => {
  let backend: People;
  let session: string;

  beforeAll(async () => {
    backend = await startWithPeople(dialect);
    session = (await login(backend, backend.plain)).body.accessToken;
  });
  afterAll(() => backend?.close());

  const path = (more: string, id = backend.organizationId) => `/organizations/${id}${more}`;
  const get = async (more: string) =>
    (await call(backend, "GET", path(more), { token: tokenOf(backend.organizationId) })).body;
  const set = (body: unknown, token = session) => call(backend, "PUT", path("/billing-details"), { token, body });
  const lastEvent = async () => {
    const rows = backend.deps.database.selectFrom("events").selectAll();
    const events = await rows.where("organization_id", "=", backend.organizationId).orderBy("number").execute();
    const { type, actor, data_json } = events.at(-1) ?? {};
    return { type, actor, data: JSON.parse(data_json ?? "null") };
  };

  test("are the organization's name until they are set, and freeze on each receipt", async () => {
    const name = `Organization ${backend.organizationId}`;
    const before = { name, address: [], country: null, vatNumber: null, email: null };
    expect(await get("/billing-details")).toEqual(before);
    const first = (await buy(backend, backend.organizationId, 1, "first")).body;
    expect(await set({ ...DETAILS, vatNumber: "gb 999 9999 73" })).toMatchObject({ status: 200, body: DETAILS });
    expect(await lastEvent()).toEqual({
      type: "organization.billing_details_set",
      actor: backend.plain,
      data: DETAILS,
    });
    const second = (await buy(backend, backend.organizationId, 1, "second")).body;
    await set({ name: "Someone Else" });
    expect(await get("/billing-details")).toEqual({ ...DETAILS, name: "Someone Else" });
    const renamed = (to: string) =>
      backend.deps.database
        .updateTable("organizations")
        .set({ name: to })
        .where("id", "=", backend.organizationId)
        .execute();
    await renamed("Another name");
    const organization = { id: backend.organizationId, name };
    expect(await get(`/purchases/${first.id}/receipt`)).toMatchObject({
      organization,
      buyer: before,
      seller: SANDBOX_SELLER,
    });
    await renamed(name);
    expect(await get(`/purchases/${second.id}/receipt`)).toMatchObject({ buyer: DETAILS, seller: SANDBOX_SELLER });
    await set(DETAILS);
  });

  test("only what is passed changes, and null clears it", async () => {
    await set(DETAILS);
    expect((await set({ email: null, address: [] })).body).toEqual({ ...DETAILS, email: null, address: [] });
    expect(await lastEvent()).toMatchObject({ data: { email: null, address: [] } });
    expect((await set({ name: null })).body.name).toBe(`Organization ${backend.organizationId}`);
    await set({ name: "Northwind Ltd" });
    const event = await lastEvent();
    expect((await set({ name: "Northwind Ltd" })).status).toBe(200);
    expect((await set({})).status).toBe(200);
    expect(await lastEvent()).toEqual(event);
  });

  test("are each other's, when several administrators change them at once", async () => {
    await Promise.all([set({ name: "At once" }), set({ email: "both@northwind.example" }), set({ address: ["Both"] })]);
    expect(await get("/billing-details")).toMatchObject({
      name: "At once",
      email: "both@northwind.example",
      address: ["Both"],
    });
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["a country that is none", { country: "UK" }, "country"],
    ["a VAT number of no form", { country: "GB", vatNumber: "12" }, "vatNumber"],
    ["a country whose VAT numbers have another form", { country: "DE", vatNumber: "T1234567890123" }, "vatNumber"],
    ["an address that is no text", { address: "1" }, "address"],
    ["a line with a control character", { address: ["1\u001b[2J"] }, "address[0]"],
    ["a name with a line end inside", { name: "a\nb" }, "name"],
    ["a name of 201 characters", { name: "x".repeat(201) }, "name"],
    ["no email address", { email: "none" }, "email"],
    ["an unknown field", { vat: "GB999999973" }, "vat"],
  ])("%s is refused, and nothing changes", async (_, body, field) => {
    await set({ ...DETAILS, vatNumber: null });
    const event = await lastEvent();
    expect(await set(body)).toMatchObject({
      status: 400,
      body: { code: "invalid_request", errors: [{ path: field }] },
    });
    expect(await lastEvent()).toEqual(event);
  });

  test("an API token reads them and does not set them", async () => {
    const token = tokenOf(backend.organizationId);
    expect(await set({ name: "Token" }, token)).toMatchObject({ status: 403, body: { code: "forbidden" } });
    expect((await call(backend, "GET", path("/billing-details"), { token })).status).toBe(200);
  });

  test("a refund's credit note has what was valid then, and the receipt stays the same bytes", async () => {
    await set(DETAILS);
    const made = organization({ subscription: { ...organization().subscription, autoRenew: false } });
    await backend.addOrganization({ ...made, paymentMethod: "card_processing" });
    const read = async (more: string) =>
      (await call(backend, "GET", path(more, made.id), { token: tokenOf(made.id) })).body;
    const { body: bought } = await buy(backend, made.id, 5, "late", { purchaseOrder: "PO-1" });
    expect(await read(`/purchases/${bought.id}/credit-note`)).toMatchObject({ code: "not_found" });
    backend.clocks.billing = Date.parse("2027-03-01T09:00:00Z");
    await read(`/purchases/${bought.id}?wait=1`);
    const [receipt, note] = [
      await read(`/purchases/${bought.id}/receipt`),
      await read(`/purchases/${bought.id}/credit-note`),
    ];
    backend.clocks.billing = NOON;
    expect(note).toMatchObject({
      creditNoteNumber: `CN-${made.id}-000001`,
      receiptNumber: `${made.id}-000001`,
      receiptIssuedAt: receipt.issuedAt,
      total: receipt.total,
      seller: SANDBOX_SELLER,
      buyer: { name: made.name },
      purchaseOrder: "PO-1",
    });
    const fonts = { base: readFileSync(DEJAVU), read: () => null };
    const one = await renderPdf(receipt, "Europe/London", fonts);
    const unrefunded = await renderPdf({ ...receipt, refund: null, status: "processing" }, "Europe/London", fonts);
    expect(one.equals(unrefunded)).toBe(true);
    if (!HAS_POPPLER) return;
    const { text, pages } = await readPdf(await renderPdf(note, "Europe/London", fonts));
    const said = [`Credit note CN-${made.id}-000001`, "REFUNDED", `${made.id}-000001 of 2027-03-01`, "Total refunded"];
    expect([pages, said.filter((part) => !text.includes(part))]).toEqual([1, []]);
  });
});

test("receipts of older sandboxes have neither seller nor buyer", async () => {
  const { database, migrate, close } = await openOldStore("0011_webhooks");
  await database.insertInto("organizations").values({ id: 1, name: "Old", time_zone: "UTC" }).execute();
  await migrate();
  await migrate();
  const { billing_json } = await database.selectFrom("organizations").select("billing_json").executeTakeFirstOrThrow();
  expect(billing_json).toBeNull();
  expect(await database.selectFrom("receipts").select(["seller_json", "buyer_json"]).execute()).toEqual([]);
  await close();
});
