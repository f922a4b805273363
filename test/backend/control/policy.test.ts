import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { noteSignIn } from "../../../src/backend/identity/memberships.ts";
import { startSession } from "../../../src/backend/identity/sessions.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import { addMember } from "../../../src/backend/users/store.ts";
import { user } from "../../support/seed.ts";
import { call, NOON, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";
import { idOf, quickPasswords, SECRET } from "../support/people.ts";
import { setClock } from "../support/renewing.ts";
import { DIALECTS } from "../support/stores.ts";

const HOUR = 3_600_000;

const DAY = 24 * HOUR;

const gbp = (amount: number) => ({ amount, currency: "GBP" });

const monthly = (amount: number) => ({ amount: gbp(amount), period: "month" });

describe.each(DIALECTS)("the policy on %s", (dialect) => {
  let backend: TestBackend;
  let id: number;
  let [ada, bob, carl]: string[] = [];

  beforeAll(async () => {
    backend = await startBackend(dialect, quickPasswords());
  });
  afterAll(() => backend.close());
  // Whatever a test leaves behind must not be due in the next one.
  afterEach(() => setClock(backend, backend.clocks.billing + HOUR));

  /** An organization with administrators who have one-time codes, and a user. */
  const open = async (...names: string[]) => {
    const made = organization();
    const emailOf = (name: string) => `${name}@organization-${made.id}.test`;
    const people = names.map((name) => user({ email: emailOf(name), totpSecret: SECRET }));
    made.users = [...people, user({ email: emailOf("carl"), role: 7, totpSecret: SECRET, adminNoTraining: false })];
    made.usedLicenses = 1;
    made.tokens = made.tokens.map((token) => ({ ...token, userEmail: emailOf(names[0] ?? "") }));
    await backend.addOrganization(made);
    id = made.id;
    [ada, bob, carl] = ["ada", "bob", "carl"].map(emailOf);
    // After they became administrators.
    setClock(backend, backend.clocks.billing + HOUR);
  };
  beforeEach(() => open("ada", "bob"));

  /** Calls as a person who has just given a one-time code. */
  const as = async (
    email: string | undefined,
    method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
    path: string,
    body?: unknown,
  ) => {
    const { accessToken } = await startSession(backend.deps, await idOf(backend, email ?? ""), backend.clocks.machine);
    return call(backend, method, `/organizations/${id}${path}`, {
      token: accessToken,
      ...(body !== undefined && { body }),
    });
  };
  const set = (email: string | undefined, body: unknown) => as(email, "PUT", "/policy", body);
  const approve = (email: string | undefined, change: string) => as(email, "POST", "/policy/approve", { id: change });
  const reject = (email: string | undefined, change: string) => as(email, "POST", "/policy/reject", { id: change });
  const shown = async () => (await call(backend, "GET", `/organizations/${id}/policy`, { token: tokenOf(id) })).body;
  const events = async () => {
    const all = await call(backend, "GET", `/organizations/${id}/events?limit=100`, { token: tokenOf(id) });
    const items: { type: string; actor: string; data: Record<string, unknown> }[] = all.body.items;
    return items.filter(({ type }) => !type.startsWith("sign_in."));
  };
  const typesOf = async () => (await events()).map(({ type }) => type);
  const later = async (ms: number) => {
    setClock(backend, backend.clocks.billing + ms);
    await sweep(backend.deps);
  };
  const idUserOf = async (email: string | undefined) => {
    const { body } = await as(ada, "GET", "/users/0");
    return (body as { idUser: number; email: string }[]).find((one) => one.email === email)?.idUser ?? 0;
  };
  const roleOf = async (email: string | undefined) => {
    const { body } = await as(ada, "GET", "/users/0");
    return (body as { role: number; email: string }[]).find((one) => one.email === email)?.role ?? null;
  };

  test("is empty at first", async () => {
    expect(await shown()).toEqual({ approvalAbove: null, budget: null, pending: [] });
  });

  test("tightens at once, and settings that are not named stay", async () => {
    const first = await set(ada, { approvalAbove: gbp(50_000) });
    expect(first).toMatchObject({ status: 200, body: { approvalAbove: gbp(50_000), budget: null, pending: [] } });
    await set(bob, { budget: monthly(100_000) });
    expect((await set(ada, { approvalAbove: gbp(40_000) })).body).toEqual({
      approvalAbove: gbp(40_000),
      budget: { amount: gbp(100_000), period: "month", spent: gbp(0), left: gbp(100_000) },
      pending: [],
    });
    const [, , last] = await events();
    expect(last).toMatchObject({
      type: "policy.changed",
      actor: ada,
      data: {
        before: { approvalAbove: 50_000, budget: { amount: 100_000, period: "month" } },
        after: { approvalAbove: 40_000, budget: { amount: 100_000, period: "month" } },
      },
    });
    await sweep(backend.deps);
    const told = backend
      .delivered()
      .filter(({ organizationId, type }) => organizationId === id && type === "policy.changed");
    expect(told.map(({ to, text }) => [to, text])).toContainEqual([
      null,
      `The policy was changed at the request of ${ada}: set the approval threshold to £400.00.`,
    ]);
  });

  test("loosens when a second administrator approves it, and both are told at once", async () => {
    await set(ada, { approvalAbove: gbp(50_000), budget: monthly(100_000) });
    const asked = await set(ada, { approvalAbove: null, budget: monthly(90_000) });
    const [pending] = asked.body.pending;
    expect(asked.body).toMatchObject({ approvalAbove: gbp(50_000), budget: monthly(90_000) });
    expect(pending).toEqual({
      id: expect.stringMatching(/^chg_\d+$/),
      kind: "policy",
      policy: { approvalAbove: null },
      user: null,
      requestedBy: ada,
      requestedAt: new Date(backend.clocks.billing).toISOString(),
      takesEffectAt: null,
    });
    // However long it waits.
    await later(3 * DAY);
    expect((await shown()).approvalAbove).toEqual(gbp(50_000));
    expect(await approve(bob, pending.id)).toMatchObject({ status: 200, body: { approvalAbove: null, pending: [] } });
    expect((await shown()).budget).toMatchObject(monthly(90_000));
    const types = [
      "policy.changed",
      "policy.changed",
      "policy.change_requested",
      "policy.change_approved",
      "policy.changed",
    ];
    expect(await typesOf()).toEqual(types);
    await sweep(backend.deps);
    const texts = backend.delivered().flatMap(({ organizationId, text }) => (organizationId === id ? [text] : []));
    expect(texts).toContain(
      `${ada} asked to set the approval threshold to none. Another administrator can approve it with \`secureflag-licenses organizations policy approve ${pending.id}\`.`,
    );
    expect(texts).toContain(`${bob} approved the change that ${ada} requested: set the approval threshold to none.`);
  });

  test.each([
    ["a higher threshold", { approvalAbove: gbp(50_001) }],
    ["no threshold", { approvalAbove: null }],
    ["a higher budget", { budget: monthly(100_001) }],
    ["a longer period", { budget: { amount: gbp(1), period: "year" } }],
    ["no budget", { budget: null }],
  ])("is not loosened by one administrator who sets it twice: %s", async (_, change) => {
    await set(ada, { approvalAbove: gbp(50_000), budget: monthly(100_000) });
    const before = await shown();
    const first = await set(ada, change);
    const second = await set(ada, change);
    expect(second.body.pending).toHaveLength(1);
    expect(second.body.pending[0].id).not.toBe(first.body.pending[0].id);
    expect({ ...(await shown()), pending: [] }).toEqual(before);
    // The first one was withdrawn: nobody can approve it any more.
    expect(await approve(bob, first.body.pending[0].id)).toMatchObject({ status: 404 });
    expect(await typesOf()).toContain("policy.change_withdrawn");
  });

  test("is loosened by nobody's own approval, and by no API token", async () => {
    await set(ada, { budget: monthly(100_000) });
    const [pending] = (await set(ada, { budget: null })).body.pending;
    expect(await approve(ada, pending.id)).toMatchObject({ status: 403, body: { code: "forbidden" } });
    for (const [method, path, body] of [
      ["PUT", "/policy", { budget: null }],
      ["POST", "/policy/approve", { id: pending.id }],
    ] as const) {
      const answer = await call(backend, method, `/organizations/${id}${path}`, { token: tokenOf(id), body });
      expect(answer).toMatchObject({ status: 403, body: { code: "forbidden" } });
    }
    expect((await shown()).budget).not.toBeNull();
  });

  test("takes one of two approvals at once", async () => {
    await open("ada", "bob", "dora");
    const dora = `dora@organization-${id}.test`;
    await set(ada, { budget: monthly(100_000) });
    const [pending] = (await set(ada, { budget: monthly(200_000) })).body.pending;
    const answers = await Promise.all([approve(bob, pending.id), approve(dora, pending.id)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 404]);
    expect((await typesOf()).filter((type) => type === "policy.change_approved")).toHaveLength(1);
  });

  test("set while a change waits withdraws the change", async () => {
    await set(ada, { budget: monthly(100_000) });
    const [pending] = (await set(ada, { budget: null })).body.pending;
    expect((await set(bob, { budget: monthly(99_000) })).body).toMatchObject({ budget: monthly(99_000), pending: [] });
    expect((await approve(bob, pending.id)).status).toBe(404);
    const withdrawn = (await events()).find(({ type }) => type === "policy.change_withdrawn");
    expect(withdrawn).toMatchObject({ actor: bob, data: { changeId: pending.id, budget: null } });
  });

  test.each([
    ["approvalAbove.currency", { approvalAbove: { amount: 1, currency: "EUR" } }],
    ["budget.amount.currency", { budget: { amount: { amount: 1, currency: "EUR" }, period: "month" } }],
    ["budget.period", { budget: { amount: gbp(1), period: "week" } }],
    ["approvalAbove.amount", { approvalAbove: gbp(-1) }],
  ])("refuses %s", async (path, body) => {
    expect(await set(ada, body)).toMatchObject({ status: 400, body: { code: "invalid_request", errors: [{ path }] } });
  });

  describe("of an organization with one administrator", () => {
    beforeEach(() => open("ada"));

    test("has no threshold", async () => {
      const answer = await set(ada, { approvalAbove: gbp(1) });
      expect(answer).toMatchObject({ status: 409, body: { code: "needs_two_administrators" } });
      expect((await set(ada, { approvalAbove: null })).status).toBe(200);
    });

    test("loosens a day later by itself, and not a moment before", async () => {
      await set(ada, { budget: monthly(100_000) });
      const asked = backend.clocks.billing;
      const [pending] = (await set(ada, { budget: null })).body.pending;
      expect(pending.takesEffectAt).toBe(new Date(asked + DAY).toISOString());
      await later(DAY - 1);
      expect((await shown()).budget).toMatchObject(monthly(100_000));
      await later(1);
      expect(await shown()).toEqual({ approvalAbove: null, budget: null, pending: [] });
      expect((await events()).slice(-2)).toMatchObject([
        { type: "policy.change_due", actor: "backend", data: { changeId: pending.id, requestedBy: ada } },
        { type: "policy.changed", actor: ada },
      ]);
      await later(DAY);
      expect(await typesOf()).toHaveLength(4);
    });

    test("waits a whole day again if it is asked for again", async () => {
      await set(ada, { budget: monthly(100_000) });
      await set(ada, { budget: monthly(200_000) });
      setClock(backend, backend.clocks.billing + 23 * HOUR);
      await set(ada, { budget: null });
      await later(HOUR + 1);
      expect((await shown()).budget).toMatchObject(monthly(100_000));
      await later(23 * HOUR);
      expect((await shown()).budget).toBeNull();
    });

    test("adds an administrator a day later, who then approves nothing that was asked for before", async () => {
      await set(ada, { budget: monthly(100_000) });
      const added = await as(ada, "PATCH", `/users/${await idUserOf(carl)}`, { role: 0 });
      expect(added).toMatchObject({ status: 202, body: { user: { role: 7 }, pending: { kind: "user_update" } } });
      await later(DAY - 1);
      const [, policy] = (await set(ada, { budget: null })).body.pending;
      expect(await roleOf(carl)).toBe(7);
      await later(1);
      expect(await roleOf(carl)).toBe(0);
      expect(await approve(carl, policy.id)).toMatchObject({ status: 403, body: { code: "forbidden" } });
      // What is asked for from now on waits for Carl.
      const [next] = (await set(ada, { budget: null })).body.pending;
      expect(next.takesEffectAt).toBeNull();
      expect((await approve(carl, next.id)).status).toBe(403);
      setClock(backend, backend.clocks.billing + 1);
      const [last] = (await set(ada, { budget: null })).body.pending;
      expect((await approve(carl, last.id)).status).toBe(200);
    });

    test("withdraws a due change that can no longer be made", async () => {
      await set(ada, { budget: monthly(100_000) });
      const body = { email: `eve@organization-${id}.test`, firstName: "Eve", lastName: "New", role: 0 };
      expect(await as(ada, "POST", "/users", body)).toMatchObject({ status: 202, body: { user: null } });
      await backend.deps.database
        .updateTable("subscriptions")
        .set({ licenses: 1 })
        .where("organization_id", "=", id)
        .execute();
      await later(DAY);
      expect((await shown()).pending).toEqual([]);
      expect((await typesOf()).at(-1)).toBe("policy.change_withdrawn");
      expect(backend.log.at(-1)).toContain("1 license is needed");
      expect(await roleOf(body.email)).toBeNull();
    });
  });

  test("waits for a second administrator for a day after the last one left, also one whom the operator added", async () => {
    await open("ada");
    await set(ada, { budget: monthly(100_000) });
    // The operator adds one, who signs in, and Ada asks for their removal, which they approve.
    const dora = `dora@organization-${id}.test`;
    const dorasDetails = {
      uuid: randomUUID(),
      email: dora,
      firstName: "Dora",
      lastName: "New",
      role: 0,
      adminNoTraining: true,
    };
    await addMember(backend.deps.database, id, dorasDetails, { actor: "operator", at: backend.clocks.billing });
    const member = backend.deps.database
      .updateTable("members")
      .where("organization_id", "=", id)
      .where("email", "=", dora);
    // Not set up yet: Ada is the only one.
    expect((await set(ada, { budget: null })).body.pending[0].takesEffectAt).not.toBeNull();
    await member.set({ status: "ACTIVE", administrator_since: backend.clocks.billing }).execute();
    await backend.deps.database.updateTable("users").set({ totp_secret: "kept" }).where("email", "=", dora).execute();
    setClock(backend, backend.clocks.billing + 1);
    const removal = await as(ada, "DELETE", `/users/${await idUserOf(dora)}`);
    expect(removal).toMatchObject({ status: 202, body: { pending: { kind: "user_remove", takesEffectAt: null } } });
    expect((await approve(dora, removal.body.pending.id)).status).toBe(200);
    expect(await roleOf(dora)).toBeNull();
    setClock(backend, backend.clocks.billing + 23 * HOUR);
    expect((await set(ada, { budget: null })).body.pending).toMatchObject([{ takesEffectAt: null }]);
    await later(2 * DAY);
    expect((await shown()).budget).not.toBeNull();
    expect((await set(ada, { budget: null })).body.pending[0].takesEffectAt).not.toBeNull();
    await later(DAY);
    expect((await shown()).budget).toBeNull();
  });

  describe("while it is set", () => {
    beforeEach(async () => {
      await set(ada, { approvalAbove: gbp(50_000) });
    });

    test("adding an administrator waits", async () => {
      const email = `eve@organization-${id}.test`;
      const body = { email, firstName: "Eve", lastName: "New", role: 0, adminNoTraining: true };
      const added = await as(ada, "POST", "/users", body);
      expect(added).toMatchObject({
        status: 202,
        body: { user: null, pending: { kind: "user_add", user: { email, idUser: null, role: 0 }, requestedBy: ada } },
      });
      expect(await roleOf(email)).toBeNull();
      expect((await approve(ada, added.body.pending.id)).status).toBe(403);
      expect((await approve(bob, added.body.pending.id)).status).toBe(200);
      expect(await roleOf(email)).toBe(0);
      expect((await events()).at(-1)).toMatchObject({ type: "user.added", actor: ada, data: { email } });
      const again = await as(ada, "POST", "/users", body);
      expect(again).toMatchObject({ status: 400, body: { code: "invalid_request" } });
    });

    test("promoting and demoting wait, others do not", async () => {
      const carlsId = await idUserOf(carl);
      expect((await as(ada, "PATCH", `/users/${carlsId}`, { role: 3 })).body).toMatchObject({
        user: { role: 3 },
        pending: null,
      });
      const promoted = await as(ada, "PATCH", `/users/${carlsId}`, { role: 0 });
      expect(promoted).toMatchObject({ status: 202, body: { user: { role: 3 } } });
      // Carl cannot approve it, before or after.
      expect((await approve(carl, promoted.body.pending.id)).status).toBe(403);
      const again = await as(bob, "PATCH", `/users/${carlsId}`, { role: 0 });
      expect((await shown()).pending.map(({ id: one }: { id: string }) => one)).toEqual([again.body.pending.id]);
      expect((await approve(ada, again.body.pending.id)).status).toBe(200);
      expect(await roleOf(carl)).toBe(0);
      const demoted = await as(ada, "PATCH", `/users/${carlsId}`, { role: 7 });
      expect(demoted).toMatchObject({ status: 202, body: { user: { role: 0 } } });
      expect((await approve(bob, demoted.body.pending.id)).status).toBe(200);
      expect(await roleOf(carl)).toBe(7);
    });

    test("removing the other administrator waits, and removes nobody's right to approve", async () => {
      const removal = await as(ada, "DELETE", `/users/${await idUserOf(bob)}`);
      expect(removal).toMatchObject({ status: 202, body: { organizationLicenses: { used: 1 } } });
      const [, policy] = (await set(ada, { approvalAbove: null })).body.pending;
      await later(2 * DAY);
      expect(await roleOf(bob)).toBe(0);
      expect((await approve(bob, policy.id)).status).toBe(200);
      expect((await approve(bob, removal.body.pending.id)).status).toBe(200);
      expect(await roleOf(bob)).toBeNull();
      // Without an administrator to approve it, what waits goes on waiting.
      expect((await as(ada, "DELETE", `/users/${await idUserOf(carl)}`)).status).toBe(200);
    });

    test("somebody who was demoted and promoted again approves nothing that was asked for before", async () => {
      await open("ada", "bob", "dora");
      const dora = `dora@organization-${id}.test`;
      await set(ada, { approvalAbove: gbp(50_000) });
      const dorasId = await idUserOf(dora);
      const [policy] = (await set(ada, { approvalAbove: null })).body.pending;
      for (const role of [7, 0]) {
        setClock(backend, backend.clocks.billing + 1);
        const { body } = await as(ada, "PATCH", `/users/${dorasId}`, { role });
        expect((await approve(bob, body.pending.id)).status).toBe(200);
      }
      expect((await approve(dora, policy.id)).status).toBe(403);
      expect((await approve(bob, policy.id)).status).toBe(200);
    });

    test("what waits for a user is withdrawn by giving them the role that they have", async () => {
      const [bobsId, carlsId] = [await idUserOf(bob), await idUserOf(carl)];
      await as(ada, "DELETE", `/users/${bobsId}`);
      await as(ada, "PATCH", `/users/${carlsId}`, { role: 0 });
      await set(ada, { approvalAbove: null });
      const kinds = async () => (await shown()).pending.map(({ kind }: { kind: string }) => kind);
      expect((await kinds()).sort()).toEqual(["policy", "user_remove", "user_update"]);
      const byToken = { token: tokenOf(id), body: { role: 7 } };
      expect((await call(backend, "PATCH", `/organizations/${id}/users/${carlsId}`, byToken)).status).toBe(200);
      expect(await kinds()).toHaveLength(3);
      expect((await as(bob, "PATCH", `/users/${carlsId}`, { role: 7 })).body.pending).toBeNull();
      await as(ada, "PATCH", `/users/${bobsId}`, { role: 0 });
      expect(await kinds()).toEqual(["policy"]);
      // Nor does anything wait for somebody who is gone.
      await as(ada, "PATCH", `/users/${carlsId}`, { role: 0 });
      await as(ada, "DELETE", `/users/${carlsId}`);
      expect(await kinds()).toEqual(["policy"]);
      expect((await typesOf()).slice(-2)).toEqual(["policy.change_withdrawn", "user.removed"]);
    });

    test("lists of users change no administrators", async () => {
      const eve = { email: `eve@organization-${id}.test`, firstName: "Eve", lastName: "New", role: 0 };
      const refused = (path: string) => ({ status: 400, body: { code: "invalid_request", errors: [{ path }] } });
      const imported = await as(ada, "POST", "/users/import", { users: [{ ...eve, email: carl }, eve] });
      expect(imported).toMatchObject(refused("users[1].role"));
      for (const [users, remove, path = "users[0].role"] of [
        [[eve], false],
        [[{ ...eve, email: bob, role: 7 }], false],
        [[{ ...eve, email: carl }], false],
        [[{ ...eve, email: carl, role: 7 }], true, "remove"],
      ] as const) {
        expect(await as(ada, "POST", "/users/sync", { users, remove })).toMatchObject(refused(path));
      }
      const existing = [
        { ...eve, email: bob },
        { ...eve, role: 7 },
      ];
      expect((await as(ada, "POST", "/users/import", { users: existing })).body).toMatchObject({ existing: [0] });
      const kept = [ada, bob, carl].map((email) => ({ ...eve, email, role: email === carl ? 7 : 0 }));
      expect((await as(ada, "POST", "/users/sync", { users: kept, remove: true })).status).toBe(200);
    });

    test("shows people only to those who may see users", async () => {
      await as(ada, "PATCH", `/users/${await idUserOf(carl)}`, { role: 0 });
      const made = await as(ada, "POST", "/tokens", { name: "reader", scopes: ["billing:read"] });
      const read = async (path: string) =>
        (await call(backend, "GET", `/organizations/${id}/${path}`, { token: made.body.token })).body;
      const [change] = (await read("policy")).pending;
      expect(change).toMatchObject({ requestedBy: null, user: { email: null, role: 0 } });
    });

    test("a change is rejected by others or by who asked for it, but nobody keeps themselves", async () => {
      const email = `eve@organization-${id}.test`;
      const eve = { email, firstName: "Eve", lastName: "New", role: 0, adminNoTraining: true };
      const asked = (await as(ada, "POST", "/users", eve)).body.pending.id;
      expect(await reject(bob, asked)).toMatchObject({ status: 200, body: { pending: [] } });
      expect((await approve(bob, asked)).status).toBe(404);
      expect(await events()).toContainEqual(
        expect.objectContaining({
          type: "policy.change_withdrawn",
          actor: bob,
          data: expect.objectContaining({ email }),
        }),
      );
      const own = (await as(ada, "POST", "/users", eve)).body.pending.id;
      expect((await reject(ada, own)).status).toBe(200);

      const removal = (await as(bob, "DELETE", `/users/${await idUserOf(ada)}`)).body.pending.id;
      expect(await reject(ada, removal)).toMatchObject({ status: 403, body: { code: "forbidden" } });
      await as(ada, "PATCH", `/users/${await idUserOf(ada)}`, { role: 0 });
      expect((await shown()).pending).toMatchObject([{ id: removal }]);
      expect((await reject(bob, removal)).body.pending).toEqual([]);
    });

    test("at most 50 changes of one person wait", async () => {
      const adasId = await idOf(backend, ada ?? "");
      const rows = Array.from({ length: 50 }, (_, number) => ({
        organization_id: id,
        id: `chg_${1000 + number}`,
        kind: "user_remove",
        change_json: JSON.stringify({ kind: "user_remove", idUser: number, email: `${number}@x.test`, role: 0 }),
        asked_by: adasId,
        asked_by_email: "x",
        asked_at: NOON,
        due_at: null,
      }));
      await backend.deps.database.insertInto("policy_changes").values(rows).execute();
      const answer = await as(ada, "PATCH", `/users/${await idUserOf(carl)}`, { role: 0 });
      expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request" } });
      expect((await as(bob, "PATCH", `/users/${await idUserOf(carl)}`, { role: 0 })).status).toBe(202);
    });
  });

  test("counts an administrator who was added again and has signed in", async () => {
    const { database } = backend.deps;
    await as(ada, "DELETE", `/users/${await idUserOf(bob)}`);
    await as(ada, "POST", "/users", { email: bob, firstName: "Bob", lastName: "B", role: 7 });
    await noteSignIn(database, await idOf(backend, bob ?? ""), backend.clocks.billing);
    await as(ada, "PATCH", `/users/${await idUserOf(bob)}`, { role: 0 });
    expect((await set(ada, { approvalAbove: gbp(100) })).status).toBe(200);
    await later(HOUR);
    const { pending } = (await set(ada, { approvalAbove: null })).body;
    expect(pending).toMatchObject([{ takesEffectAt: null }]);
    expect((await approve(bob, pending[0].id)).body.approvalAbove).toBeNull();
  });

  test("is not needed to change administrators, whose tokens and requests end with their role", async () => {
    const made = await as(bob, "POST", "/tokens", { name: "bobs", scopes: ["billing:read"] });
    await set(ada, { budget: monthly(100_000) });
    await set(bob, { budget: null });
    expect((await approve(ada, (await shown()).pending[0].id)).status).toBe(200);
    // Without a policy again.
    const bobsId = await idUserOf(bob);
    expect((await as(ada, "PATCH", `/users/${bobsId}`, { role: 3 })).status).toBe(200);
    expect(
      (await events())
        .slice(-2)
        .map(({ type }) => type)
        .sort(),
    ).toEqual(["token.revoked", "user.updated"]);
    await as(ada, "PATCH", `/users/${bobsId}`, { role: 0 });
    const again = await call(backend, "GET", `/organizations/${id}/policy`, { token: made.body.token });
    expect(again.status).toBe(401);
  });

  test("withdraws what an administrator asked for who is none any more", async () => {
    await open("ada", "bob", "dora");
    const dora = `dora@organization-${id}.test`;
    await set(ada, { budget: monthly(100_000) });
    const [policy] = (await set(dora, { budget: null })).body.pending;
    const removal = await as(ada, "DELETE", `/users/${await idUserOf(dora)}`);
    expect((await approve(bob, removal.body.pending.id)).status).toBe(200);
    expect((await shown()).pending).toEqual([]);
    expect((await approve(bob, policy.id)).status).toBe(404);
  });
});
