import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hashToken } from "../../../src/backend/identity/secrets.ts";
import { startSession } from "../../../src/backend/identity/sessions.ts";
import { takesLicense } from "../../../src/billing/roles.ts";
import { addUserAnswerSchema, importUsersAnswerSchema, userSchema } from "../../../src/contract/users.ts";
import { buy, call, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";
import { expectInvariants } from "../support/invariants.ts";
import { idOf } from "../support/people.ts";
import { DIALECTS } from "../support/stores.ts";

const person = (email: string, more: object = {}) => ({ email, firstName: "New", lastName: "User", ...more });

const people = (count: number, name: string) =>
  Array.from({ length: count }, (_, index) => person(`${name}${index}@example.test`));

describe.each(DIALECTS)("users on %s", (dialect) => {
  let backend: TestBackend;

  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  afterAll(() => backend.close());

  async function sessionOf(email: string): Promise<string> {
    return (await startSession(backend.deps, await idOf(backend, email), null)).accessToken;
  }

  /** An organization of 25 licenses, 22 of them used by default. */
  async function start(usedLicenses = 22, licenses = 25) {
    const made = organization({ usedLicenses });
    made.subscription.licenses = licenses;
    await backend.addOrganization(made);
    const token = tokenOf(made.id);
    const path = `/organizations/${made.id}/users`;
    const counts = async () =>
      (await call(backend, "GET", `/organizations/${made.id}/subscription`, { token })).body.licenses;
    const list = async () => {
      const pages = [0, 1, 2, 3].map((page) => call(backend, "GET", `${path}/${page}`, { token }));
      return (await Promise.all(pages)).flatMap(({ body }) => body) as ReturnType<typeof userSchema.parse>[];
    };
    const find = async (email: string) => (await list()).find((user) => user.email === email);
    const admin = made.users[0]?.email ?? "";
    return {
      id: made.id,
      admin,
      /** The administrator's, who may do what no API token may: make and remove administrators. */
      session: await sessionOf(admin),
      counts,
      list,
      find,
      add: (body: object, bearer = token) => call(backend, "POST", path, { token: bearer, body }),
      bring: (users: object[], bearer = token) =>
        call(backend, "POST", `${path}/import`, { token: bearer, body: { users } }),
      remove: async (email: string, bearer = token) =>
        call(backend, "DELETE", `${path}/${(await find(email))?.idUser ?? 0}`, { token: bearer }),
      events: async () => {
        const { body } = await call(backend, "GET", `/organizations/${made.id}/events?limit=100`, { token });
        const items = body.items.filter(({ type }: { type: string }) => !type.startsWith("sign_in."));
        return items.map(({ type, actor, data }: Record<string, unknown>) => ({ type, actor, data }));
      },
      /** Gives a user, who has no password here, an API token of all scopes. */
      async tokenFor(email: string) {
        const { database } = backend.deps;
        const like = await database
          .selectFrom("api_tokens")
          .selectAll()
          .where("organization_id", "=", made.id)
          .executeTakeFirstOrThrow();
        const idUser = (await find(email))?.idUser ?? 0;
        const bearer = `sfl_of_${idUser}_${made.id}`;
        const own = {
          id: `tok_${idUser}_${made.id}`,
          user_id: await idOf(backend, email),
        };
        const row = { ...like, ...own };
        await database.insertInto("api_tokens").values(row).execute();
        const index = { token_hash: hashToken(bearer), organization_id: made.id, token_id: own.id };
        await database.insertInto("token_index").values(index).execute();
        return bearer;
      },
    };
  }
  type Users = Awaited<ReturnType<typeof start>>;

  /** What is counted is what the users take, and never more than was bought. */
  async function expectCountsToHold(users: Users) {
    const { purchased, used, available } = await users.counts();
    expect(used).toBe((await users.list()).filter(takesLicense).length);
    expect(available).toBe(purchased - used);
    expect(available).toBeGreaterThanOrEqual(0);
  }

  test("a hundred parallel adds for the last ten licenses take exactly ten", async () => {
    const users = await start(15);
    const answers = await Promise.all(people(100, `crowd-${users.id}-`).map((one) => users.add(one)));
    const refused = answers.filter(({ status }) => status !== 201);
    expect(answers.length - refused.length).toBe(10);
    for (const { status, body } of refused) {
      expect({ status, code: body.code, missing: body.missing }).toEqual({
        status: 409,
        code: "no_license_available",
        missing: 1,
      });
    }
    expect(await users.counts()).toEqual({ purchased: 25, used: 25, available: 0 });
    await expectCountsToHold(users);
  });

  test("with parallel imports, adds, removals and purchases, every import is all or nothing", async () => {
    const users = await start(15);
    const first = people(8, `first-${users.id}-`);
    const second = people(8, `second-${users.id}-`);
    await users.add(person(`leaver-${users.id}@example.test`));
    const [one, other, purchase, removal, ...adds] = await Promise.all([
      users.bring(first),
      users.bring(second),
      buy(backend, users.id, 3, `race-${users.id}`),
      users.remove(`leaver-${users.id}@example.test`),
      ...people(6, `single-${users.id}-`).map((single) => users.add(single)),
    ]);
    expect([purchase.status, removal.status]).toEqual([201, 200]);
    const emails = new Set((await users.list()).map(({ email }) => email));
    for (const [answer, list] of [
      [one, first],
      [other, second],
    ] as const) {
      const there = list.filter(({ email }) => emails.has(email)).length;
      expect({ status: answer.status, there }).toEqual(
        answer.status === 200 ? { status: 200, there: 8 } : { status: 409, there: 0 },
      );
    }
    for (const { status } of adds) expect([201, 409]).toContain(status);
    await expectCountsToHold(users);
    await expectInvariants(backend, users.id, 25);
  });

  test("the same users added to two organizations, in parallel and in any order, are one user each", async () => {
    const [here, there] = [await start(0, 2_000), await start(0, 2_000)];
    // More than one statement takes, so that each import waits for others with something in its hands.
    const list = people(1_200, `shared-${here.id}-`);
    const upper = list.map(({ email, ...rest }) => ({ ...rest, email: email.toUpperCase() })).reverse();
    const answers = await Promise.all([here.bring(list), there.bring(upper), here.bring(upper), there.bring(list)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const added = answers.map(({ body }) => 1_200 - body.existing.length);
    expect([0, 1].map((first) => (added[first] ?? 0) + (added[first + 2] ?? 0))).toEqual([1_200, 1_200]);
    expect([await here.counts(), await there.counts()]).toMatchObject([{ used: 1_200 }, { used: 1_200 }]);
    const persons = await backend.deps.database
      .selectFrom("users")
      .select("id")
      .where("email_key", "like", `shared-${here.id}-%`)
      .execute();
    expect(persons).toHaveLength(1_200);
  });

  test("an import without enough licenses adds nobody and reports how many are missing", async () => {
    const users = await start(15);
    const before = { list: await users.list(), counts: await users.counts(), events: await users.events() };
    const list = [
      ...people(12, `lacking-${users.id}-`),
      person("boss@example.test", { role: 0, adminNoTraining: true }),
    ];
    const answer = await users.bring(list, users.session);
    expect(answer).toMatchObject({ status: 409, body: { code: "no_license_available", needed: 12, missing: 2 } });
    expect(answer.body.detail).toBe("12 licenses are needed, but 10 of the 25 purchased are available; buy 2 more");
    expect({ list: await users.list(), counts: await users.counts(), events: await users.events() }).toEqual(before);
    await buy(backend, users.id, 2, `lacking-${users.id}`);
    expect((await users.bring(list, users.session)).body).toEqual({
      existing: [],
      organizationLicenses: { purchased: 27, used: 27, available: 0 },
      assignmentStrategy: "NONE",
    });
    await expectCountsToHold(users);
  });

  test("existing users are returned by position, stay unchanged, and take no second license", async () => {
    const users = await start();
    const mail = `known-${users.id}@example.test`;
    await users.add(person(mail, { role: 4 }));
    const list = [person(`a-${users.id}@example.test`), person(mail.toUpperCase()), person(users.admin)];
    expect(await users.bring(list)).toMatchObject({
      status: 200,
      body: { existing: [1, 2], organizationLicenses: { used: 24 } },
    });
    expect(await users.find(mail)).toMatchObject({ role: 4 });
    expect(await users.bring(list)).toMatchObject({ status: 200, body: { existing: [0, 1, 2] } });
    await expectCountsToHold(users);
  });

  test("a removed user frees the license, is no longer listed, and can be added again with a new role", async () => {
    const users = await start(24);
    const mail = `back-${users.id}@example.test`;
    const added = await users.add(person(mail));
    expect(added.body.user).toEqual(await users.find(mail));
    const removed = await users.remove(mail);
    expect(removed).toMatchObject({
      status: 200,
      body: { organizationLicenses: { purchased: 25, used: 24, available: 1 } },
    });
    expect(await users.find(mail)).toBeUndefined();
    const path = `/organizations/${users.id}/users/${added.body.user.idUser}`;
    const again = await call(backend, "DELETE", path, { token: tokenOf(users.id) });
    expect(again).toMatchObject({ status: 404, body: { code: "not_found" } });
    const back = await users.add(person(mail.toUpperCase(), { role: 3 }));
    expect(back).toMatchObject({
      status: 201,
      body: { user: { idUser: added.body.user.idUser, email: mail, role: 3, status: "INVITED" } },
    });
    await users.remove(mail);
    expect(await users.bring([person(mail, { role: 4 })])).toMatchObject({ status: 200, body: { existing: [] } });
    expect(await users.find(mail)).toMatchObject({ role: 4, status: "INVITED" });
    expect(await users.counts()).toMatchObject({ used: 25 });
    await expectCountsToHold(users);
  });

  test("a user takes one license in any spelling, and is shown as entered", async () => {
    const users = await start(22);
    const typed = `Zoe\u0301-${users.id}@Bu\u0308cher.test`;
    const added = await users.add(person(typed));
    expect(added).toMatchObject({ status: 201, body: { user: { email: typed, status: "INVITED" } } });
    const spellings = [typed.normalize("NFC"), typed.toLowerCase(), `zo\u00e9-${users.id}@xn--bcher-kva.test`];
    for (const email of spellings) {
      expect(await users.add(person(email))).toMatchObject({ status: 400, body: { code: "invalid_request" } });
      expect(await users.bring([person(email)])).toMatchObject({ status: 200, body: { existing: [0] } });
    }
    expect(await users.counts()).toMatchObject({ used: 23 });
    await users.remove(typed);
    expect(await users.add(person(spellings[2] ?? ""))).toMatchObject({
      status: 201,
      body: { user: { idUser: added.body.user.idUser } },
    });
    await expectCountsToHold(users);
  });

  test("the assignment strategy applies to new users, and only a signed-in administrator can set it", async () => {
    const users = await start(15);
    const path = `/organizations/${users.id}/assignment-strategy`;
    const read = async () => (await call(backend, "GET", path, { token: tokenOf(users.id) })).body;
    const set = (assignmentStrategy: string, token: string) =>
      call(backend, "PUT", path, { token, body: { assignmentStrategy } });
    expect(await read()).toEqual({ assignmentStrategy: "NONE" });
    expect((await users.add(person(`a-${users.id}@example.test`))).body.assignmentStrategy).toBe("NONE");
    expect(await set("INITIAL_PLAN", tokenOf(users.id))).toMatchObject({ status: 403, body: { code: "forbidden" } });
    expect(await set("initial-plan", users.session)).toMatchObject({ status: 400, body: { code: "invalid_request" } });
    for (const _ of [1, 2]) {
      const answer = await set("INITIAL_PLAN", users.session);
      expect(answer).toMatchObject({ status: 200, body: { assignmentStrategy: "INITIAL_PLAN" } });
    }
    expect(await read()).toEqual({ assignmentStrategy: "INITIAL_PLAN" });
    expect((await users.add(person(`b-${users.id}@example.test`))).body.assignmentStrategy).toBe("INITIAL_PLAN");
    expect((await users.bring([person(`c-${users.id}@example.test`)])).body.assignmentStrategy).toBe("INITIAL_PLAN");
    const rows = await backend.deps.database
      .selectFrom("members")
      .select(["email", "assignment_strategy"])
      .where("organization_id", "=", users.id)
      .where("email", "like", `_-${users.id}@%`)
      .orderBy("email")
      .execute();
    expect(rows.map((row) => row.assignment_strategy)).toEqual(["NONE", "INITIAL_PLAN", "INITIAL_PLAN"]);
    const type = "organization.assignment_strategy_set";
    expect((await users.events()).filter((event: { type: unknown }) => event.type === type)).toEqual([
      { type, actor: users.admin, data: { assignmentStrategy: "INITIAL_PLAN" } },
    ]);
  });

  test.each([5, 6])("role %d can be assigned, and takes a license if it trains", async (role) => {
    const users = await start(22);
    expect(await users.add(person(`trains-${users.id}@example.test`, { role }))).toMatchObject({
      status: 201,
      body: { user: { role }, organizationLicenses: { used: 23 } },
    });
    const manages = person(`manages-${users.id}@example.test`, { role, adminNoTraining: true });
    expect((await users.add(manages)).body.organizationLicenses).toMatchObject({ used: 23 });
  });

  test("parallel removals of one user free one license", async () => {
    const users = await start();
    const mail = `once-${users.id}@example.test`;
    await users.add(person(mail));
    const answers = await Promise.all(Array.from({ length: 5 }, () => users.remove(mail)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 404, 404, 404, 404]);
    expect(await users.counts()).toMatchObject({ used: 22 });
    await expectCountsToHold(users);
  });

  test.each([
    [{}, 1],
    [{ role: 7 }, 1],
    [{ role: 0 }, 1],
    [{ role: 0, adminNoTraining: true }, 0],
    [{ role: 4, adminNoTraining: true }, 0],
    [{ role: 3, adminNoTraining: false }, 1],
  ])("%j takes %i licenses, and removal frees as many", async (more, taken) => {
    const users = await start();
    const mail = `role-${users.id}@example.test`;
    const { body } = await users.add(person(mail, more), users.session);
    expect(body.organizationLicenses.used).toBe(22 + taken);
    expect((await users.remove(mail, users.session)).body.organizationLicenses.used).toBe(22);
    const list = [person(mail, more), ...people(2, `more-${users.id}-`)];
    expect((await users.bring(list, users.session)).body.organizationLicenses.used).toBe(24 + taken);
    await expectCountsToHold(users);
  });

  test("users cannot remove themselves, the last administrator or users with more permissions", async () => {
    const users = await start();
    const platform = `platform-${users.id}@example.test`;
    await users.add(person(platform, { role: 0, adminNoTraining: true }), users.session);
    await backend.deps.database
      .updateTable("members")
      .set({ role: -1 })
      .where("id", "=", (await users.find(platform))?.idUser ?? 0)
      .execute();
    const platformSession = await sessionOf(platform);
    const before = await users.list();
    const itself = await users.remove(users.admin, users.session);
    expect(itself).toMatchObject({ status: 400, body: { code: "invalid_request" } });
    expect(await users.remove(platform, users.session)).toMatchObject({ status: 403, body: { code: "forbidden" } });
    const last = await users.remove(users.admin, platformSession);
    expect(last).toMatchObject({ status: 400, body: { code: "invalid_request" } });
    expect(last.body.detail).toContain("last organization administrator");
    expect(await users.list()).toEqual(before);
    const second = await users.add(person(`second-${users.id}@example.test`, { role: 0 }), users.session);
    expect(second.body.organizationLicenses).toMatchObject({ used: 23 });
    // One who takes no license, so that none is free after it.
    expect((await users.remove(users.admin, platformSession)).body).toEqual({
      organizationLicenses: second.body.organizationLicenses,
      pending: null,
    });
  });

  test("one of two administrators who remove each other in parallel remains", async () => {
    for (let round = 0; round < 5; round += 1) {
      const users = await start();
      const other = `other-${users.id}@example.test`;
      const { idUser } = (await users.add(person(other, { role: 0, adminNoTraining: true }), users.session)).body.user;
      const admin = (await users.find(users.admin))?.idUser;
      const path = `/organizations/${users.id}/users`;
      const answers = await Promise.all([
        call(backend, "DELETE", `${path}/${admin}`, { token: await sessionOf(other) }),
        call(backend, "DELETE", `${path}/${idUser}`, { token: users.session }),
      ]);
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      const left = await backend.deps.database
        .selectFrom("members")
        .select("user_id")
        .where("organization_id", "=", users.id)
        .where("role", "=", 0)
        .where("status", "!=", "REMOVED")
        .execute();
      expect(left).toHaveLength(1);
    }
  });

  test("a removed user's API tokens are revoked, and not restored with the user", async () => {
    const users = await start();
    const mail = `tokens-${users.id}@example.test`;
    await users.add(person(mail, { role: 0 }), users.session);
    const token = await users.tokenFor(mail);
    expect((await users.add(person(`by-${mail}`), token)).status).toBe(201);
    await users.remove(mail, users.session);
    expect((await users.add(person(`by2-${mail}`), token)).status).toBe(401);
    await users.add(person(mail, { role: 0 }), users.session);
    expect((await users.add(person(`by2-${mail}`), token)).status).toBe(401);
  });

  test("the audit log records who was added and removed, and by whom", async () => {
    const users = await start();
    const [a, b, c] = ["a", "b", "c"].map((name) => `${name}-audit-${users.id}@example.test`) as [
      string,
      string,
      string,
    ];
    await users.add(person(a, { role: 4, adminNoTraining: true }));
    await users.bring([person(c), person(a), person(b)]);
    const ids = new Map((await users.list()).map(({ email, idUser }) => [email, idUser]));
    await users.tokenFor(a);
    await users.remove(a);
    const actor = "token ci";
    const added = (email: string, role: number, adminNoTraining: boolean) => ({
      type: "user.added",
      actor,
      data: { idUser: ids.get(email), email, role, adminNoTraining },
    });
    expect(await users.events()).toEqual([
      added(a, 4, true),
      added(b, 7, false),
      added(c, 7, false),
      { type: "token.revoked", actor, data: { tokenId: `tok_${ids.get(a)}_${users.id}`, name: "ci" } },
      { type: "user.removed", actor, data: { idUser: ids.get(a), email: a, role: 4, adminNoTraining: true } },
    ]);
  });

  test("responses have exactly the fields of the contract", async () => {
    const users = await start();
    for (const user of await users.list()) expect(userSchema.strict().parse(user)).toEqual(user);
    const { body } = await users.add(person(`exact-${users.id}@example.test`));
    expect(addUserAnswerSchema.strict().parse(body)).toEqual(body);
    expect(userSchema.strict().parse(body.user)).toEqual(body.user);
    const answer = (await users.bring(people(1, `exact-${users.id}-`))).body;
    expect(importUsersAnswerSchema.strict().parse(answer)).toEqual(answer);
  });

  test("10,000 users can be imported in one request, and again", async () => {
    const users = await start(0, 10_000);
    const list = people(10_000, `many-${users.id}-`);
    expect((await users.bring(list)).body).toEqual({
      existing: [],
      organizationLicenses: { purchased: 10_000, used: 10_000, available: 0 },
      assignmentStrategy: "NONE",
    });
    const again = await users.bring(list);
    expect(again.status).toBe(200);
    expect(again.body.existing).toEqual(list.map((_, index) => index));
    expect(JSON.stringify(again.body).length).toBeLessThan(100_000);
  });
});

describe("rejected requests", () => {
  let backend: TestBackend;
  const made = organization();
  const path = `/organizations/${made.id}/users`;
  let token: string;

  beforeAll(async () => {
    backend = await startBackend();
    await backend.addOrganization(made);
    token = (await startSession(backend.deps, await idOf(backend, made.users[0]?.email ?? ""), null)).accessToken;
  });
  afterAll(() => backend.close());

  const good = person("good@example.test");
  const add = (body: unknown) => call(backend, "POST", path, { token, body });
  const bring = (body: unknown, bearer: string | null = token) =>
    call(backend, "POST", `${path}/import`, { token: bearer, body });

  test.each([
    ["an email with a space", { email: "a b@example.test" }, "email"],
    ["an email with a line break", { email: "a@example.test\n" }, "email"],
    ["an email with a NUL", { email: "a\0@example.test" }, "email"],
    ["an email with a right-to-left override", { email: "\u202ea@example.test" }, "email"],
    ["an email with a lone surrogate", { email: "\ud800@example.test" }, "email"],
    ["an email with two @", { email: "a@b@example.test" }, "email"],
    ["an email with a display name", { email: "Ada<a@example.test>" }, "email"],
    ["an email of 321 characters", { email: `${"a".repeat(308)}@example.test` }, "email"],
    ["no email", { email: "" }, "email"],
    ["an email that ends in a dot", { email: "a@example.test." }, "email"],
    ["an email with consecutive dots", { email: "a@example..test" }, "email"],
    ["an email with a slash in its domain", { email: "a@example.test/b" }, "email"],
    ["an email with a label of 64 characters", { email: `a@${"x".repeat(64)}.test` }, "email"],
    ["an email without a top-level domain", { email: "a@localhost" }, "email"],
    ["an email with an invisible character in its domain", { email: "a@exa\u00admple.test" }, "email"],
    ["an email with a no-break space", { email: "a\u00a0b@example.test" }, "email"],
    ["an empty name", { firstName: "" }, "firstName"],
    ["a blank name", { lastName: " \u00a0" }, "lastName"],
    ["a name over 100 characters", { lastName: "x".repeat(101) }, "lastName"],
    ["a name with a control character", { firstName: "A\u001b[31m" }, "firstName"],
    ["a name with a line break", { firstName: "A\nB" }, "firstName"],
    ["an unknown role", { role: 2 }, "role"],
    ["a role with more permissions than one's own", { role: -1, adminNoTraining: true }, "role"],
    ["a role by name", { role: "user" }, "role"],
    ["a user without training", { adminNoTraining: true }, "adminNoTraining"],
    ["role 7 without training", { role: 7, adminNoTraining: true }, "adminNoTraining"],
    ["a strategy, which belongs to the organization", { assignmentStrategy: "INITIAL_PLAN" }, "assignmentStrategy"],
    ["a role that is no longer offered", { role: 1 }, "role"],
    ["an unknown field", { team: 1 }, "team"],
  ])("%s, added or imported", async (_, change, at) => {
    expect(await add({ ...good, ...change })).toMatchObject({
      status: 400,
      body: { code: "invalid_request", errors: [{ path: at }] },
    });
    expect(await bring({ users: [person("first@example.test"), { ...good, ...change }] })).toMatchObject({
      status: 400,
      body: { code: "invalid_request", errors: [{ path: `users[1].${at}` }] },
    });
  });

  test.each([
    ["no users", []],
    ["10,001 users", people(10_001, "too-many")],
  ])("an import of %s", async (_, users) => {
    expect(await bring({ users })).toMatchObject({ status: 400, body: { errors: [{ path: "users" }] } });
  });

  test("a duplicate email in any spelling, with both positions", async () => {
    const spellings = [
      "zo\u00e9@b\u00fccher.test",
      "ZO\u00c9@B\u00fccher.TEST",
      "zoe\u0301@b\u00fccher.test",
      "zo\u00e9@xn--bcher-kva.test",
    ];
    const users = [good, ...spellings.map((email) => person(email))];
    expect((await bring({ users })).body.errors).toEqual(
      [2, 3, 4].map((index) => ({ path: `users[${index}].email`, message: "is the same as users[1].email" })),
    );
  });

  test("with many errors list only the first ones", async () => {
    const answer = await bring({ users: people(10_000, "no email at ") });
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toHaveLength(50);
    expect(answer.body.detail).toMatch(/; and 9950 more$/);
  });

  test("a body over 4 MB; an add over 64 KB", async () => {
    const padding = " ".repeat(4 * 1024 * 1024);
    const fits = JSON.stringify({ users: [good] });
    expect((await bring(fits + padding)).status).toBe(400);
    expect((await bring(fits + padding.slice(fits.length))).status).toBe(200);
    const long = JSON.stringify(person("long@example.test")) + padding.slice(0, 64 * 1024);
    expect((await add(long)).status).toBe(400);
  });

  test("an import is not read for an unauthorized caller", async () => {
    expect((await bring("{", null)).status).toBe(401);
    expect((await bring("{", "sfl_unknown")).status).toBe(401);
    expect((await bring("{")).status).toBe(400);
    const elsewhere = await call(backend, "POST", "/organizations/1/users/import", { token, body: "{" });
    expect(elsewhere.status).toBe(404);
  });

  test.each(["0", "999999", "2147483647"])("removing user %s, who does not exist", async (number) => {
    const answer = await call(backend, "DELETE", `${path}/${number}`, { token });
    expect(answer).toMatchObject({ status: 404, body: { code: "not_found" } });
  });

  test.each(["2147483648", "-1", "1.5", "me"])("removing user %s, which is not a user number", async (number) => {
    const answer = await call(backend, "DELETE", `${path}/${number}`, { token });
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request", errors: [{ path: "number" }] } });
  });

  test("removing another organization's user, who is not found", async () => {
    const other = organization();
    await backend.addOrganization(other);
    const users = await call(backend, "GET", `/organizations/${other.id}/users/0`, { token: tokenOf(other.id) });
    const { idUser } = users.body.at(-1);
    expect((await call(backend, "DELETE", `${path}/${idUser}`, { token })).status).toBe(404);
    const remove = { token: tokenOf(other.id) };
    expect((await call(backend, "DELETE", `/organizations/${other.id}/users/${idUser}`, remove)).status).toBe(200);
  });
});
