import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { hasAnotherAdministrator, readAdministratorSince } from "../../../src/backend/identity/administrators.ts";
import { acceptInvitation, noteSignIn } from "../../../src/backend/identity/memberships.ts";
import { startSession } from "../../../src/backend/identity/sessions.ts";
import { completeSetup, newCodeSecret } from "../../../src/backend/identity/setup.ts";
import { issueTicket } from "../../../src/backend/identity/tickets.ts";
import { removeMember } from "../../../src/backend/users/removal.ts";
import { addMember, addMembers } from "../../../src/backend/users/store.ts";
import { changeRole } from "../../../src/backend/users/sync.ts";
import { user } from "../../support/seed.ts";
import { call, NOON, organization, startBackend, type TestBackend } from "../support/backend.ts";
import { idOf, quickPasswords } from "../support/people.ts";
import { DIALECTS } from "../support/stores.ts";

describe.each(DIALECTS)("since when somebody is an administrator on %s", (dialect) => {
  let backend: TestBackend;
  let id: number;
  let admin: string;
  let email: string;

  beforeAll(async () => {
    backend = await startBackend(dialect, quickPasswords());
  });
  afterAll(() => backend.close());
  beforeEach(async () => {
    const made = organization();
    id = made.id;
    admin = made.users[0]?.email ?? "";
    email = `bob@organization-${id}.test`;
    await backend.addOrganization(made);
    backend.clocks.billing = NOON;
  });

  const by = () => ({ actor: "test", at: backend.clocks.billing });
  const since = async (who = email) => readAdministratorSince(backend.deps.database, id, await idOf(backend, who));
  const isAlone = async (from: number | null = null) =>
    !(await hasAnotherAdministrator(backend.deps.database, id, await idOf(backend, admin), from));
  /** An hour later. */
  const later = () => {
    backend.clocks.billing += 3_600_000;
    return backend.clocks.billing;
  };
  const person = (role = 0) => ({
    uuid: randomUUID(),
    email,
    firstName: "Bob",
    lastName: "New",
    role,
    adminNoTraining: role === 0,
  });
  const add = (role?: number) => addMember(backend.deps.database, id, person(role), by());
  const setUp = async () => {
    const ticket = await issueTicket(backend.deps, await idOf(backend, email), "setup", null);
    await completeSetup(backend.deps, ticket, { passwordHash: "hash", codeSecret: newCodeSecret(backend.deps) });
  };
  const give = (idUser: number, role: number) =>
    changeRole(
      backend.deps.database,
      { organizationId: id, idUser, role, changer: null },
      by(),
      backend.clocks.machine,
    );
  const remove = (idUser: number) =>
    removeMember(backend.deps.database, { organizationId: id, idUser, remover: null }, by(), backend.clocks.machine);

  test("is the anchor date for those of a seed, and for others there is none", async () => {
    expect(await since(admin)).toBe(Date.parse("2026-03-01T00:00:00Z"));
    await add(3);
    await setUp();
    expect(await since()).toBeNull();
    expect(await isAlone()).toBe(true);
  });

  test("is forever for those from before it was kept", async () => {
    const members = backend.deps.database.updateTable("members").where("organization_id", "=", id);
    await members.set({ administrator_since: null }).execute();
    expect(await since(admin)).toBe(0);
  });

  test("is when the account is set up, not when they are added", async () => {
    await add();
    expect(await since()).toBeNull();
    expect(await isAlone()).toBe(true);
    const at = later();
    await setUp();
    expect(await since()).toBe(at);
    expect(await isAlone()).toBe(false);
    later();
    await noteSignIn(backend.deps.database, await idOf(backend, email), later());
    expect(await since()).toBe(at);
  });

  test("is when the invitation is accepted by somebody of another organization", async () => {
    const other = organization({ users: [user({ email })], tokens: [] });
    await backend.addOrganization(other);
    await addMembers(backend.deps.database, id, [person()], by());
    await noteSignIn(backend.deps.database, await idOf(backend, email), later());
    expect(await since()).toBeNull();
    const at = later();
    await acceptInvitation(backend.deps.database, { organizationId: id, userId: await idOf(backend, email) }, by());
    expect(await since()).toBe(at);
  });

  test("begins anew with a promotion, and with the first sign-in after being added again", async () => {
    const { id: idUser } = await add(3);
    await setUp();
    const promoted = later();
    await give(idUser, 0);
    expect(await since()).toBe(promoted);
    const demoted = later();
    await give(idUser, 7);
    expect(await since()).toBeNull();
    expect(await isAlone()).toBe(true);
    expect(await isAlone(demoted - 1)).toBe(false);
    expect(await isAlone(demoted)).toBe(true);
    const again = later();
    await give(idUser, 0);
    expect(await since()).toBe(again);

    const removed = later();
    await remove(idUser);
    expect(await since()).toBeNull();
    expect(await isAlone(removed - 1)).toBe(false);
    expect(await isAlone(removed)).toBe(true);
    later();
    await add();
    expect(await since()).toBeNull();
    const signedIn = later();
    await noteSignIn(backend.deps.database, await idOf(backend, email), signedIn);
    expect(await since()).toBe(signedIn);
    // What ended before is still known.
    expect(await isAlone(removed)).toBe(false);
  });

  test("waits for the account of somebody who was promoted before they set it up", async () => {
    const { id: idUser } = await add(3);
    await give(idUser, 0);
    expect(await since()).toBeNull();
    // They were none, so nothing ends.
    await give(idUser, 7);
    expect(await isAlone(0)).toBe(true);
    await give(idUser, 0);
    const at = later();
    await setUp();
    expect(await since()).toBe(at);
  });

  test("follows a sync", async () => {
    const { id: idUser } = await add(3);
    await setUp();
    const { accessToken } = await startSession(backend.deps, await idOf(backend, admin), null);
    const sync = async (role: number | null) => {
      const users = [admin, ...(role === null ? [] : [email])].map((one) => ({
        email: one,
        firstName: "A",
        lastName: "B",
        ...(one === email && { role }),
      }));
      const path = `/organizations/${id}/users/sync`;
      const body = { users, remove: true };
      const { body: plan } = await call(backend, "POST", path, { token: accessToken, body });
      const applied = await call(backend, "POST", path, { token: accessToken, body: { ...body, plan: plan.plan } });
      expect(applied.body).toMatchObject({ applied: true });
    };
    const promoted = later();
    await sync(0);
    expect(await since()).toBe(promoted);
    await sync(7);
    expect(await since()).toBeNull();
    await give(idUser, 0);
    const removed = later();
    await sync(null);
    expect(await since()).toBeNull();
    expect(await isAlone(removed - 1)).toBe(false);
  });
});
