import { describe, expect, test } from "vitest";
import type { AddUserAnswer } from "../../src/contract/users.ts";
import { hangUp, html, problem, refusedUrl, startBackend, testClient } from "./backend.ts";

const base = "/rest/management/v2/organizations/4201/users";

/** A user as SecureFlag's own backend may show one (src/contract/README.md, Users). */
const theirs = {
  idUser: 52_101,
  email: "ada@northwind.example",
  username: "ada",
  firstName: "Ada",
  lastName: null,
  role: 2,
  status: "SUSPENDED",
  adminNoTraining: null,
  emailVerified: true,
  joinedDateTime: "Nov 22, 2024, 4:05:06 PM",
  lastLogin: 1_732_291_506_000,
  licenseStart: "2024-11-22T16:05:06.000+0000",
  licenseEnd: 1_763_827_506_000,
  defaultOrganization: { id: 4201, name: "Northwind Labs", status: "ACTIVE" },
  team: { idTeam: 7 },
  country: { short: "GB" },
  stripeCustomerId: "cus_1",
  stripeSubscriptionAutorenewal: true,
};

const asRead = {
  lastLogin: 1_732_291_506_000 as number | null,
  idUser: 52_101,
  email: "ada@northwind.example",
  username: "ada",
  firstName: "Ada",
  lastName: null,
  role: 2,
  status: "SUSPENDED",
  adminNoTraining: null,
  joinedDateTime: "Nov 22, 2024, 4:05:06 PM",
  licenseStart: "2024-11-22T16:05:06.000+0000",
  licenseEnd: 1_763_827_506_000,
  defaultOrganization: { id: 4201, name: "Northwind Labs" },
  team: { idTeam: 7, name: null },
  stripeCustomerId: "cus_1",
  stripeSubscriptionId: null,
  stripeSubscriptionAutorenewal: true,
  uuid: null,
};

/** Fields that are kept as they come. */
const { emailVerified, country } = theirs;
const kept = { emailVerified, country };

const nothingKnown = Object.fromEntries(Object.keys(asRead).map((name) => [name, name === "idUser" ? 9 : null]));

describe("a page of users", () => {
  test.each([
    ["from SecureFlag, with its own fields", [theirs], [{ ...asRead, ...kept }]],
    ["with only a number", [{ idUser: 9 }], [nothingKnown]],
    ["all null", [{ ...nothingKnown }], [nothingKnown]],
    [
      "with values of other types",
      [{ idUser: 9, email: 5, role: "0", status: {}, adminNoTraining: "no", team: "red", defaultOrganization: [] }],
      [nothingKnown],
    ],
    ["empty", [], []],
    ["short", [{ idUser: 9 }, theirs], [nothingKnown, { ...asRead, ...kept }]],
  ])("%s", async (_, page, read) => {
    await using backend = await startBackend({ status: 200, json: page });
    expect(await testClient(backend.apiUrl).client.usersPage(4201, 3)).toEqual(read);
    expect(backend.seen.map(({ method, url }) => [method, url])).toEqual([["GET", `${base}/3`]]);
  });

  test.each([
    ["without a number", [{ ...theirs, idUser: undefined }]],
    ["with an invalid number", [{ ...theirs, idUser: "52101" }]],
    ["that is not a page", { users: [theirs] }],
    ["of strings", ["ada@northwind.example"]],
  ])("%s is unexpected", async (_, page) => {
    await using backend = await startBackend({ status: 200, json: page });
    const read = testClient(backend.apiUrl).client.usersPage(4201, 0);
    await expect(read).rejects.toMatchObject({ code: "unexpected_answer" });
  });

  test("is not affected by __proto__ in a response", async () => {
    const text = '[{"idUser":9,"__proto__":{"email":"evil@example.test"},"team":{"__proto__":{"name":"evil"}}}]';
    await using backend = await startBackend((response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(text);
    });
    const page = await testClient(backend.apiUrl).client.usersPage(4201, 0);
    expect(page).toEqual([{ ...nothingKnown, team: { idTeam: null, name: null } }]);
  });
});

const user = { email: "new@northwind.example", firstName: "New", lastName: "User" };
const organizationLicenses = { purchased: 25, used: 23, available: 2 };
const added: AddUserAnswer = {
  user: {
    ...user,
    idUser: 10,
    username: user.email,
    role: 7,
    status: "INVITED",
    adminNoTraining: false,
    joinedDateTime: null,
    licenseStart: null,
    licenseEnd: null,
    defaultOrganization: { id: 4201, name: "Northwind Labs" },
    team: null,
    stripeCustomerId: null,
    stripeSubscriptionId: null,
    stripeSubscriptionAutorenewal: false,
    uuid: "00000000-0000-4000-8000-000000000000",
    lastLogin: null,
    addedDateTime: null,
  },
  organizationLicenses,
  pending: null,
};

