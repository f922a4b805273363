import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { noteSignIn } from "../../../src/backend/identity/memberships.ts";
import { startSession } from "../../../src/backend/identity/sessions.ts";
import { planSync, type SyncedMember } from "../../../src/backend/users/syncPlan.ts";
import { takesLicense } from "../../../src/billing/roles.ts";
import type { AddUserRequest, OwnUser } from "../../../src/contract/users.ts";
import { call, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";
import { idOf } from "../support/people.ts";
import { DIALECTS } from "../support/stores.ts";

const DAY = 86_400_000;

const person = (email: string, more: object = {}) => ({ email, firstName: "New", lastName: "User", ...more });

describe.each(DIALECTS)("changing users on %s", (dialect) => {
  let backend: TestBackend;

  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  afterAll(() => backend.close());

  /** An organization with its administrator, two users of its own and no others. */
  async function start(licenses = 5, joined: readonly object[] = []) {
    const made = organization({ usedLicenses: 0, subscription: { licenses } });
    await backend.addOrganization(made);
    const path = `/organizations/${made.id}/users`;
    const admin = made.users[0]?.email ?? "";
    const session = (await startSession(backend.deps, await idOf(backend, admin), null)).accessToken;
    const token = tokenOf(made.id);
    const call2 = (method: "GET" | "POST" | "PATCH", at: string, body?: object, bearer = session) =>
      call(backend, method, `${path}${at}`, { token: bearer, ...(body && { body }) });
    const list = async () => {
      const pages = await Promise.all([0, 1, 2].map((page) => call2("GET", `/${page}`)));
      return pages.flatMap(({ body }) => body) as OwnUser[];
    };
    const mail = (name: string) => `${name}-${made.id}@example.test`;
    const sync = (users: object[], more: object = {}, bearer = session) =>
      call2("POST", "/sync", { users, remove: true, ...more }, bearer);
    const users = {
      id: made.id,
      admin,
      session,
      token,
      mail,
      list,
      sync,
      find: async (email: string) => (await list()).find((user) => user.email === email),
      add: (body: object) => call2("POST", "", body),
      update: async (email: string, role: number, bearer = session) =>
        call2("PATCH", `/${(await users.find(email))?.idUser ?? 0}`, { role }, bearer),
      /** Plans and applies. */
      async apply(people: object[], more: object = {}, bearer = session) {
        const plan = await sync(people, more, bearer);
        return plan.status === 200 ? sync(people, { ...more, plan: plan.body.plan }, bearer) : plan;
      },
      subscription: async () => (await call(backend, "GET", `/organizations/${made.id}/subscription`, { token })).body,
      events: async () => {
        const { body } = await call(backend, "GET", `/organizations/${made.id}/events?limit=100`, { token: session });
        const items = body.items.filter(({ type }: { type: string }) => !type.startsWith("sign_in."));
        return items.map(({ type, data }: { type: string; data: object }) => ({ type, data }));
      },
    };
    for (const one of joined) expect((await users.add(one)).status).toBe(201);
    return users;
  }
  type Users = Awaited<ReturnType<typeof start>>;

  async function expectCountsToHold(users: Users) {
    const { licenses } = await users.subscription();
    expect(licenses.used).toBe((await users.list()).filter(takesLicense).length);
    expect(licenses.available).toBeGreaterThanOrEqual(0);
  }

  const emails = async (users: Users) => (await users.list()).map(({ email, role }) => [email, role]);

  test("a sync plans without changing anything, then applies exactly that, once", async () => {
    const users = await start();
    const { mail, admin } = users;
    for (const name of ["stays", "leaves", "rises"]) await users.add(person(mail(name)));
    const list = [
      person(admin),
      person(mail("stays").toUpperCase(), { firstName: "Other" }),
      person(mail("rises"), { role: 3, adminNoTraining: true }),
      person(mail("new"), { role: 4 }),
    ];
    const before = await users.list();
    const plan = await users.sync(list);
    const leaver = before.find(({ email }) => email === mail("leaves"));
    const riser = before.find(({ email }) => email === mail("rises"));
    expect(plan).toMatchObject({
      status: 200,
      body: {
        applied: false,
        added: [3],
        changed: [{ position: 2, idUser: riser?.idUser, role: 7, adminNoTraining: false }],
        missing: { count: 1, users: [{ idUser: leaver?.idUser, email: mail("leaves") }] },
        kept: [],
        neededLicenses: -1,
        organizationLicenses: { used: 3 },
      },
    });
    expect(await users.list()).toEqual(before);
    const applied = await users.sync(list, { plan: plan.body.plan });
    expect(applied).toMatchObject({ status: 200, body: { applied: true, organizationLicenses: { used: 2 } } });
    expect(await emails(users)).toEqual([
      [admin, 0],
      [mail("stays"), 7],
      [mail("rises"), 3],
      [mail("new"), 4],
    ]);
    expect((await users.events()).slice(-3)).toEqual([
      {
        type: "user.removed",
        data: { idUser: leaver?.idUser, email: mail("leaves"), role: 7, adminNoTraining: false },
      },
      {
        type: "user.updated",
        data: {
          ...{ idUser: riser?.idUser, email: mail("rises"), role: 3, adminNoTraining: true },
          previous: { role: 7, adminNoTraining: false },
        },
      },
      {
        type: "user.added",
        data: { idUser: expect.any(Number), email: mail("new"), role: 4, adminNoTraining: false },
      },
    ]);
    await expectCountsToHold(users);
    // The same plan is over, and a new one is empty.
    const stale = await users.sync(list, { plan: plan.body.plan });
    expect(stale).toMatchObject({ status: 409, body: { code: "users_changed" } });
    const again = await users.apply(list);
    expect(again.body).toMatchObject({ added: [], changed: [], missing: { count: 0 }, neededLicenses: 0 });
    expect(await users.events()).toHaveLength(6);
  });

  test("a plan is over once it would remove others, also if nothing else is different", async () => {
    const users = await start();
    await users.add(person(users.mail("leaves")));
    const list = [person(users.admin)];
    const { plan } = (await users.sync(list)).body;
    await users.add(person(users.mail("late")));
    const late = await users.sync(list, { plan });
    expect(late).toMatchObject({ status: 409, body: { code: "users_changed" } });
    expect(await users.list()).toHaveLength(3);
  });

  test("freed licenses are used before others are needed, and a shortage changes nothing", async () => {
    const users = await start(2);
    const { mail } = users;
    for (const name of ["one", "two"]) await users.add(person(mail(name)));
    const three = ["three", "four", "five"].map((name) => person(mail(name)));
    const before = await users.list();
    const short = await users.apply([person(users.admin), ...three]);
    expect(short).toMatchObject({ status: 409, body: { code: "no_license_available", needed: 1, missing: 1 } });
    expect(await users.list()).toEqual(before);
    const kept = await users.apply([person(users.admin), ...three], { remove: false });
    expect(kept).toMatchObject({ status: 409, body: { code: "no_license_available", needed: 3, missing: 3 } });
    expect((await users.apply([person(users.admin), ...three.slice(1)])).status).toBe(200);
    expect((await users.subscription()).licenses).toEqual({ purchased: 2, used: 2, available: 0 });
    await expectCountsToHold(users);
  });

  test("needs the names of those who are added, and ignores the others'", async () => {
    const { apply, sync, admin, mail, find, add } = await start();
    await add(person(mail("there")));
    const listed = [{ email: admin }, { email: mail("there"), role: 4 }];
    expect((await sync([...listed, { email: mail("new"), lastName: "New" }])).body).toMatchObject({
      code: "invalid_request",
      errors: [{ path: "users[2].firstName", message: "is empty" }],
    });
    expect((await apply(listed)).status).toBe(200);
    expect(await find(mail("there"))).toMatchObject({ role: 4, firstName: "New", lastName: "User" });
  });

  test("without remove nobody is removed, and it is said how many would be", async () => {
    const users = await start();
    for (const name of ["one", "two"]) await users.add(person(users.mail(name)));
    const answer = await users.apply([person(users.mail("two"))], { remove: false });
    expect(answer).toMatchObject({ status: 200, body: { missing: { count: 1 }, kept: [] } });
    expect(await users.list()).toHaveLength(3);
  });

  test("whoever syncs and the last administrator are kept and named, others are not", async () => {
    const users = await start();
    const { mail } = users;
    await users.add(person(mail("second"), { role: 0, adminNoTraining: true }));
    const idUser = (await users.find(users.admin))?.idUser;
    const own = await users.apply([person(users.admin, { role: 7 }), person(mail("second"), { role: 3 })]);
    expect(own.body).toMatchObject({ kept: [{ idUser, email: users.admin, reason: "caller" }] });
    expect(await emails(users)).toEqual([
      [users.admin, 0],
      [mail("second"), 3],
    ]);
    const byToken = await users.apply([person(mail("second"))], {}, await writeToken(users));
    expect(byToken.body).toMatchObject({ kept: [{ reason: "caller" }], missing: { count: 0 } });
    // A platform administrator is none of the organization's.
    await backend.deps.database.updateTable("members").set({ role: -1 }).where("email", "=", mail("second")).execute();
    const above = (await startSession(backend.deps, await idOf(backend, mail("second")), null)).accessToken;
    const last = await users.apply([person(mail("second"))], {}, above);
    expect(last.body).toMatchObject({ kept: [{ email: users.admin, reason: "last_administrator" }] });
    expect(await users.list()).toHaveLength(2);
    const outranked = await users.apply([person(users.admin)]);
    expect(outranked).toMatchObject({ status: 403, body: { code: "forbidden" } });
  });

  /** An API token of the administrator that may write. */
  async function writeToken(users: Users): Promise<string> {
    const { database } = backend.deps;
    const scopes_json = JSON.stringify(["users:read", "users:write", "billing:read"]);
    await database.updateTable("api_tokens").set({ scopes_json }).where("organization_id", "=", users.id).execute();
    return users.token;
  }

  test.each([
    ["adds", (users: Users) => [person(users.mail("boss"), { role: 0 })]],
    ["promotes", (users: Users) => [person(users.mail("one"), { role: 0 })]],
    ["demotes", (users: Users) => [person(users.mail("second"), { role: 3 })]],
    ["removes", (users: Users) => [person(users.mail("one"))]],
  ])("an API token that %s an administrator changes nothing", async (_, list) => {
    const users = await start();
    await users.add(person(users.mail("one")));
    await users.add(person(users.mail("second"), { role: 0 }));
    const before = await users.list();
    const answer = await users.apply(list(users), {}, await writeToken(users));
    expect(answer).toMatchObject({ status: 403, body: { code: "forbidden" } });
    expect(answer.body.detail).toContain("administrator");
    expect(await users.list()).toEqual(before);
    const harmless = [person(users.mail("second"), { role: 0 }), person(users.mail("one"), { role: 3 })];
    expect((await users.apply(harmless, {}, users.token)).status).toBe(200);
  });

  test("of two syncs of one plan at once, one is applied; two different ones end as one of them", async () => {
    const users = await start(20);
    const lists = ["a", "b"].map((team) => [
      person(users.admin),
      ...[1, 2, 3, 4].map((number) => person(users.mail(`${team}${number}`))),
    ]);
    const [first = [], second = []] = lists;
    const plan = (await users.sync(first)).body.plan;
    const twins = await Promise.all([users.sync(first, { plan }), users.sync(first, { plan })]);
    expect(twins.map(({ status }) => status).sort()).toEqual([200, 409]);
    await Promise.all([users.apply(first), users.apply(second), users.add(person(users.mail("late")))]);
    const there = (await users.list()).map(({ email }) => email).filter((email) => email !== users.mail("late"));
    expect(lists.map((list) => list.map(({ email }) => email).sort())).toContainEqual(there.sort());
    await expectCountsToHold(users);
  });

  test("a removed user is added again, as invited and without an earlier sign-in", async () => {
    const users = await start();
    await users.add(person(users.mail("back")));
    await noteSignIn(backend.deps.database, await idOf(backend, users.mail("back")), backend.clocks.billing);
    expect(await users.find(users.mail("back"))).toMatchObject({ lastLogin: expect.any(String) });
    await users.apply([person(users.admin)]);
    await users.apply([person(users.admin), person(users.mail("back"), { role: 3 })]);
    expect(await users.find(users.mail("back"))).toMatchObject({ status: "INVITED", role: 3, lastLogin: null });
    await expectCountsToHold(users);
  });

  test("a thousand users are added, changed and removed at once", async () => {
    const users = await start(2_000);
    const crowd = Array.from({ length: 1_100 }, (_, index) => person(users.mail(`crowd${index}`)));
    expect((await users.apply([person(users.admin), ...crowd])).status).toBe(200);
    const changed = crowd.map((one, index) => (index % 2 === 0 ? { ...one, role: 3, adminNoTraining: true } : one));
    const half = await users.apply([person(users.admin), ...changed]);
    expect(half.body.organizationLicenses).toMatchObject({ used: 550 });
    const none = await users.sync([person(users.admin)]);
    expect(none.body.missing).toMatchObject({ count: 1_100, users: { length: 1_000 } });
    await users.sync([person(users.admin)], { plan: none.body.plan });
    expect((await users.subscription()).licenses.used).toBe(0);
    expect(await users.list()).toHaveLength(1);
  });

  test.each([
    [{ role: 3, adminNoTraining: true }, 7, 1, false],
    [{ role: 7 }, 3, 0, false],
    [{ role: 3, adminNoTraining: true }, 4, 0, true],
    [{ role: 7 }, 0, 0, false],
  ])("%j becomes %d, which takes %d licenses", async (more, role, taken, adminNoTraining) => {
    const users = await start();
    const added = await users.add(person(users.mail("one"), more));
    const before = (await users.subscription()).licenses.used;
    for (const _ of [1, 2]) {
      const answer = await users.update(users.mail("one"), role);
      expect(answer).toMatchObject({
        status: 200,
        body: { user: { role, adminNoTraining }, organizationLicenses: { used: before + taken } },
      });
    }
    const { idUser, email } = added.body.user;
    const updates = (await users.events()).filter(({ type }: { type: string }) => type === "user.updated");
    const previous = { role: added.body.user.role, adminNoTraining: added.body.user.adminNoTraining };
    expect(updates).toEqual([{ type: "user.updated", data: { idUser, email, role, adminNoTraining, previous } }]);
    await expectCountsToHold(users);
  });

  test("a role is not changed without a license, right or user", async () => {
    const users = await start(0);
    const { mail } = users;
    await users.add(person(mail("one"), { role: 3, adminNoTraining: true }));
    await users.add(person(mail("boss"), { role: 0, adminNoTraining: true }));
    const before = await users.list();
    const token = await writeToken(users);
    const refused = [
      await users.update(mail("one"), 7),
      await users.update(mail("nobody"), 7),
      await users.update(users.admin, 3),
      await users.update(mail("one"), 0, token),
      await users.update(mail("boss"), 3, token),
      await users.update(mail("one"), -1),
    ];
    expect(refused.map(({ status, body }) => [status, body.code])).toEqual([
      [409, "no_license_available"],
      [404, "not_found"],
      [400, "invalid_request"],
      [403, "forbidden"],
      [403, "forbidden"],
      [400, "invalid_request"],
    ]);
    expect(await users.list()).toEqual(before);
  });

  test("one of two administrators who demote each other in parallel remains", async () => {
    const users = await start();
    await users.add(person(users.mail("other"), { role: 0, adminNoTraining: true }));
    const other = (await startSession(backend.deps, await idOf(backend, users.mail("other")), null)).accessToken;
    const answers = await Promise.all([users.update(users.mail("other"), 3), users.update(users.admin, 3, other)]);
    expect(answers.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(1);
    // Not through the list: whoever asks may be the one who was demoted.
    const administrators = await backend.deps.database
      .selectFrom("members")
      .select("email")
      .where("organization_id", "=", users.id)
      .where("role", "=", 0)
      .execute();
    expect(administrators.length).toBeGreaterThanOrEqual(1);
  });

  test("licenses of idle users are counted: since the last sign-in, joining, or being added", async () => {
    const now = backend.clocks.billing;
    const at = (days: number) => new Date(now - days * DAY).toISOString();
    const listed = [
      ["never", null],
      ["exactly", at(90)],
      ["almost", new Date(now - 90 * DAY + 1).toISOString()],
      ["lately", at(1)],
    ] as const;
    const base = organization({});
    const like = base.users[0];
    if (!like) throw new Error("no administrator");
    const made = {
      ...base,
      usedLicenses: 4,
      users: [
        like,
        ...listed.map(([name, lastLogin]) => ({
          ...like,
          email: `${name}-${base.id}@example.test`,
          role: 7,
          adminNoTraining: false,
          lastLogin,
        })),
      ],
    };
    await backend.addOrganization(made);
    const token = tokenOf(made.id);
    const idle = async () =>
      (await call(backend, "GET", `/organizations/${made.id}/subscription`, { token })).body.idle;
    expect(await idle()).toEqual({ days: 90, licenses: 2 });
    await noteSignIn(backend.deps.database, await idOf(backend, `never-${base.id}@example.test`), now);
    expect(await idle()).toEqual({ days: 90, licenses: 1 });
    const session = (await startSession(backend.deps, await idOf(backend, like.email), null)).accessToken;
    const path = `/organizations/${made.id}/users`;
    const added = await call(backend, "POST", path, { token: session, body: person(`in-${made.id}@example.test`) });
    expect(added.body.user).toMatchObject({ lastLogin: null, addedDateTime: new Date(now).toISOString() });
    backend.clocks.billing += 90 * DAY - 1;
    expect(await idle()).toMatchObject({ licenses: 3 });
    backend.clocks.billing += 1;
    expect(await idle()).toMatchObject({ licenses: 5 });
    backend.clocks.billing = now;
    const { body } = await call(backend, "GET", `${path}/0`, { token: session });
    expect(body.map(({ lastLogin }: OwnUser) => lastLogin)).toEqual([
      new Date(now).toISOString(),
      new Date(now).toISOString(),
      at(90),
      listed[2][1],
      at(1),
      null,
    ]);
  });
});

describe("the plan of a sync", () => {
  const role = fc.constantFrom(0, 3, 7);
  const names = fc.constantFrom("a", "b", "c", "d", "e", "f");
  const member = fc.record({ name: names, role, adminNoTraining: fc.boolean(), isActive: fc.boolean() });
  const listed = fc.record({ name: names, role: fc.option(role, { nil: undefined }), flag: fc.option(fc.boolean()) });

  test("makes the users those of the list, but for whom it keeps, and counts their licenses", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(member, { selector: ({ name }) => name }),
        fc.uniqueArray(listed, { selector: ({ name }) => name, minLength: 1 }),
        fc.boolean(),
        fc.nat(6),
        (members, list, removes, callerId) => {
          const before: SyncedMember[] = members.map(({ name, ...rest }, index) => ({
            ...rest,
            idUser: index + 100,
            userId: index,
            email: `${name}@example.test`,
          }));
          const users: AddUserRequest[] = list.map((one) => ({
            email: `${one.name.toUpperCase()}@example.test`,
            firstName: "A",
            lastName: "B",
            ...(one.role !== undefined && { role: one.role }),
            ...(one.flag !== null && { adminNoTraining: one.flag }),
          }));
          const plan = planSync(before, { users, removes }, callerId);
          const after = applied(before, users, plan);
          const key = ({ email }: { email: string }) => email.toLowerCase();
          const kept = plan.kept.map(({ member }) => key(member));
          const expected = new Set([...users.map(key), ...kept, ...(removes ? [] : before.map(key))]);
          expect(new Set(after.map(key))).toEqual(expected);
          for (const user of users) {
            const now = after.find((one) => key(one) === key(user));
            if (user.role !== undefined && !kept.includes(key(user))) expect(now?.role).toBe(user.role);
          }
          const count = (all: readonly { role: number; adminNoTraining: boolean }[]) => all.filter(takesLicense).length;
          expect(count(before) + plan.taken - plan.freed).toBe(count(after));
          const isAdministrator = (one: SyncedMember) => one.role === 0 && one.isActive;
          if (before.some(isAdministrator)) expect(after.some(isAdministrator)).toBe(true);
          const caller = before.find(({ userId }) => userId === callerId);
          if (caller && removes) expect(after.find(({ userId }) => userId === callerId)).toBeDefined();
          const second = planSync(after, { users, removes }, callerId);
          expect([second.added, second.changed, second.taken, second.freed]).toEqual([[], [], 0, 0]);
          if (removes) expect(second.missing).toEqual([]);
          expect(plan.kept.length).toBeLessThanOrEqual(2);
        },
      ),
    );
  });

  function applied(before: SyncedMember[], users: readonly AddUserRequest[], plan: ReturnType<typeof planSync>) {
    const gone = new Set(plan.removes ? plan.missing : []);
    const changed = new Map(plan.changed.map(({ member, after }) => [member, after]));
    const stayed = before.filter((one) => !gone.has(one)).map((one) => ({ ...one, ...changed.get(one) }));
    const added = plan.added.map((position) => ({
      email: users[position]?.email ?? "",
      role: users[position]?.role ?? 7,
      adminNoTraining: users[position]?.adminNoTraining ?? false,
      idUser: 1_000 + position,
      userId: 1_000 + position,
      isActive: false,
    }));
    return [...stayed, ...added];
  }
});
