import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startSession } from "../../../src/backend/identity/sessions.ts";
import { removeMember } from "../../../src/backend/users/removal.ts";
import { SCOPES, type Scope } from "../../../src/contract/constants.ts";
import { userSchema } from "../../../src/contract/users.ts";
import { buy, call, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";
import { idOf } from "../support/people.ts";
import { DIALECTS } from "../support/stores.ts";

type User = ReturnType<typeof userSchema.parse>;

describe.each(DIALECTS)("users of several organizations on %s", (dialect) => {
  let backend: TestBackend;

  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  afterAll(() => backend.close());

  async function sessionOf(email: string): Promise<string> {
    return (await startSession(backend.deps, await idOf(backend, email), null)).accessToken;
  }

  const me = async (bearer: string) => (await call(backend, "GET", "/me", { token: bearer })).body;
  const accept = (id: number, bearer: string) =>
    call(backend, "POST", `/me/organizations/${id}/accept`, { token: bearer });

  /** An organization with an administrator who is signed in, and an API token of every scope. */
  async function start(scopes: readonly Scope[] = SCOPES) {
    const made = organization();
    for (const token of made.tokens ?? []) token.scopes = [...scopes];
    await backend.addOrganization(made);
    const admin = made.users[0]?.email ?? "";
    const session = await sessionOf(admin);
    const path = `/organizations/${made.id}`;
    const get = async (what: string, bearer = session) =>
      (await call(backend, "GET", `${path}/${what}`, { token: bearer })).body;
    const list = async (): Promise<User[]> => (await Promise.all([0, 1, 2].map((page) => get(`users/${page}`)))).flat();
    return {
      id: made.id,
      name: made.name,
      admin,
      session,
      token: tokenOf(made.id),
      list,
      find: async (email: string) => (await list()).find((user) => user.email === email),
      used: async () => (await get("subscription")).licenses.used,
      /** Without those of signing in. */
      events: async (bearer = session) =>
        (await get("events?limit=100", bearer)).items.filter(
          ({ type }: { type: string }) => !type.startsWith("sign_in."),
        ),
      status: async (bearer: string) => (await call(backend, "GET", `${path}/subscription`, { token: bearer })).status,
      add: (email: string, more: object = {}, bearer = session) =>
        call(backend, "POST", `${path}/users`, {
          token: bearer,
          body: { email, firstName: "Entered", lastName: `By ${made.id}`, ...more },
        }),
      bring: (users: object[], bearer = session) =>
        call(backend, "POST", `${path}/users/import`, { token: bearer, body: { users } }),
      remove: (idUser: number, bearer = session) =>
        call(backend, "DELETE", `${path}/users/${idUser}`, { token: bearer }),
    };
  }

  /** Returns what two users who were added alike have in common. */
  const comparable = ({ idUser, uuid, email, username, ...rest }: User) => rest;

  test("a user of another organization looks new to the organization that adds them", async () => {
    const [here, there] = [await start(), await start()];
    const theirs = await there.find(there.admin);
    const known = await here.add(there.admin.toUpperCase());
    const fresh = await here.add(`fresh-${here.id}@example.test`);
    expect([known.status, fresh.status]).toEqual([201, 201]);
    expect(comparable(known.body.user)).toEqual(comparable(fresh.body.user));
    expect(known.body.user).toMatchObject({
      email: there.admin.toUpperCase(),
      username: there.admin.toUpperCase(),
      firstName: "Entered",
      lastName: `By ${here.id}`,
      status: "INVITED",
      joinedDateTime: null,
      defaultOrganization: { id: here.id, name: here.name },
    });
    expect([theirs?.idUser, theirs?.uuid]).not.toContain(known.body.user.idUser);
    expect(theirs?.uuid).not.toBe(known.body.user.uuid);
    expect(fresh.body.user.idUser).toBe(known.body.user.idUser + 1);
    expect(await here.find(known.body.user.email)).toEqual(known.body.user);
    expect(Object.keys(known.headers).sort()).toEqual(Object.keys(fresh.headers).sort());
    // And the other organization sees nothing of it.
    expect(await there.find(there.admin)).toEqual(theirs);
    expect(await there.events()).toEqual([]);
  });

  test("an import does not reveal the difference either", async () => {
    const [here, there] = [await start(), await start()];
    const fresh = `fresh-${here.id}@example.test`;
    const users = [there.admin, fresh].map((email) => ({ email, firstName: "Entered", lastName: "Alike" }));
    expect(await here.bring(users)).toMatchObject({ status: 200, body: { existing: [] } });
    const [known, unknown] = [await here.find(there.admin), await here.find(fresh)];
    expect(comparable(known as User)).toEqual(comparable(unknown as User));
    expect(known?.idUser).not.toBe((await there.find(there.admin))?.idUser);
    const data = (await here.events()).map((event: { data: object }) => Object.keys(event.data));
    expect(data[0]).toEqual(data[1]);
    // A second time both are users already.
    expect((await here.bring(users)).body.existing).toEqual([0, 1]);
  });

  test("an invitation takes its license at once and grants nothing until accepted", async () => {
    const [here, there] = [await start(), await start()];
    const before = await here.used();
    await here.add(there.admin, { role: 0 });
    expect(await here.used()).toBe(before + 1);
    const person = there.session;
    expect(await me(person)).toMatchObject({
      user: { role: 0 },
      organizations: [{ id: there.id }],
      invitations: [{ id: here.id, name: here.name, role: 0 }],
    });
    // An API token says nothing of what its person is invited to.
    expect(await me(there.token)).toMatchObject({ organizations: [{ id: there.id }], invitations: [] });
    for (const bearer of [person, there.token]) expect(await here.status(bearer)).toBe(404);
    expect((await buy(backend, here.id, 1, `pending-${here.id}`, { token: person })).status).toBe(404);

    expect(await accept(here.id, person)).toMatchObject({
      status: 200,
      body: { id: here.id, name: here.name, role: 0 },
    });
    expect(await here.status(person)).toBe(200);
    expect(await me(person)).toMatchObject({ organizations: [{ id: here.id }, { id: there.id }], invitations: [] });
    // The API token stays one of the other organization.
    expect(await here.status(there.token)).toBe(404);
    expect(await here.used()).toBe(before + 1);
    const now = new Date(backend.clocks.billing).toISOString();
    expect(await here.find(there.admin)).toMatchObject({ status: "ACTIVE", joinedDateTime: now, licenseStart: now });
    const { idUser } = (await here.find(there.admin)) as User;
    expect((await here.events()).at(-1)).toMatchObject({
      type: "user.accepted",
      actor: there.admin,
      data: { idUser, email: there.admin, role: 0 },
    });
  });

  test("accepting again or in parallel changes nothing", async () => {
    const [here, there] = [await start(), await start()];
    await here.add(there.admin, { role: 4 });
    const answers = await Promise.all([1, 2, 3].map(() => accept(here.id, there.session)));
    answers.push(await accept(here.id, there.session), await accept(there.id, there.session));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    const types = (await here.events()).map(({ type }: { type: string }) => type);
    expect(types).toEqual(["user.added", "user.accepted"]);
  });

  test("nobody accepts for another user, without an invitation, or with an API token", async () => {
    const [here, there, third] = [await start(), await start(), await start()];
    await here.add(there.admin, { role: 0 });
    for (const id of [here.id, 999_999, 2 ** 31, 9_999_999_999]) {
      expect(await accept(id, third.session)).toMatchObject({ status: 404, body: { code: "not_found" } });
    }
    // Whether the organization exists does not show.
    const [exists, not] = [await accept(here.id, third.session), await accept(999_999, third.session)];
    expect(exists.body.detail.replace(String(here.id), "N")).toBe(not.body.detail.replace("999999", "N"));
    for (const id of [here.id, there.id, 999_999]) {
      expect(await accept(id, there.token)).toMatchObject({ status: 403, body: { code: "forbidden" } });
    }
    expect((await me(there.session)).invitations).toHaveLength(1);
    expect(await here.find(there.admin)).toMatchObject({ status: "INVITED" });
  });

  test("a withdrawn invitation frees its license and cannot be accepted", async () => {
    const [here, there] = [await start(), await start()];
    const before = await here.used();
    const { user } = (await here.add(there.admin, { role: 3 })).body;
    expect((await here.remove(user.idUser)).body.organizationLicenses.used).toBe(before);
    expect(await accept(here.id, there.session)).toMatchObject({ status: 404 });
    expect(await here.find(there.admin)).toBeUndefined();
    // Invited once more it has the names of now, and waits again; so it does after it was accepted and taken away.
    for (const firstName of ["Second", "Third"]) {
      const again = (await here.add(there.admin, { firstName })).body.user;
      expect(again).toEqual({ ...user, firstName, role: 7 });
      expect((await me(there.session)).organizations).toHaveLength(1);
      expect((await accept(here.id, there.session)).status).toBe(200);
      await here.remove(again.idUser);
      expect((await me(there.session)).organizations).toHaveLength(1);
    }
    expect(await here.used()).toBe(before);
  });

  test("a parallel acceptance and removal have one of two outcomes", async () => {
    const [here, there] = [await start(), await start()];
    const before = await here.used();
    for (let round = 0; round < 5; round += 1) {
      const { idUser } = (await here.add(there.admin)).body.user;
      const [accepted, removed] = await Promise.all([accept(here.id, there.session), here.remove(idUser)]);
      expect(removed.status).toBe(200);
      expect([200, 404]).toContain(accepted.status);
      expect(await here.find(there.admin)).toBeUndefined();
      expect((await me(there.session)).organizations).toHaveLength(1);
    }
    expect(await here.used()).toBe(before);
  });

  test("two organizations that invite each other's administrator grant neither anything", async () => {
    const [here, there] = [await start(), await start()];
    await Promise.all([here.add(there.admin, { role: 0 }), there.add(here.admin, { role: 0 })]);
    expect(await Promise.all([here.status(there.session), there.status(here.session)])).toEqual([404, 404]);
    await accept(here.id, there.session);
    expect(await Promise.all([here.status(there.session), there.status(here.session)])).toEqual([200, 404]);
  });

  test("an invited administrator does not count: the last active one cannot be removed", async () => {
    const [here, there] = [await start(), await start()];
    await here.add(there.admin, { role: 0 });
    const remove = { organizationId: here.id, idUser: (await here.find(here.admin))?.idUser ?? 0 };
    const remover = { id: 0, role: -1, isSignedIn: true };
    const removal = () =>
      removeMember(backend.deps.database, { ...remove, remover }, { actor: "test", at: backend.clocks.billing }, 0);
    await expect(removal()).rejects.toMatchObject({ code: "invalid_request" });
    expect(await here.status(here.session)).toBe(200);
    await accept(here.id, there.session);
    await removal();
    expect([await here.status(here.session), await here.status(there.session)]).toEqual([404, 200]);
  });

  test("a user removed elsewhere still has to accept; a user without other organizations becomes a member at once", async () => {
    const [here, there] = [await start(), await start()];
    const leaver = `leaver-${here.id}@example.test`;
    const { idUser } = (await there.add(leaver)).body.user;
    await there.remove(idUser);
    await here.add(leaver, { role: 0 });
    const person = await sessionOf(leaver);
    expect(await me(person)).toMatchObject({ organizations: [], invitations: [{ id: here.id }], user: { role: 7 } });
    // It is not the other organization's any more, whatever happens here.
    const own = `own-${here.id}@example.test`;
    await here.add(own);
    expect(await me(await sessionOf(own))).toMatchObject({ organizations: [{ id: here.id }], invitations: [] });
    await here.remove(((await here.find(own)) as User).idUser);
    await here.add(own);
    expect(await me(await sessionOf(own))).toMatchObject({ organizations: [{ id: here.id }], invitations: [] });
  });

  test("a new email that two organizations add concurrently becomes a member of one and is invited by the other", async () => {
    const [here, there] = [await start(), await start()];
    for (let round = 0; round < 3; round += 1) {
      const email = `both-${round}-${here.id}@example.test`;
      const [one, other] = await Promise.all([here.add(email), there.add(email)]);
      expect(one.body.user.idUser).not.toBe(other.body.user.idUser);
      const { organizations, invitations } = await me(await sessionOf(email));
      expect([organizations.length, invitations.length]).toEqual([1, 1]);
    }
  });

  test("an email seeded in two organizations is one user who has accepted both", async () => {
    const first = organization();
    const second = organization({
      users: first.users.map((user) => ({ ...user, firstName: "Otherwise" })),
      tokens: [],
    });
    await backend.addOrganization(first);
    await backend.addOrganization(second);
    const session = await sessionOf(first.users[0]?.email ?? "");
    expect(await me(session)).toMatchObject({ organizations: [{ id: first.id }, { id: second.id }], invitations: [] });
    const names = await Promise.all(
      [first.id, second.id].map(
        async (id) => (await call(backend, "GET", `/organizations/${id}/users/0`, { token: session })).body[0],
      ),
    );
    expect(names.map(({ firstName }) => firstName)).toEqual(["Ada", "Otherwise"]);
    expect(new Set(names.flatMap(({ idUser, uuid }) => [idUser, uuid])).size).toBe(4);
    for (const user of names) expect(userSchema.strict().parse(user)).toEqual(user);
  });

  describe("API tokens and administrators", () => {
    const boss = (email: string, role = 0) => ({
      email,
      firstName: "Big",
      lastName: "Boss",
      role,
      adminNoTraining: true,
    });

    test.each([0, -1])("cannot add one with role %i, alone or in an import", async (role) => {
      const here = await start();
      const before = { list: await here.list(), used: await here.used(), events: await here.events() };
      const email = `boss-${here.id}@example.test`;
      const plain = { email: `plain-${here.id}@example.test`, firstName: "New", lastName: "User" };
      const answers = [
        await here.add(email, boss(email, role), here.token),
        await here.bring([plain, boss(email, role)], here.token),
        // Someone who is one already is no exception.
        await here.bring([plain, boss(here.admin, role)], here.token),
      ];
      for (const answer of answers) {
        // A role that is never offered is refused by itself.
        const refused = role === 0 ? { status: 403, body: { code: "forbidden" } } : { status: 400 };
        expect(answer).toMatchObject(refused);
      }
      expect({ list: await here.list(), used: await here.used(), events: await here.events() }).toEqual(before);
      expect((await here.add(plain.email, {}, here.token)).status).toBe(201);
    });

    test("cannot remove one, whose tokens keep working; a signed-in administrator can", async () => {
      const here = await start();
      const email = `second-${here.id}@example.test`;
      const { idUser } = (await here.add(email, boss(email))).body.user;
      const own = (await here.find(here.admin)) as User;
      const platform = `platform-${here.id}@example.test`;
      const above = (await here.add(platform, boss(platform))).body.user;
      await backend.deps.database.updateTable("members").set({ role: -1 }).where("id", "=", above.idUser).execute();
      const before = await here.list();
      for (const id of [idUser, own.idUser, above.idUser]) {
        expect(await here.remove(id, here.token)).toMatchObject({ status: 403, body: { code: "forbidden" } });
      }
      expect(await here.list()).toEqual(before);
      expect(await here.status(here.token)).toBe(200);
      expect((await here.remove(idUser)).status).toBe(200);
    });

    test("cannot withdraw an administrator's invitation, but can withdraw any other", async () => {
      const [here, there, third] = [await start(), await start(), await start()];
      const invited = (await here.add(there.admin, boss(there.admin))).body.user;
      const other = (await here.add(third.admin)).body.user;
      expect((await here.remove(invited.idUser, here.token)).status).toBe(403);
      expect((await here.remove(other.idUser, here.token)).status).toBe(200);
      expect((await me(there.session)).invitations).toHaveLength(1);
    });
  });

  describe("the audit log", () => {
    /** Causes an event of every kind about people and tokens. */
    async function happen(scopes: readonly Scope[]) {
      const [here, there] = [await start(scopes), await start()];
      const { idUser } = (await here.add(`gone-${here.id}@example.test`, { role: 3 })).body.user;
      await here.add(there.admin);
      await accept(here.id, there.session);
      await here.remove(idUser);
      const body = { name: "deploy", scopes: ["billing:read", "billing:purchase"], spendLimit: { licenses: 5 } };
      const path = `/organizations/${here.id}/tokens`;
      const { id } = (await call(backend, "POST", path, { token: here.session, body })).body;
      await call(backend, "DELETE", `${path}/${id}`, { token: here.session });
      await buy(backend, here.id, 1, `log-${here.id}`, { token: here.session });
      return { here, tokenId: id };
    }

    test("shows everything to a signed-in administrator", async () => {
      const { here, tokenId } = await happen(["billing:read"]);
      const events = await here.events();
      expect(events.map(({ type }: { type: string }) => type)).toEqual([
        "user.added",
        "user.added",
        "user.accepted",
        "user.removed",
        "token.created",
        "token.revoked",
        "purchase.accepted",
        "purchase.succeeded",
      ]);
      expect(events[0]).toMatchObject({ actor: here.admin, data: { email: `gone-${here.id}@example.test`, role: 3 } });
      expect(events[4].data).toMatchObject({ tokenId, scopes: ["billing:read", "billing:purchase"], limitLicenses: 5 });
    });

    test("shows everything to billing:read, because it is hashed as it is stored", async () => {
      const { here } = await happen(["billing:read"]);
      expect(await here.events(here.token)).toEqual(await here.events());
    });
  });
});
