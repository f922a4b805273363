import { afterAll, beforeAll, expect, test } from "vitest";
import { BASE_PATH } from "../../../src/contract/constants.ts";
import { buy, call, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";

let backend: TestBackend;

const made = organization({ usedLicenses: 24 });

const token = tokenOf(made.id);

const quotes = `/organizations/${made.id}/quotes`;

beforeAll(async () => {
  backend = await startBackend();
  await backend.addOrganization(made);
});

afterAll(() => backend.close());

test.each([
  ["an unknown field", { licenses: 1, more: true }, "more"],
  ["no body", undefined, ""],
  ["zero licenses", { licenses: 0 }, "licenses"],
  ["a negative number", { licenses: -1 }, "licenses"],
  ["a fraction", { licenses: 1.5 }, "licenses"],
  ["a string", { licenses: "5" }, "licenses"],
  ["too large a number", '{"licenses": 1e999}', "licenses"],
  ["a duplicate name", '{"licenses": 1, "licenses": 2}', ""],
  ["a duplicate name, escaped", '{"licenses": 1, "l\\u0069censes": 2}', ""],
  ["__proto__", '{"licenses": 1, "__proto__": {"x": 1}}', ""],
  ["an array", "[1]", ""],
  ["invalid JSON", "{licenses: 1}", ""],
  ["a body over 64 KB", JSON.stringify({ licenses: 1, more: "x".repeat(70_000) }), null],
])("a quote with %s is invalid_request", async (_name, body, path) => {
  const answer = await call(backend, "POST", quotes, { token, body });
  expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request", status: 400 } });
  expect(answer.headers["content-type"]).toContain("application/problem+json");
  expect(answer.body.requestId).toBe(answer.headers["x-request-id"]);
  if (path !== null) expect(answer.body.errors[0].path).toBe(path);
});

test.each(["text/plain", "application/x-www-form-urlencoded"])("a body of type %s is invalid_request", async (type) => {
  const answer = await call(backend, "POST", quotes, {
    token,
    body: "licenses=1",
    headers: { "content-type": type },
  });
  expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request" } });
});

test("a quote for more licenses than one purchase allows is rejected", async () => {
  const answer = await call(backend, "POST", quotes, { token, body: { licenses: 10_001 } });
  expect(answer).toMatchObject({ status: 409, body: { code: "license_limit" } });
});

test("an unknown operation and an invalid number in a path are rejected", async () => {
  expect(await call(backend, "GET", "/nothing", { token })).toMatchObject({ status: 404, body: { code: "not_found" } });
  expect(await call(backend, "GET", "/organizations/x/subscription", { token })).toMatchObject({
    status: 400,
    body: { code: "invalid_request", errors: [{ path: "organizationId" }] },
  });
});

test.each([
  "/purchases?after=Infinity",
  "/purchases?after=1.5",
  "/purchases?after=abc",
  "/purchases/%00",
  "/purchases/%",
  "/events?after=99999999999",
  "/users/-1",
  `/purchases/by-key/${"k".repeat(800)}`,
])("%s is invalid_request, worded as in the contract", async (path) => {
  const answer = await call(backend, "GET", `/organizations/${made.id}${path}`, { token });
  expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request" } });
  expect(answer.headers["content-type"]).toContain("application/problem+json");
  expect(answer.headers["x-request-id"]).toBe(answer.body.requestId);
});

test("an internal error answers 500 without its cause, which is logged", async () => {
  const { database } = backend.deps;
  await database.schema.alterTable("purchases").renameTo("hidden").execute();
  const answer = await call(backend, "GET", `/organizations/${made.id}/purchases`, { token });
  await database.schema.alterTable("hidden").renameTo("purchases").execute();
  expect(answer).toMatchObject({ status: 500, body: { code: "internal" } });
  expect(answer.body.detail).not.toContain("purchases");
  expect(backend.log.join("\n")).toContain(answer.body.requestId);
});

test("health, readiness and the OpenAPI document are served at the root", async () => {
  expect((await call(backend, "GET", "/healthz", { atRoot: true })).body).toEqual({ status: "ok" });
  expect((await call(backend, "GET", "/readyz", { atRoot: true })).body).toEqual({ status: "ready" });
  expect((await call(backend, "GET", "/openapi.json", { atRoot: true })).body.paths).toHaveProperty([
    `${BASE_PATH}/me`,
  ]);
});

test("users are listed in pages of up to 20 until an empty one; adding takes a license until none is left", async () => {
  const page = async (number: number) =>
    (await call(backend, "GET", `/organizations/${made.id}/users/${number}`, { token })).body;
  expect([(await page(0)).length, (await page(1)).length, (await page(2)).length]).toEqual([20, 5, 0]);
  expect(Object.keys((await page(0))[0])).toEqual(
    expect.arrayContaining([
      "idUser",
      "email",
      "role",
      "status",
      "adminNoTraining",
      "defaultOrganization",
      "uuid",
      "stripeCustomerId",
    ]),
  );
  const add = (name: string, more: object = {}) =>
    call(backend, "POST", `/organizations/${made.id}/users`, {
      token,
      body: { email: `${name}@example.test`, firstName: name, lastName: "Test", ...more },
    });
  const added = await Promise.all(["a", "b", "c"].map((name) => add(name)));
  expect(added.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
  expect(added.find(({ status }) => status === 409)?.body.code).toBe("no_license_available");
  expect((await add("trainer", { role: 4, adminNoTraining: true })).status).toBe(201);
  await buy(backend, made.id, 2, "more");
  const names = ["d", "e", "f"];
  const more = await Promise.all(names.map((name) => add(name)));
  expect(more.map(({ status }) => status).sort()).toEqual([201, 201, 409]);
  const subscription = await call(backend, "GET", `/organizations/${made.id}/subscription`, { token });
  expect(subscription.body.licenses).toEqual({ purchased: 27, used: 27, available: 0 });
  const there = names[more.findIndex(({ status }) => status === 201)] ?? "";
  expect((await add(there)).body.code).toBe("invalid_request");
});

test("the audit log lists events in pages, oldest first", async () => {
  const first = await call(backend, "GET", `/organizations/${made.id}/events?limit=2`, { token });
  const rest = await call(backend, "GET", `/organizations/${made.id}/events?limit=100&after=${first.body.next}`, {
    token,
  });
  const types = [...first.body.items, ...rest.body.items].map((event: { type: string }) => event.type);
  expect(types).toEqual([
    "user.added",
    "user.added",
    "purchase.accepted",
    "purchase.succeeded",
    "user.added",
    "user.added",
  ]);
});
