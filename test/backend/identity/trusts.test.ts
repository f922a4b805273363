import { generateKeyPair, UnsecuredJWT } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { inTransaction } from "../../../src/backend/database/transaction.ts";
import { revokeTokensOf } from "../../../src/backend/identity/tokenStore.ts";
import { ACCESS_TOKEN_TYPE, JWT_TYPE, TOKEN_EXCHANGE } from "../../../src/contract/identity.ts";
import { type AddTrustRequest, addTrustRequestSchema, trustSchema } from "../../../src/contract/trusts.ts";
import { type Issuer, startIssuer, type TokenToSign } from "../../support/issuer.ts";
import { buy, call, organization } from "../support/backend.ts";
import { form, idOf, type People, signedIn, startWithPeople } from "../support/people.ts";
import { DIALECTS } from "../support/stores.ts";

const [SECOND, MINUTE, HOUR] = [1, 60, 3_600];

const CLAIMS = { sub: "repo:northwind/tools:ref:refs/heads/main", repository_id: "74", ref: "refs/heads/main" };

const REFUSED = {
  status: 400,
  body: { error: "invalid_grant", error_description: expect.stringContaining("does not match the trust") },
};

describe.each(DIALECTS)("trusts on %s", (dialect) => {
  let people: People;
  let issuer: Issuer;
  let session: string;
  let names = 0;

  beforeAll(async () => {
    [people, issuer] = await Promise.all([startWithPeople(dialect), startIssuer()]);
    await issuer.rotate("RS256");
  });
  afterAll(() => Promise.all([people.close(), issuer.close()]));
  beforeEach(async () => {
    // No test counts the failures of another one, and none finds the keys of another one.
    people.clocks.machine += HOUR * 1000;
    session = (await signedIn(people, people.plain)).accessToken;
    issuer.asked.length = 0;
  });

  const now = () => Math.floor(people.clocks.machine / 1000);

  const request = (method: "GET" | "POST" | "DELETE", more = "", body?: unknown) =>
    call(people, method, `/organizations/${people.organizationId}/trusts${more}`, { token: session, body });

  async function add(changes: Partial<AddTrustRequest> = {}) {
    names += 1;
    const whole = { name: `ci-${names}`, issuer: issuer.url, claims: CLAIMS, scopes: ["billing:read"] };
    return request("POST", "", { ...whole, ...changes });
  }

  const sign = ({ claims = {}, ...more }: Partial<TokenToSign> = {}) =>
    issuer.sign({
      claims: { ...CLAIMS, aud: "http://localhost:80", iat: now(), exp: now() + 5 * MINUTE, ...claims },
      ...more,
    });

  const exchange = (trust: string, token: string, changes: Record<string, string> = {}) =>
    form(people, "token", {
      grant_type: TOKEN_EXCHANGE,
      subject_token: token,
      subject_token_type: JWT_TYPE,
      organization: String(people.organizationId),
      trust,
      ...changes,
    });

  async function events(type: string) {
    const rows = await people.deps.database.selectFrom("events").selectAll().where("type", "=", type).execute();
    return rows.map(({ actor, data_json }) => ({ actor, data: JSON.parse(data_json) }));
  }

  const me = (token: string) => call(people, "GET", "/me", { token });

  test("are added, listed apart from tokens, and removed", async () => {
    const spendLimit = { amount: { amount: 50_000, currency: "GBP" }, licenses: 10 };
    const added = await add({ name: "nightly", scopes: ["billing:purchase", "billing:read"], spendLimit });
    expect(added.status).toBe(201);
    expect(trustSchema.strict().parse(added.body)).toEqual({
      id: expect.stringMatching(/^tru_[0-9a-f]{24}$/),
      name: "nightly",
      issuer: issuer.url,
      claims: CLAIMS,
      scopes: ["billing:read", "billing:purchase"],
      createdAt: new Date(people.clocks.machine).toISOString(),
      spendLimit: { ...spendLimit, amountLeft: spendLimit.amount, licensesLeft: 10 },
      createdBy: { email: people.plain },
    });
    const [newest] = (await request("GET")).body.items;
    expect(newest).toEqual(added.body);
    const tokens = await call(people, "GET", `/organizations/${people.organizationId}/tokens`, { token: session });
    expect(tokens.body.items.map(({ id }: { id: string }) => id)).not.toContain(added.body.id);
    const asToken = `/organizations/${people.organizationId}/tokens/${added.body.id}`;
    expect(await call(people, "DELETE", asToken, { token: session })).toMatchObject({ status: 404 });

    expect(await add({ name: "nightly" })).toMatchObject({ status: 400, body: { errors: [{ path: "name" }] } });
    const { access_token: live } = (await exchange("nightly", await sign())).body;
    expect((await me(live)).status).toBe(200);
    expect((await request("DELETE", `/${added.body.id}`)).status).toBe(204);
    expect((await request("DELETE", `/${added.body.id}`)).status).toBe(204);
    expect((await me(live)).status).toBe(401);
    expect(await exchange("nightly", await sign())).toMatchObject(REFUSED);
    expect((await request("GET")).body.items.map(({ id }: { id: string }) => id)).not.toContain(added.body.id);
    expect((await add({ name: "nightly" })).status).toBe(201);
    const about = {
      actor: people.plain,
      data: expect.objectContaining({ tokenId: added.body.id, name: "trust:nightly" }),
    };
    expect((await events("trust.added")).filter(({ data }) => data.tokenId === added.body.id)).toEqual([
      { ...about, data: expect.objectContaining({ issuer: issuer.url, claims: CLAIMS, limitAmount: 50_000 }) },
    ]);
    expect(await events("trust.removed")).toEqual([about]);
  });

  test("give a token of 10 minutes with their scopes, named after them", async () => {
    const added = await add({ name: "short", scopes: ["billing:read", "billing:purchase"] });
    const exchanged = await exchange("short", await sign());
    expect(exchanged).toMatchObject({ status: 200 });
    expect(exchanged.body).toEqual({
      access_token: expect.stringMatching(/^sfl_/),
      issued_token_type: ACCESS_TOKEN_TYPE,
      token_type: "Bearer",
      expires_in: 600,
      scope: "billing:read billing:purchase",
    });
    const { access_token: token } = exchanged.body;
    expect((await me(token)).body).toMatchObject({
      user: { email: people.plain },
      organizations: [{ id: people.organizationId }],
      token: {
        name: "trust:short",
        scopes: ["billing:read", "billing:purchase"],
        expiresAt: new Date(people.clocks.machine + 600_000).toISOString(),
        expiresIn: 600,
      },
    });
    const bought = await buy(people, people.organizationId, 1, "short", { token });
    expect(bought.body).toMatchObject({ purchasedBy: { email: people.plain, token: "trust:short" } });
    expect((await events("trust.exchanged")).at(-1)).toEqual({
      actor: "token trust:short",
      data: { tokenId: added.body.id, name: "trust:short", subject: CLAIMS.sub },
    });
    const stored = [
      await people.deps.database.selectFrom("token_index").selectAll().execute(),
      await people.deps.database.selectFrom("events").selectAll().execute(),
    ];
    expect(JSON.stringify([stored, people.log])).not.toContain(token);

    people.clocks.machine += 599_999;
    expect((await me(token)).status).toBe(200);
    people.clocks.machine += 1;
    expect((await me(token)).status).toBe(401);
  });

  test("count what all their tokens buy", async () => {
    await add({
      name: "limited",
      scopes: ["billing:read", "billing:purchase"],
      spendLimit: { amount: null, licenses: 3 },
    });
    const identity = await sign();
    const buyOne = async (licenses: number, key: string) => {
      const { access_token: token } = (await exchange("limited", identity)).body;
      return buy(people, people.organizationId, licenses, key, { token });
    };
    expect((await buyOne(2, "limited-1")).status).toBe(201);
    expect(await buyOne(2, "limited-2")).toMatchObject({ status: 403, body: { code: "spend_limit_exceeded" } });
    expect((await buyOne(1, "limited-3")).status).toBe(201);
    expect((await request("GET")).body.items.find(({ name }: { name: string }) => name === "limited")).toMatchObject({
      spendLimit: { licenses: 3, licensesLeft: 0 },
    });
  });

  test("can only do what their scopes allow", async () => {
    await add({ name: "reader" });
    const { access_token: token } = (await exchange("reader", await sign())).body;
    expect(await buy(people, people.organizationId, 1, "reader", { token })).toMatchObject({
      status: 403,
      body: { code: "insufficient_scope" },
    });
    const path = `/organizations/${people.organizationId}/trusts`;
    expect(await call(people, "GET", path, { token })).toMatchObject({ status: 403, body: { code: "forbidden" } });
  });

  test("accept all three algorithms, an audience in an array, numbers and booleans as text", async () => {
    await add({ name: "kinds", claims: { ...CLAIMS, project_number: "12", ref_protected: "true" } });
    const claims = { project_number: 12, ref_protected: true, aud: ["http://localhost:80"] };
    for (const algorithm of ["ES256", "EdDSA", "RS256"] as const) {
      await issuer.rotate(algorithm);
      people.clocks.machine += MINUTE * 1000;
      expect((await exchange("kinds", await sign({ claims }))).status).toBe(200);
    }
  });

  describe("refuse", () => {
    beforeAll(async () => {
      session = (await signedIn(people, people.plain)).accessToken;
      await add({ name: "strict" });
    });

    test.each<[string, () => Promise<string> | string]>([
      ["no token", () => "no token"],
      ["another key under the same ID", async () => sign({ key: (await generateKeyPair("RS256")).privateKey })],
      ["no signature", () => new UnsecuredJWT({ ...CLAIMS, iss: issuer.url, aud: "http://localhost:80" }).encode()],
      [
        "HMAC with the public key",
        async () => sign({ header: { alg: "HS256" }, key: new TextEncoder().encode(await issuer.publicKey()) }),
      ],
      ["another algorithm with the right key", () => sign({ header: { alg: "PS256" } })],
      ["an expired token", () => sign({ claims: { exp: now() - 61 * SECOND } })],
      ["a token without an expiry", () => sign({ claims: { exp: undefined } })],
      ["a token without an instant of issue", () => sign({ claims: { iat: undefined } })],
      ["a token that was issued too long ago", () => sign({ claims: { iat: now() - HOUR - 61 * SECOND } })],
      ["a token that will be issued", () => sign({ claims: { iat: now() + 61 * SECOND } })],
      ["a token that is not valid yet", () => sign({ claims: { nbf: now() + 61 * SECOND } })],
      ["another audience", () => sign({ claims: { aud: "https://other.example" } })],
      ["no audience", () => sign({ claims: { aud: undefined } })],
      ["two audiences", () => sign({ claims: { aud: ["http://localhost:80", "https://other.example"] } })],
      ["an audience twice", () => sign({ claims: { aud: ["http://localhost:80", "http://localhost:80"] } })],
      ["another issuer", () => sign({ claims: { iss: "https://issuer.example" } })],
      ["another value of a claim", () => sign({ claims: { ref: "refs/heads/main2" } })],
      ["a claim that only begins so", () => sign({ claims: { ref: "refs/heads/mai" } })],
      ["a missing claim", () => sign({ claims: { ref: undefined } })],
      ["a claim that is a list", () => sign({ claims: { ref: [CLAIMS.ref] } })],
      ["a claim that is an object", () => sign({ claims: { ref: { [CLAIMS.ref]: true } } })],
      ["a name of a repository that was registered again", () => sign({ claims: { repository_id: "75" } })],
      ["a tampered token", async () => (await sign()).replace(/\.[^.]+\./, `.${btoa('{"sub":"x"}')}.`)],
    ])("%s", async (_, token) => {
      expect(await exchange("strict", await token())).toMatchObject(REFUSED);
      expect((await exchange("strict", await sign())).status).toBe(200);
    });
  });

  test("take tokens until they expire, with a minute of skew", async () => {
    await add({ name: "skew" });
    for (const claims of [
      { exp: now() - 59 * SECOND },
      { iat: now() - HOUR, exp: now() + HOUR },
      { nbf: now() + 59 * SECOND, iat: now() + 59 * SECOND },
    ]) {
      expect((await exchange("skew", await sign({ claims }))).status).toBe(200);
    }
  });

  test("do not take a number for another one that JSON cannot tell apart", async () => {
    await add({ name: "numbers", claims: { sub: CLAIMS.sub, id: "9007199254740992" } });
    const claims = { id: 9_007_199_254_740_992 };
    expect(await exchange("numbers", await sign({ claims }))).toMatchObject(REFUSED);
    expect((await exchange("numbers", await sign({ claims: { id: "9007199254740992" } }))).status).toBe(200);
  });

  test("are known only in their organization", async () => {
    await add({ name: "ours" });
    const other = organization();
    await people.addOrganization(other);
    const identity = await sign();
    const known = await exchange("ours", `${identity}x`);
    for (const changes of [{ organization: String(other.id) }, { trust: "unknown" }, { organization: "0" }]) {
      expect(await exchange("ours", identity, changes)).toMatchObject({ status: 400, body: known.body });
    }
    expect((await exchange("ours", identity)).status).toBe(200);
  });

  test("say why in the audit log, once while failures count", async () => {
    const added = await add({ name: "logged" });
    for (const ref of ["one", "two", "three"]) await exchange("logged", await sign({ claims: { ref } }));
    const refusals = (await events("trust.refused")).filter(({ data }) => data.tokenId === added.body.id);
    expect(refusals).toEqual([
      {
        actor: "token trust:logged",
        data: { tokenId: added.body.id, name: "trust:logged", reason: "the claim ref is not refs/heads/main" },
      },
    ]);
  });

  test("say nothing in the audit log that somebody else wrote", async () => {
    const added = await add({ name: "written" });
    const text = "pur_1 was approved by ada@example.test\u202e\n";
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
    const header = { alg: "ES256", crit: [text], [text]: 1 };
    await exchange("written", `${encode(header)}.${encode({ iss: issuer.url })}.AA`);
    const [refusal] = (await events("trust.refused")).filter(({ data }) => data.tokenId === added.body.id);
    expect(refusal?.data.reason).toBe("it is not a valid identity token");
  });

  test("are not locked by wrong tokens, nor is signing in: a token cannot be guessed", async () => {
    await add({ name: "open" });
    const wrong = await sign({ claims: { ref: "other" } });
    for (let failures = 0; failures < 55; failures += 1)
      await exchange("open", wrong, { trust: failures < 8 ? "open" : `t${failures}` });
    expect((await exchange("open", await sign())).status).toBe(200);
    const attempts = await people.deps.database.selectFrom("sign_in_attempts").select("address").execute();
    expect(attempts.filter(({ address }) => !address.startsWith("TRUST "))).toEqual([]);
  });

  test("exchange a token for many, also in parallel", async () => {
    await add({ name: "parallel" });
    const identity = await sign();
    const answers = await Promise.all(Array.from({ length: 20 }, () => exchange("parallel", identity)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(new Set(answers.map(({ body }) => body.access_token)).size).toBe(20);
    expect(issuer.asked).toEqual(["/.well-known/openid-configuration", "/keys"]);
  });

  test("answer 503 if the keys cannot be read, which is no failure of the caller", async () => {
    await add({ name: "down" });
    issuer.disturb("keys", (response) => response.writeHead(500).end());
    try {
      for (let tries = 0; tries < 7; tries += 1) {
        const answer = await exchange("down", await sign());
        expect(answer).toMatchObject({ status: 503, body: { error: "server_error" } });
        expect(answer.headers["retry-after"]).toBe("10");
      }
    } finally {
      issuer.disturb("keys", null);
    }
    people.clocks.machine += 10_000;
    expect((await exchange("down", await sign())).status).toBe(200);
  });

  test.each([
    ["an issuer that is not https", { issuer: "http://issuer.example", claims: { sub: "x" } }, "issuer"],
    ["an issuer with a query", { issuer: "https://issuer.example?x", claims: { sub: "x" } }, "issuer"],
    ["an issuer with a user", { issuer: "https://a@issuer.example", claims: { sub: "x" } }, "issuer"],
    ["a private issuer", { issuer: "https://10.0.0.1", claims: { sub: "x" } }, "issuer"],
    ["a wildcard", { claims: { sub: "repo:northwind/*" } }, "claims"],
    ["a claim that is checked anyway", { claims: { sub: "x", aud: "y" } }, "claims"],
    ["a name with spaces", { name: "two words" }, "name"],
    ["a foreign currency", { spendLimit: { amount: { amount: 1, currency: "USD" } } }, "spendLimit.amount.currency"],
  ])("are not added with %s", async (_, changes, path) => {
    expect(await add(changes as Partial<AddTrustRequest>)).toMatchObject({ status: 400, body: { errors: [{ path }] } });
  });

  test("no token can be named like a trust", async () => {
    const path = `/organizations/${people.organizationId}/tokens`;
    const body = { name: "trust:ci", scopes: ["billing:read"] };
    expect(await call(people, "POST", path, { token: session, body })).toMatchObject({ status: 400 });
  });

  test("end with the tokens of their creator, for good", async () => {
    const added = await add({ name: "ended" });
    const { access_token: token } = (await exchange("ended", await sign())).body;
    const { database } = people.deps;
    const person = { id: await idOf(people, people.plain), organizationId: people.organizationId };
    const change = { actor: people.codes, at: people.clocks.billing };
    await inTransaction(database, (tx) => revokeTokensOf(tx, person, change, people.clocks.machine));
    expect((await me(token)).status).toBe(401);
    expect(await exchange("ended", await sign())).toMatchObject(REFUSED);
    expect(await events("trust.removed")).toContainEqual({
      actor: people.codes,
      data: { tokenId: added.body.id, name: "trust:ended" },
    });
  });

  test.each([
    ["demoted", { role: 7 }],
    ["removed", { status: "REMOVED" as const }],
    ["only invited", { accepted: 0 }],
  ])("end while their creator is %s", async (name, changes) => {
    await add({ name: name.replace(" ", "-") });
    const identity = await sign();
    const { access_token: token } = (await exchange(name.replace(" ", "-"), identity)).body;
    const member = people.deps.database
      .updateTable("members")
      .where("organization_id", "=", people.organizationId)
      .where("user_id", "=", await idOf(people, people.plain));
    await member.set(changes).execute();
    try {
      expect(await exchange(name.replace(" ", "-"), identity)).toMatchObject(REFUSED);
      const path = `/organizations/${people.organizationId}/subscription`;
      expect([403, 404]).toContain((await call(people, "GET", path, { token })).status);
    } finally {
      await member.set({ role: 0, status: "ACTIVE", accepted: 1 }).execute();
    }
  });
});

describe("the claims of a trust", () => {
  const GITHUB = "https://token.actions.githubusercontent.com";
  const missing = (issuer: string, claims: Record<string, string>) => {
    const parsed = addTrustRequestSchema.safeParse({ name: "ci", issuer, claims, scopes: ["billing:read"] });
    return parsed.success ? null : parsed.error.issues[0]?.message;
  };

  test.each<[string, Record<string, string>, string | null]>([
    [GITHUB, { sub: "x" }, "requires the claim repository_id"],
    [GITHUB, { repository: "a/b", ref: "refs/heads/main" }, "requires the claim repository_id"],
    [GITHUB, { repository_id: "1" }, "requires the claim ref or environment"],
    [GITHUB, { repository_id: "1", environment: "billing" }, null],
    [`${GITHUB}/northwind`, { repository_id: "1", ref: "refs/heads/main" }, null],
    [`${GITHUB}/northwind`, { sub: "x" }, "requires the claim repository_id"],
    ["https://gitlab.com", { sub: "x" }, "requires the claim project_id"],
    ["https://gitlab.com", { project_id: "1" }, "requires the claim ref"],
    ["https://gitlab.com", { project_id: "1", ref: "main" }, "requires the claim ref_protected=true"],
    [
      "https://gitlab.com",
      { project_id: "1", ref: "main", ref_protected: "false" },
      "requires the claim ref_protected=true",
    ],
    ["https://gitlab.com", { project_id: "1", ref: "main", ref_protected: "true" }, null],
    ["https://gitlab.example", { project_id: "1", sub: "x" }, "requires the claim ref"],
    ["https://issuer.example", { repository_id: "1", ref: "x" }, "requires the claim sub"],
    ["https://issuer.example", {}, "requires the claim sub"],
    ["https://issuer.example", { sub: "x" }, null],
  ])("of %s with %o", (issuer, claims, expected) => {
    expect(missing(issuer, claims)).toBe(expected);
  });
});
