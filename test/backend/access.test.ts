import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hashToken } from "../../src/backend/auth/secrets.ts";
import { type Operation, operations } from "../../src/contract/operations.ts";
import { buy, call, organization, startBackend, type TestBackend, tokenOf } from "./support/backend.ts";

let backend: TestBackend;
const own = organization();
const other = organization();
const OWN = own.id;

/** A request to every call that needs a token, with an organization in its path. */
const calls = Object.entries<Operation>(operations)
  .filter(([, operation]) => operation.access !== "public")
  .map(([id, operation]) => ({ id, operation, inOrganization: operation.path.includes("{organizationId}") }));

function request(operation: Operation, organizationId: number, token: string | null) {
  const path = operation.path
    .replace("{organizationId}", String(organizationId))
    .replace("{page}", "0")
    .replace(/\{\w+\}/g, "unknown");
  const bodies: Record<string, unknown> = {
    "/organizations/{organizationId}/quotes": { licenses: 1 },
    "/organizations/{organizationId}/purchases": { quoteId: "unknown" },
    "/organizations/{organizationId}/users": { email: "new@example.test", firstName: "New", lastName: "User" },
  };
  const body = operation.method === "POST" ? bodies[operation.path] : undefined;
  return call(backend, operation.method, path, { token, body, headers: { "idempotency-key": "access" } });
}

beforeAll(async () => {
  backend = await startBackend();
  const [admin] = own.users;
  if (!admin) throw new TypeError("the organization has an administrator");
  for (const role of [1, 3, 4, 7, -1]) {
    const email = `role${role}@example.test`;
    own.users.push({ ...admin, email, role, adminNoTraining: true });
    own.tokens?.push({
      name: `role ${role}`,
      token: `sfl_role_${role}`,
      scopes: ["billing:read", "billing:purchase", "users:read", "users:write"],
      userEmail: email,
      spendLimit: null,
    });
  }
  own.tokens?.push({ name: "nothing", token: "sfl_no_scope", scopes: [], userEmail: admin.email, spendLimit: null });
  own.tokens?.push({
    name: "old",
    token: "sfl_expired",
    scopes: ["billing:read"],
    userEmail: admin.email,
    spendLimit: null,
  });
  await backend.addOrganization(own);
  await backend.addOrganization(other);
  await backend.deps.database
    .updateTable("api_tokens")
    .set({ expires_at: backend.clocks.machine })
    .where("token_hash", "=", hashToken("sfl_expired"))
    .execute();
});
afterAll(() => backend.close());

describe.each(calls)("$id", ({ operation }) => {
  test.each([
    ["no token", null],
    ["an unknown token", "sfl_unknown"],
    ["an expired token", "sfl_expired"],
    ["a token that is not one", "two words"],
  ])("with %s is 401", async (_name, token) => {
    expect(await request(operation, OWN, token)).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
  });

  test("with the right token, role 0 or above, is let in", async () => {
    const statuses = [
      (await request(operation, OWN, tokenOf(OWN))).status,
      (await request(operation, OWN, "sfl_role_-1")).status,
    ];
    for (const status of statuses) expect([200, 201, 204, 400, 404]).toContain(status);
  });
});

describe.each(calls.filter(({ inOrganization }) => inOrganization))("$id of an organization", ({ operation }) => {
  test("with another organization's number is 404, whether it exists or not", async () => {
    const there = await request(operation, other.id, tokenOf(OWN));
    const nowhere = await request(operation, 999_999, tokenOf(OWN));
    expect(there).toMatchObject({ status: 404, body: { code: "not_found" } });
    expect(nowhere.body.detail.replace("999999", "N")).toBe(there.body.detail.replace(String(other.id), "N"));
  });

  test.each([1, 3, 4, 7])("with role %i is 403 and names the role needed", async (role) => {
    const answer = await request(operation, OWN, `sfl_role_${role}`);
    expect(answer).toMatchObject({ status: 403, body: { code: "forbidden" } });
    expect(answer.body.detail).toContain("organization administrator");
  });

  test("with a token without the scope is 403 and names the scope", async () => {
    const answer = await request(operation, OWN, "sfl_no_scope");
    expect(answer).toMatchObject({ status: 403, body: { code: "insufficient_scope" } });
    expect(answer.body.detail).toContain(operation.access);
  });
});

test("/me tells who a token belongs to, and only its own organization", async () => {
  const { body } = await call(backend, "GET", "/me", { token: tokenOf(OWN) });
  expect(body).toEqual({
    user: { email: own.users[0]?.email, role: 0, roleName: "organization administrator" },
    organizations: [{ id: OWN, name: own.name, role: 0 }],
    token: {
      name: "ci",
      scopes: ["billing:read", "billing:purchase", "users:read", "users:write"],
      expiresAt: null,
      last4: tokenOf(OWN).slice(-4),
      spendLimit: null,
    },
  });
});

test("what another organization has is not found by its id either", async () => {
  const bought = await buy(backend, other.id, 1, "theirs");
  const { id, quoteId } = bought.body;
  for (const path of [`purchases/${id}`, `purchases/${id}/receipt`, `quotes/${quoteId}`, "purchases/by-key/theirs"]) {
    expect(
      (await call(backend, "GET", `/organizations/${other.id}/${path}`, { token: tokenOf(other.id) })).status,
    ).toBe(200);
    expect((await call(backend, "GET", `/organizations/${OWN}/${path}`, { token: tokenOf(OWN) })).status).toBe(404);
  }
});

test("a token reaches its own organization only, whatever else its person may see", async () => {
  const email = own.users[0]?.email ?? "";
  const both = organization({ users: [{ ...(own.users[0] as (typeof own.users)[number]), email }] });
  for (const token of both.tokens ?? []) token.userEmail = email;
  await backend.addOrganization(both);
  const subscription = (id: number, token: string) =>
    call(backend, "GET", `/organizations/${id}/subscription`, { token });
  expect((await subscription(both.id, tokenOf(both.id))).status).toBe(200);
  expect((await subscription(both.id, tokenOf(OWN))).status).toBe(404);
  expect((await subscription(OWN, tokenOf(both.id))).status).toBe(404);
});

test("nobody makes a user more powerful than they are", async () => {
  const body = { email: "boss@example.test", firstName: "Big", lastName: "Boss", role: -1, adminNoTraining: true };
  const answer = await call(backend, "POST", `/organizations/${OWN}/users`, { token: tokenOf(OWN), body });
  expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request", errors: [{ path: "role" }] } });
});
