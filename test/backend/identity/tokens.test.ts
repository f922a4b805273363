import { crc32 } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readUser } from "../../../src/backend/identity/memberships.ts";
import { createApiToken } from "../../../src/backend/identity/tokens.ts";
import { readSubscription } from "../../../src/backend/subscriptions/store.ts";
import { apiTokenSchema, createdTokenSchema, spendLimitSchema } from "../../../src/contract/identity.ts";
import { buy, call, organization } from "../support/backend.ts";
import { idOf, type People, signedIn, startWithPeople } from "../support/people.ts";
import { DIALECTS } from "../support/stores.ts";

const DAY = 86_400_000;

const WHOLE = { name: "ci", scopes: ["billing:read", "billing:purchase"] };

describe.each(DIALECTS)("API tokens on %s", (dialect) => {
  let people: People;
  let token: string;
  const request = (method: "GET" | "POST" | "DELETE", more = "", body?: unknown) =>
    call(people, method, `/organizations/${people.organizationId}/tokens${more}`, { token, body });
  const create = (changes: Record<string, unknown> = {}) => request("POST", "", { ...WHOLE, ...changes });
  const me = (secret: string) => call(people, "GET", "/me", { token: secret });

  const subscription = () => readSubscription(people.deps.database, people.organizationId);

  beforeAll(async () => {
    people = await startWithPeople(dialect);
    token = (await signedIn(people, people.plain)).accessToken;
  });
  afterAll(() => people.close());

  test("are created with a secret that is shown once and works at once", async () => {
    people.clocks.machine += 1;
    const { status, body } = await create({
      spendLimit: { amount: { amount: 50_000, currency: "GBP" }, licenses: 10 },
    });
    expect(status).toBe(201);
    expect(createdTokenSchema.strict().parse(body)).toEqual({
      id: expect.stringMatching(/^tok_/),
      name: "ci",
      scopes: ["billing:read", "billing:purchase"],
      createdAt: new Date(people.clocks.machine).toISOString(),
      expiresAt: new Date(people.clocks.machine + 90 * DAY).toISOString(),
      expiresIn: (90 * DAY) / 1000,
      last4: body.token.slice(-4),
      spendLimit: {
        amount: { amount: 50_000, currency: "GBP" },
        amountLeft: { amount: 50_000, currency: "GBP" },
        licenses: 10,
        licensesLeft: 10,
      },
      createdBy: { email: people.plain },
      token: expect.stringMatching(/^sfl_[\w-]{43}[0-9a-f]{8}$/),
    });
    expect(crc32(body.token.slice(0, -8))).toBe(Number.parseInt(body.token.slice(-8), 16));
    const known = await me(body.token);
    expect(known).toMatchObject({ status: 200, body: { user: { email: people.plain } } });
    expect(known.body.token).toEqual({
      name: "ci",
      scopes: body.scopes,
      expiresAt: body.expiresAt,
      expiresIn: body.expiresIn,
      last4: body.last4,
      spendLimit: body.spendLimit,
    });
    const listed = await request("GET");
    expect(listed.body.items.map((item: unknown) => apiTokenSchema.strict().parse(item))[0]).toEqual(
      (({ token: _, ...rest }) => rest)(body),
    );
    const stored = JSON.stringify([
      await people.deps.database.selectFrom("api_tokens").selectAll().execute(),
      await people.deps.database.selectFrom("events").selectAll().execute(),
      people.log,
    ]);
    expect(stored).not.toContain(body.token);
    expect(stored).not.toContain(body.token.slice(4, 47));
  });

  test("expire on time", async () => {
    const { body } = await create({ expiresInDays: 1, spendLimit: null });
    people.clocks.machine += DAY - 1;
    expect((await me(body.token)).body.token).toMatchObject({ expiresIn: 1, spendLimit: null });
    people.clocks.machine += 1;
    expect(await me(body.token)).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
    token = (await signedIn(people, people.plain)).accessToken;
    const listed = await request("GET");
    const shown = listed.body.items.find(({ id }: { id: string }) => id === body.id);
    expect(shown).toMatchObject({ expiresIn: 0 });
  });

  test("list each scope once, and accept any limit of licenses or money", async () => {
    const { body } = await create({
      scopes: ["users:read", "billing:read", "users:read"],
      spendLimit: { licenses: 0 },
    });
    expect(body.scopes).toEqual(["billing:read", "users:read"]);
    expect(body.spendLimit).toEqual({ amount: null, amountLeft: null, licenses: 0, licensesLeft: 0 });
    expect((await create({ spendLimit: {} })).body.spendLimit).toBeNull();
    expect((await create({ expiresInDays: 366 })).body.expiresIn).toBe((366 * DAY) / 1000);
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["no name", { name: "" }, "name"],
    ["a NUL in the name", { name: "a\0b" }, "name"],
    ["a name over 100 characters", { name: "n".repeat(101) }, "name"],
    ["no scope", { scopes: [] }, "scopes"],
    ["an unknown scope", { scopes: ["billing:read", "all"] }, "scopes[1]"],
    ["0 days", { expiresInDays: 0 }, "expiresInDays"],
    ["367 days", { expiresInDays: 367 }, "expiresInDays"],
    ["half a day", { expiresInDays: 0.5 }, "expiresInDays"],
    ["another currency", { spendLimit: { amount: { amount: 1, currency: "EUR" } } }, "spendLimit.amount.currency"],
    ["a negative amount", { spendLimit: { amount: { amount: -1, currency: "GBP" } } }, "spendLimit.amount.amount"],
    ["a negative number of licenses", { spendLimit: { licenses: -1 } }, "spendLimit.licenses"],
    ["too many licenses", { spendLimit: { licenses: 2 ** 31 } }, "spendLimit.licenses"],
    ["an unknown field", { token: "sfl_mine" }, "token"],
  ])("are not created with %s", async (_, changes, path) => {
    const answer = await create(changes);
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request" } });
    expect(answer.body.errors.map((error: { path: string }) => error.path)).toEqual([path]);
  });

  test.each([
    ["another currency", { amount: { amount: 1, currency: "EUR" } }, "spendLimit.amount.currency", "GBP"],
    ["a negative amount", { amount: { amount: -1, currency: "GBP" } }, "spendLimit.amount.amount", "not be negative"],
    ["too many licenses", { licenses: 2 ** 31 }, "spendLimit.licenses", `${2 ** 31 - 1}`],
  ])("are not created with a limit of %s, even if the schema accepts it", async (_, spendLimit, path, reason) => {
    const user = await readUser(people.deps.database, await idOf(people, people.plain));
    const refused = createApiToken(people.deps, await subscription(), user, {
      name: "ci",
      scopes: ["billing:read"],
      spendLimit,
    });
    await expect(refused).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining(path),
      extra: { errors: [{ path, message: expect.stringContaining(reason) }] },
    });
  });

  test.each([
    [{ amount: { amount: 0, currency: "GBP" } }, { amountLeft: { amount: 0, currency: "GBP" }, licensesLeft: null }],
    [{ licenses: 2 ** 31 - 1 }, { amountLeft: null, licensesLeft: 2 ** 31 - 1 }],
  ])("accept the limit %j", async (spendLimit, left) => {
    expect(await create({ spendLimit })).toMatchObject({
      status: 201,
      body: { spendLimit: { ...spendLimit, ...left } },
    });
  });

  test("end in an eight-digit checksum, even one with a leading 0", async () => {
    const user = await readUser(people.deps.database, await idOf(people, people.plain));
    const bodies = Array.from({ length: 256 }, (_, byte) => `sfl_${Buffer.alloc(32, byte).toString("base64url")}`);
    const byte = bodies.findIndex((body) => crc32(body) < 16 ** 7);
    const deps = { ...people.deps, random: (bytes: number) => Buffer.alloc(bytes, byte) };
    const created = await createApiToken(deps, await subscription(), user, { name: "ci", scopes: ["billing:read"] });
    expect(created.token).toBe(`${bodies[byte]}0${crc32(bodies[byte] ?? "").toString(16)}`);
  });

  test("from before creation dates were stored have none", async () => {
    const { id } = (await create()).body;
    await people.deps.database.updateTable("api_tokens").set({ created_at: null }).where("id", "=", id).execute();
    const { body } = await request("GET");
    expect(body.items.find((item: { id: string }) => item.id === id)).toMatchObject({ createdAt: null });
  });

  test("are listed newest first, and stop working and disappear when revoked", async () => {
    const made: { id: string; token: string }[] = [];
    for (const name of ["first", "second", "third"]) {
      people.clocks.machine += 1;
      made.push((await create({ name })).body);
    }
    const ids = async () => (await request("GET")).body.items.map(({ id }: { id: string }) => id);
    const [first, second, third] = made.map(({ id }) => id);
    expect((await ids()).slice(0, 3)).toEqual([third, second, first]);
    for (let again = 0; again < 2; again += 1) {
      expect(await request("DELETE", `/${second}`)).toMatchObject({ status: 204, body: null });
    }
    expect((await ids()).slice(0, 2)).toEqual([third, first]);
    expect((await me(made[1]?.token ?? "")).status).toBe(401);
    expect((await me(made[2]?.token ?? "")).status).toBe(200);
    expect((await request("GET")).body.next).toBeNull();
  });

  test("of another organization are not found, and neither are unknown ones", async () => {
    const other = organization();
    await people.addOrganization(other);
    const [theirs] = await people.deps.database
      .selectFrom("api_tokens")
      .select("id")
      .where("organization_id", "=", other.id)
      .execute();
    for (const id of [theirs?.id, "tok_unknown"]) {
      expect(await request("DELETE", `/${id}`)).toMatchObject({ status: 404, body: { code: "not_found" } });
    }
    expect((await call(people, "GET", "/me", { token: other.tokens?.[0]?.token ?? "" })).status).toBe(200);
  });

  test("appear in the audit log from creation to revocation, once each", async () => {
    const { body } = await create({ name: "audited", spendLimit: { licenses: 3 } });
    await Promise.all([request("DELETE", `/${body.id}`), request("DELETE", `/${body.id}`)]);
    const { body: log } = await call(people, "GET", `/organizations/${people.organizationId}/events?limit=100`, {
      token,
    });
    const about = log.items.filter(({ data }: { data: { tokenId?: string } }) => data.tokenId === body.id);
    expect(about).toMatchObject([
      {
        type: "token.created",
        actor: people.plain,
        data: { name: "audited", scopes: WHOLE.scopes, limitAmount: null, limitLicenses: 3 },
      },
      { type: "token.revoked", actor: people.plain, data: { name: "audited" } },
    ]);
    expect(about).toHaveLength(2);
  });

  test("are limited to 100 active ones, even when created in parallel", async () => {
    const { database, now } = people.deps;
    const live = await database
      .selectFrom("api_tokens")
      .select("id")
      .where("organization_id", "=", people.organizationId)
      .where("revoked_at", "is", null)
      .where((where) => where.or([where("expires_at", "is", null), where("expires_at", ">", now())]))
      .execute();
    /** Rivals that always got in the way are asked to try again. */
    const createAmongRivals = async () => {
      for (;;) {
        const answer = await create();
        if (answer.status !== 503) return answer;
      }
    };
    const answers = await Promise.all(Array.from({ length: 105 - live.length }, createAmongRivals));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(100 - live.length);
    const refused = answers.find(({ status }) => status !== 201);
    expect(refused).toMatchObject({ status: 400, body: { code: "invalid_request" } });
    expect(refused?.body.detail).toContain("100");
    await request("DELETE", `/${live[0]?.id}`);
    expect((await create()).status).toBe(201);
  });
});

