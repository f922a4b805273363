import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { membershipsOf } from "../../../src/backend/identity/memberships.ts";
import { waitFor } from "../../support/wait.ts";
import { call, organization, tokenOf } from "../support/backend.ts";
import { answer, challengeOf, code, idOf, login, type People, startWithPeople, wrongCode } from "../support/people.ts";
import { DIALECTS } from "../support/stores.ts";

const MINUTE = 60_000;

describe.each(DIALECTS)("the event log of sign-ins on %s", (dialect) => {
  let people: People;
  const others = [organization(), organization()];

  /** The sign-ins of an organization. */
  async function signIns(id = people.organizationId): Promise<string[]> {
    const path = `/organizations/${id}/events?limit=100&type=sign_in`;
    const { body } = await call(people, "GET", path, { token: tokenOf(id) });
    return body.items.map(
      ({ type, actor, data }: Record<string, unknown>) => `${type} ${actor} ${JSON.stringify(data)}`,
    );
  }

  const wrong = (email: string, address = "192.0.2.1") =>
    call(people, "POST", "/auth/login", { body: { email, password: "wrong" }, address });

  const failed = (email: string) => `sign_in.failed ${email} {}`;
  const succeeded = (email: string) => `sign_in.succeeded ${email} {}`;

  beforeAll(async () => {
    people = await startWithPeople(dialect);
    // The person administers the first of the others, and is a user of the second.
    for (const [index, made] of others.entries()) {
      const [admin] = made.users;
      const role = index === 0 ? 0 : 7;
      if (admin) made.users.push({ ...admin, email: people.plain, role });
      await people.addOrganization(made);
    }
    await people.deps.database.updateTable("members").set({ accepted: 1 }).execute();
    expect(await membershipsOf(people.deps.database, await idOf(people, people.plain))).toHaveLength(3);
  });
  afterAll(() => people.close());
  // Every test has a window of its own.
  beforeEach(() => {
    people.clocks.machine += 20 * MINUTE;
  });

  test("has a person's in each organization that they administer, and no others", async () => {
    expect((await login(people, people.plain)).status).toBe(200);
    expect(await signIns()).toEqual([succeeded(people.plain)]);
    expect(await signIns(others[0]?.id)).toEqual([succeeded(people.plain)]);
    expect(await signIns(others[1]?.id)).toEqual([]);
  });

  test("has those with a one-time code once they are complete", async () => {
    const before = await signIns();
    const challenge = await challengeOf(people);
    expect(await signIns()).toEqual(before);
    expect((await answer(people, challenge, code(people))).status).toBe(200);
    expect(await signIns()).toEqual([...before, succeeded(people.codes)]);
  });

  test("has one failure of an account within 15 minutes, also of parallel ones from many addresses", async () => {
    const before = await signIns();
    const addresses = Array.from({ length: 12 }, (_, index) => `192.0.2.${index % 4}`);
    await Promise.all(addresses.map((address) => wrong(people.plain, address)));
    await waitFor(async () => (await signIns()).length > before.length);
    await wrong(people.plain, "198.51.100.1");
    await wrong(people.codes);
    await waitFor(async () => (await signIns()).includes(failed(people.codes)));
    expect(await signIns()).toEqual([...before, failed(people.plain), failed(people.codes)]);
    expect((await signIns(others[0]?.id)).filter((one) => one === failed(people.plain))).toHaveLength(1);
    people.clocks.machine += 16 * MINUTE;
    await wrong(people.plain);
    await waitFor(async () => (await signIns()).length === before.length + 3);
  });

  test("has wrong one-time codes, and nothing of unknown accounts", async () => {
    const before = await signIns();
    await wrong("nobody@example.test");
    const challenge = await challengeOf(people);
    await answer(people, challenge, wrongCode(people));
    await waitFor(async () => (await signIns()).length > before.length);
    expect(await signIns()).toEqual([...before, failed(people.codes)]);
    const events = await people.deps.database.selectFrom("events").selectAll().execute();
    expect(JSON.stringify(events)).not.toMatch(/nobody@example\.test|192\.0\.2|127\.0\.0/);
  });
});