type Calls = ReturnType<typeof testClient>["client"];
const add = (client: Calls) => client.addUser(4201, user);
const bring = (client: Calls) => client.importUsers(4201, [user]);
const remove = (client: Calls) => client.removeUser(4201, 10);
const gone = problem(404, "not_found");

test("adding, importing and removing have their method, path and body", async () => {
  await using backend = await startBackend(
    { status: 201, json: added },
    { status: 200, json: { existing: [0], organizationLicenses } },
    { status: 200, json: { organizationLicenses } },
  );
  const { client } = testClient(backend.apiUrl);
  expect(await add(client)).toEqual(added);
  expect(await bring(client)).toEqual({ existing: [0], organizationLicenses });
  expect(await remove(client)).toEqual({ organizationLicenses, pending: null });
  expect(backend.seen.map(({ method, url, body }) => [method, url, body])).toEqual([
    ["POST", base, JSON.stringify(user)],
    ["POST", `${base}/import`, JSON.stringify({ users: [user] })],
    ["DELETE", `${base}/10`, ""],
  ]);
});

test("a rejection for lack of licenses reports how many are missing", async () => {
  await using backend = await startBackend(problem(409, "no_license_available", { needed: 5, missing: 3 }));
  await expect(bring(testClient(backend.apiUrl).client)).rejects.toMatchObject({
    code: "no_license_available",
    problem: { needed: 5, missing: 3 },
  });
});

describe.each([
  ["adding", add],
  ["importing", bring],
])("%s", (_, call) => {
  test.each([
    ["a lost response", hangUp],
    ["a busy backend", problem(503, "unavailable")],
    ["an internal error", problem(500, "internal")],
    ["a gateway", html(502)],
    ["a gateway page", html(200)],
    ["a response of another shape", { status: 200, json: {} }],
  ])("after %s is not repeated, and may have been done", async (_name, answer) => {
    await using backend = await startBackend(answer, answer);
    const { client } = testClient(backend.apiUrl);
    await expect(call(client)).rejects.toMatchObject({
      code: "outcome_unknown",
      message: expect.stringContaining("what became of it is not known"),
      hint: expect.stringContaining("Running the same command again is safe"),
    });
    expect(backend.seen).toHaveLength(1);
  });

  test.each([
    ["rejected", problem(409, "no_license_available"), "no_license_available"],
    ["rate limited", problem(429, "rate_limited"), "rate_limited"],
    [
      "rejected by SecureFlag itself",
      { status: 200, json: { error: true, errorMsg: "unauthorized" } },
      "unauthenticated",
    ],
    ["not offered", html(404), "users_not_offered"],
  ])("that was %s was not done", async (_name, answer, code) => {
    await using backend = await startBackend(answer);
    await expect(call(testClient(backend.apiUrl).client)).rejects.toMatchObject({ code });
  });

  test("that was not sent is repeated", async () => {
    const { client, waits } = testClient(await refusedUrl());
    await expect(call(client)).rejects.toMatchObject({ code: "unreachable" });
    expect(waits).toHaveLength(5);
  });
});

describe("removing", () => {
  test.each([
    ["a lost response", [hangUp, gone]],
    ["a gateway error", [html(502), gone]],
    ["two of them", [hangUp, problem(503, "unavailable"), gone]],
  ])("is done if the user is missing after %s", async (_, script) => {
    await using backend = await startBackend(...script);
    expect(await remove(testClient(backend.apiUrl).client)).toBeNull();
    expect(backend.seen).toHaveLength(script.length);
  });

  test("returns the second counts after a lost response", async () => {
    await using backend = await startBackend(hangUp, { status: 200, json: { organizationLicenses } });
    expect(await remove(testClient(backend.apiUrl).client)).toEqual({ organizationLicenses, pending: null });
  });

  test.each([
    ["who was never there", [gone], "not_found"],
    ["who cannot be removed", [hangUp, problem(403, "forbidden")], "forbidden"],
    ["of a backend without removal", [html(404)], "users_not_offered"],
  ])("is not done for a user %s", async (_, script, code) => {
    await using backend = await startBackend(...script);
    await expect(remove(testClient(backend.apiUrl).client)).rejects.toMatchObject({ code });
  });
});