describe.each(DIALECTS)("a spending limit on %s", (dialect) => {
  /** Buys licenses with a token, and quotes again whenever another purchase came in between. */
  async function buyAgainstAll(people: People, licenses: number, key: string, token: string) {
    for (let attempt = 0; attempt < 40; attempt += 1) {
      const answer = await buy(people, people.organizationId, licenses, `${key}-${attempt}`, { token });
      if (answer.body.code !== "subscription_changed") return answer;
    }
    throw new RangeError("another purchase came between 40 times");
  }

  test.each([
    // One license costs £45.83 until the renewal with tax, so that about five fit.
    ["licenses", { licenses: 7 }],
    ["money", { amount: { amount: 30_000, currency: "GBP" } }],
  ])("of %s is not exceeded by 20 concurrent purchases", async (_, spendLimit) => {
    const people = await startWithPeople(dialect);
    const session = await signedIn(people, people.plain);
    const made = await call(people, "POST", `/organizations/${people.organizationId}/tokens`, {
      token: session.accessToken,
      body: { ...WHOLE, spendLimit },
    });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => buyAgainstAll(people, 1 + (index % 3), `k${index}`, made.body.token)),
    );
    const bought = answers.filter(({ status }) => status === 201).map(({ body }) => body);
    const refused = answers.filter(({ status }) => status !== 201);
    expect(refused.map(({ status, body }) => [status, body.code])).toEqual(
      Array(refused.length).fill([403, "spend_limit_exceeded"]),
    );
    expect(refused.every(({ body }) => /has .+ left of its .+ this month/.test(body.detail))).toBe(true);
    const spent = {
      licenses: bought.reduce((sum, { licenses }) => sum + licenses, 0),
      amount: bought.reduce((sum, { total }) => sum + total.amount, 0),
    };
    const { body: now } = await call(people, "GET", "/me", { token: made.body.token });
    const left = spendLimitSchema.parse(now.token.spendLimit);
    expect(bought.length).toBeGreaterThan(0);
    if (left.licenses !== null) expect(spent.licenses + (left.licensesLeft ?? 0)).toBe(left.licenses);
    if (left.amount !== null) expect(spent.amount + (left.amountLeft?.amount ?? 0)).toBe(left.amount.amount);
    const smallest = Math.min(...bought.map(({ total, licenses }) => total.amount / licenses));
    expect(left.licensesLeft ?? (left.amountLeft?.amount ?? 0) / smallest).toBeLessThan(1);
    await people.close();
  });
});
