import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hashToken } from "../../../src/backend/identity/secrets.ts";
import { endSession, startSession } from "../../../src/backend/identity/sessions.ts";
import { SCOPES } from "../../../src/contract/constants.ts";
import { type OperationId, operations } from "../../../src/contract/operations/index.ts";
import type { Operation } from "../../../src/contract/operations/operation.ts";
import { buy, call, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";
import { idOf, SECRET } from "../support/people.ts";

type ProtectedId = {
  [Id in OperationId]: (typeof operations)[Id]["access"] extends "public" ? never : Id;
}[OperationId];

/** A valid request for each operation; a new operation does not compile without one. */
const CASES: Record<ProtectedId, { body?: unknown }> = {
  me: {},
  acceptInvitation: {},
  stepUp: { body: { code: "123456" } },
  getSubscription: {},
  getPaymentMethod: {},
  reduceLicenses: { body: { licenses: 23 } },
  cancelReduction: {},
  createQuote: { body: { licenses: 1 } },
  getQuote: {},
  createPurchase: { body: { quoteId: "unknown" } },
  listPurchases: {},
  getPurchase: {},
  getPurchaseByKey: {},
  voidKey: {},
  payPurchase: {},
  cancelPurchase: {},
  approvePurchase: { body: { digest: "0".repeat(64) } },
  rejectPurchase: { body: { reason: "too many" } },
  getReceipt: {},
  getCreditNote: {},
  getBillingDetails: {},
  setBillingDetails: { body: { name: "Northwind Ltd" } },
  listUsers: {},
  importUsers: { body: { users: [{ email: "new2@example.test", firstName: "New", lastName: "User" }] } },
  removeUser: {},
  updateUser: { body: { role: 3 } },
  syncUsers: { body: { users: [{ email: "new3@example.test", firstName: "New", lastName: "User" }], remove: false } },
  getAssignmentStrategy: {},
  setAssignmentStrategy: { body: { assignmentStrategy: "NONE" } },
  addUser: { body: { email: "new@example.test", firstName: "New", lastName: "User" } },
  listTokens: {},
  createToken: { body: { name: "new", scopes: ["billing:read"] } },
  revokeApiToken: {},
  listTrusts: {},
  addTrust: {
    body: { name: "new", issuer: "https://issuer.example", claims: { sub: "new" }, scopes: ["billing:read"] },
  },
  removeTrust: {},
  listEvents: {},
  exportEvents: {},
  listCheckpoints: {},
  getReport: {},
  getPolicy: {},
  setPolicy: { body: { budget: null } },
  approvePolicyChange: { body: { id: "unknown" } },
  rejectPolicyChange: { body: { id: "unknown" } },
};

const FOR_ENROLLED: readonly string[] =
  "setPolicy approvePolicyChange rejectPolicyChange approvePurchase rejectPurchase".split(" ");

const PUBLIC =
  "advanceClock deviceAuthorization getEventKeys getSandbox health login mfa openapi ready revokeToken token".split(
    " ",
  );

const ALL: readonly [string, Operation][] = Object.entries(operations);

const calls = ALL.filter(([, { access }]) => access !== "public").map(([id, operation]) => ({
  id,
  operation,
  body: CASES[id as ProtectedId].body,
}));

type Case = (typeof calls)[number];

const inOrganization = calls.filter(({ operation }) => operation.path.startsWith("/organizations/{organizationId}"));

const scoped = inOrganization.filter(({ operation }) => operation.access !== "administrator");

const managing = inOrganization.filter(({ operation }) => operation.access === "administrator");

let backend: TestBackend;

const own = organization();

const other = organization();

const OWN = own.id;

const ADMIN = own.users[0]?.email ?? "";

/** Bearer tokens, by what they are. */
const tokens: Record<string, string> = {};

function request({ operation, body }: Case, organizationId: number, token: string | null | undefined) {
  const path = operation.path
    .replace("{organizationId}", String(organizationId))
    .replace("{number}", "0")
    .replace(/\{\w+\}/g, "unknown");
  return call(backend, operation.method, path, {
    token: token ?? null,
    ...(body !== undefined && { body }),
    headers: { "idempotency-key": "access" },
  });
}

/** An API token with every scope but one. */
const without = (scope: string) => `sfl_without_${scope}`;

function addPeople(): void {
  for (const admin of own.users.slice(0, 1)) {
    own.users.push({ ...admin, email: "codes@example.test", totpSecret: SECRET });
    for (const role of [1, 3, 4, 7, -1]) {
      const email = `role${role}@example.test`;
      own.users.push({ ...admin, email, role });
      own.tokens?.push(apiToken(`sfl_role_${role}`, SCOPES, email));
    }
  }
  for (const scope of SCOPES) {
    own.tokens?.push(
      apiToken(
        without(scope),
        SCOPES.filter((one) => one !== scope),
      ),
    );
  }
  for (const name of ["sfl_expired", "sfl_revoked"]) own.tokens?.push(apiToken(name, SCOPES));
}

function apiToken(token: string, scopes: readonly (typeof SCOPES)[number][], userEmail = ADMIN) {
  return { name: token, token, scopes: [...scopes], userEmail, spendLimit: null };
}

async function sessionOf(email: string, mfaAt: number | null = null): Promise<string> {
  return (await startSession(backend.deps, await idOf(backend, email), mfaAt)).accessToken;
}

beforeAll(async () => {
  backend = await startBackend();
  addPeople();
  await backend.addOrganization(own);
  await backend.addOrganization(other);
  const change = (token: string, to: { expires_at: number } | { revoked_at: number }) =>
    backend.deps.database
      .updateTable("api_tokens")
      .set(to)
      .where("id", "=", (where) =>
        where.selectFrom("token_index").select("token_id").where("token_hash", "=", hashToken(token)),
      )
      .execute();
  await change("sfl_expired", { expires_at: backend.clocks.machine });
  await change("sfl_revoked", { revoked_at: backend.clocks.machine });
  tokens["an expired session"] = await sessionOf(ADMIN);
  backend.clocks.machine += 15 * 60_000;
  tokens["a revoked session"] = await sessionOf(ADMIN);
  await endSession(backend.deps, tokens["a revoked session"]);
  tokens.session = await sessionOf(ADMIN);
  tokens["stale session"] = await sessionOf("codes@example.test", backend.clocks.machine - 15 * 60_000 - 1);
  tokens["fresh session"] = await sessionOf("codes@example.test", backend.clocks.machine - 15 * 60_000);
  for (const role of [1, 3, 4, 7, -1]) tokens[`session ${role}`] = await sessionOf(`role${role}@example.test`);
});

afterAll(() => backend.close());

test("every operation is tested here, except the public ones", () => {
  expect(Object.keys(CASES).sort()).toEqual(calls.map(({ id }) => id).sort());
  expect(
    ALL.filter(([, { access }]) => access === "public")
      .map(([id]) => id)
      .sort(),
  ).toEqual(PUBLIC);
});

describe.each(calls)("$id", (one) => {
  test.each([
    ["no token", null],
    ["an unknown token", "sfl_unknown"],
    ["an expired token", "sfl_expired"],
    ["a revoked token", "sfl_revoked"],
    ["a malformed token", "two words"],
    ["an expired session", undefined],
    ["a revoked session", undefined],
  ])("answers 401 with %s", async (name, token) => {
    const answer = await request(one, OWN, token === undefined ? tokens[name] : token);
    expect(answer).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
  });

  test("is allowed for role 0 and above with a session, or with a token where tokens are allowed", async () => {
    const isForPeople = one.operation.access === "administrator" || ["stepUp", "acceptInvitation"].includes(one.id);
    const people = FOR_ENROLLED.includes(one.id) ? ["fresh session"] : ["session", "session -1"];
    const bearers = [...people.map((name) => tokens[name]), ...(isForPeople ? [] : [tokenOf(OWN), "sfl_role_-1"])];
    for (const bearer of bearers) {
      const { status } = await request(one, OWN, bearer);
      expect([200, 201, 202, 204, 400, 404]).toContain(status);
    }
  });

  test("requires that the person has one-time codes only where somebody controls another", async () => {
    const { body } = await request(one, OWN, tokens.session);
    expect(body?.code === "mfa_not_enrolled").toBe(FOR_ENROLLED.includes(one.id));
  });

  test("requires a recent one-time code only where money is spent", async () => {
    const stale = await request(one, OWN, tokens["stale session"]);
    const fresh = await request(one, OWN, tokens["fresh session"]);
    const guarded = [..."createPurchase payPurchase reduceLicenses createToken addTrust".split(" "), ...FOR_ENROLLED];
    expect(stale.body?.code === "mfa_required").toBe(guarded.includes(one.id));
    expect(fresh.body?.code).not.toBe("mfa_required");
  });
});

describe.each(calls.filter(({ operation }) => operation.freshCode === "enrolled"))("$id", (one) => {
  test("is refused without an authenticator app", async () => {
    const answer = await request(one, OWN, tokens.session);
    expect(answer).toMatchObject({ status: 403, body: { code: "mfa_not_enrolled" } });
  });
});

describe.each(inOrganization)("$id of an organization", (one) => {
  test("answers 404 with another organization's number, whether it exists or not", async () => {
    for (const bearer of [tokenOf(OWN), tokens.session, tokens["session -1"]]) {
      const there = await request(one, other.id, bearer);
      const nowhere = await request(one, 999_999, bearer);
      expect(there).toMatchObject({ status: 404, body: { code: "not_found" } });
      expect(nowhere.body.detail.replace("999999", "N")).toBe(there.body.detail.replace(String(other.id), "N"));
    }
  });

  test.each([
    [1, "reviewer"],
    [3, "team manager"],
    [4, "statistics"],
    [7, "user"],
  ])("answers 403 with role %i, and names the required and the actual role", async (role, name) => {
    for (const bearer of [`sfl_role_${role}`, tokens[`session ${role}`]]) {
      const answer = await request(one, OWN, bearer);
      expect(answer).toMatchObject({ status: 403, body: { code: "forbidden" } });
      expect(answer.body.detail).toBe(
        `The role organization administrator is required; role${role}@example.test is ${name} of ${own.name}`,
      );
    }
  });
});

test.each(scoped)("$id with a token without the scope answers 403 and names the scope", async (one) => {
  const answer = await request(one, OWN, without(one.operation.access));
  expect(answer).toMatchObject({ status: 403, body: { code: "insufficient_scope" } });
  expect(answer.body.detail).toContain(one.operation.access);
});

test.each(managing)("$id with an API token answers 403, whatever its scopes", async (one) => {
  for (const bearer of [tokenOf(OWN), "sfl_role_-1"]) {
    expect(await request(one, OWN, bearer)).toMatchObject({ status: 403, body: { code: "forbidden" } });
  }
});

test("/me shows the token's user, and only the token's organization", async () => {
  const { body } = await call(backend, "GET", "/me", { token: tokenOf(OWN) });
  expect(body).toEqual({
    user: { email: ADMIN, role: 0, roleName: "organization administrator" },
    organizations: [{ id: OWN, name: own.name, role: 0 }],
    livemode: false,
    mode: "sandbox",
    invitations: [],
    token: {
      name: "ci",
      scopes: ["billing:read", "billing:purchase", "users:read", "users:write"],
      expiresAt: null,
      expiresIn: null,
      last4: tokenOf(OWN).slice(-4),
      spendLimit: null,
    },
  });
  const session = await call(backend, "GET", "/me", { token: tokens.session ?? "" });
  expect(session.body.token).toMatchObject({ name: null, expiresIn: 900, spendLimit: null });
});

test("resources of another organization are not found by ID either", async () => {
  const { id, quoteId } = (await buy(backend, other.id, 1, "theirs")).body;
  const paths = [`purchases/${id}`, `purchases/${id}/receipt`, `quotes/${quoteId}`, "purchases/by-key/theirs"];
  for (const path of paths) {
    const there = await call(backend, "GET", `/organizations/${other.id}/${path}`, { token: tokenOf(other.id) });
    expect(there.status).toBe(200);
    const here = await call(backend, "GET", `/organizations/${OWN}/${path}`, { token: tokenOf(OWN) });
    expect(here.status).toBe(404);
  }
  for (const path of [`purchases/${id}/payment`, `purchases/${id}/cancel`]) {
    const here = await call(backend, "POST", `/organizations/${OWN}/${path}`, { token: tokenOf(OWN) });
    expect(here).toMatchObject({ status: 404, body: { code: "not_found" } });
  }
});

test("a token reaches only its own organization, whatever else its user may access", async () => {
  const both = organization({ users: own.users.filter(({ email }) => email === ADMIN) });
  for (const token of both.tokens ?? []) token.userEmail = ADMIN;
  await backend.addOrganization(both);
  const subscription = (id: number, token: string) =>
    call(backend, "GET", `/organizations/${id}/subscription`, { token });
  expect((await subscription(both.id, tokenOf(both.id))).status).toBe(200);
  expect((await subscription(both.id, tokenOf(OWN))).status).toBe(404);
  expect((await subscription(OWN, tokenOf(both.id))).status).toBe(404);
  expect((await subscription(both.id, tokens.session ?? "")).status).toBe(200);
});

test("nobody can create a user with more permissions than their own", async () => {
  const body = { email: "boss@example.test", firstName: "Big", lastName: "Boss", role: -1, adminNoTraining: true };
  const answer = await call(backend, "POST", `/organizations/${OWN}/users`, { token: tokens.session ?? "", body });
  expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request", errors: [{ path: "role" }] } });
});
