import { describe, expect, test } from "vitest";
import { type Answer, html, problem, purchaseAnswer, startBackend, testClient } from "./backend.ts";

const base = "/rest/management/v2";
const SESSION = {
  status: "signed_in",
  accessToken: "access",
  refreshToken: "refresh",
  tokenType: "Bearer",
  expiresIn: 900,
  scopes: ["billing:read"],
};
const PAIR = { access_token: "a", refresh_token: "r", token_type: "Bearer", expires_in: 900, scope: "billing:read" };
const GRANT = {
  device_code: "device_1",
  user_code: "ABCD-EFGH",
  verification_uri: "https://billing.example/device",
  expires_in: 600,
};
const TOKEN = {
  id: "tok_1",
  name: "ci",
  scopes: ["billing:read"],
  createdAt: null,
  expiresAt: null,
  expiresIn: null,
  last4: "abcd",
  spendLimit: null,
  createdBy: { email: "admin@northwind.example" },
};

const oauth = (status: number, error: string, more: object = {}): Answer => ({ status, json: { error, ...more } });

test("every call has its method, path and body, and a token only if needed", async () => {
  await using backend = await startBackend(
    { status: 200, json: SESSION },
    { status: 200, json: GRANT },
    { status: 200, json: PAIR },
    { status: 200, json: { items: [TOKEN], next: null } },
    { status: 201, json: { ...TOKEN, token: "sfl_new" } },
    { status: 204 },
  );
  const { client } = testClient(backend.apiUrl);
  expect(await client.mfa("challenge_1", "123456")).toEqual(SESSION);
  expect(await client.authorizeDevice()).toEqual(GRANT);
  expect(await client.deviceTokens("device&1")).toEqual(PAIR);
  expect(await client.tokens(7)).toEqual([TOKEN]);
  const request = { name: "ci", scopes: ["billing:read"] as const };
  expect(await client.createToken(7, { ...request, scopes: [...request.scopes] })).toMatchObject({ token: "sfl_new" });
  expect(await client.revokeApiToken(7, "tok/1")).toBeUndefined();
  expect(backend.seen.map(({ method, url, body, headers }) => [method, url, body, "authorization" in headers])).toEqual(
    [
      ["POST", `${base}/auth/mfa`, '{"challenge":"challenge_1","code":"123456"}', false],
      ["POST", `${base}/oauth/device_authorization`, "client_id=secureflag-licenses", false],
      [
        "POST",
        `${base}/oauth/token`,
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=device%261&client_id=secureflag-licenses",
        false,
      ],
      ["GET", `${base}/organizations/7/tokens`, "", true],
      ["POST", `${base}/organizations/7/tokens`, '{"name":"ci","scopes":["billing:read"]}', true],
      ["DELETE", `${base}/organizations/7/tokens/tok%2F1`, "", true],
    ],
  );
});

test.each([
  ["authorization_pending", oauth(400, "authorization_pending"), "authorization_pending"],
  ["slow_down", oauth(400, "slow_down"), "slow_down"],
  ["access_denied", oauth(400, "access_denied"), "access_denied"],
  ["expired_token", oauth(400, "expired_token"), "expired_token"],
  ["a used code", oauth(400, "invalid_grant", { error_description: "used" }), "unauthenticated"],
  ["another OAuth error", oauth(400, "constructor"), "unexpected_answer"],
  ["an overloaded server", oauth(503, "temporarily_unavailable"), "unavailable"],
  ["a rejection without an OAuth code", html(403), "forbidden"],
  ["a rejection in another format", oauth(401, "invalid_token"), "unauthenticated"],
  ["an unknown client", oauth(401, "invalid_client"), "sign_in_not_offered"],
  ["an unknown grant", oauth(400, "unsupported_grant_type"), "sign_in_not_offered"],
  ["an unknown route", html(404), "sign_in_not_offered"],
  ["an unknown route, as a problem", problem(404, "not_found"), "sign_in_not_offered"],
  ["SecureFlag's own error", { status: 200, json: { error: true, errorMsg: "unauthorized" } }, "sign_in_not_offered"],
] as const)("the device grant answered with %s", async (_what, answer, code) => {
  await using backend = await startBackend(answer);
  await expect(testClient(backend.apiUrl).client.deviceTokens("d")).rejects.toMatchObject({ code });
  expect(backend.seen).toHaveLength(1);
});

test.each([
  ["unauthorized", { status: 200, json: { result: "error", errorMsg: "unauthorized" } }, "unauthenticated"],
  ["Unauthorized, with a status", { status: 401, json: { error: true, errorMsg: "Unauthorized" } }, "unauthenticated"],
  ["another error", { status: 200, json: { error: true, errorMsg: "EmptyUser" } }, "sign_in_not_offered"],
])("a password answered by SecureFlag with %s", async (_what, answer, code) => {
  await using backend = await startBackend(answer);
  const signingIn = testClient(backend.apiUrl).client.login({ email: "a@b.example", password: "p" });
  await expect(signingIn).rejects.toMatchObject({ code });
});

test("an invitation is accepted again if a response is lost, and only the requested organization counts", async () => {
  const joined = { id: 7, name: "Southwind Labs", role: 0 };
  await using backend = await startBackend(problem(503, "unavailable"), { status: 200, json: joined });
  expect(await testClient(backend.apiUrl).client.acceptInvitation(7)).toEqual(joined);
  expect(backend.seen.map(({ method, url }) => [method, url])).toEqual([
    ["POST", `${base}/me/organizations/7/accept`],
    ["POST", `${base}/me/organizations/7/accept`],
  ]);
  for (const answer of [{ status: 200, json: { ...joined, id: 8 } }, html(200)]) {
    await using other = await startBackend(...Array.from({ length: 7 }, () => answer));
    const accepting = testClient(other.apiUrl).client.acceptInvitation(7);
    await expect(accepting).rejects.toMatchObject({ code: "outcome_unknown", hint: expect.stringContaining("list") });
  }
});

test("signing in, one-time codes and new tokens are never sent twice", async () => {
  const calls = [
    (client: ReturnType<typeof testClient>["client"]) => client.login({ email: "a@b.example", password: "p" }),
    (client: ReturnType<typeof testClient>["client"]) => client.mfa("c", "123456"),
    (client: ReturnType<typeof testClient>["client"]) => client.deviceTokens("d"),
    (client: ReturnType<typeof testClient>["client"]) => client.createToken(7, { name: "ci", scopes: ["users:read"] }),
  ];
  for (const call of calls) {
    for (const answer of [problem(503, "unavailable"), html(502)]) {
      await using backend = await startBackend(answer);
      await expect(call(testClient(backend.apiUrl).client)).rejects.toThrow();
      expect(backend.seen).toHaveLength(1);
    }
  }
});

describe("a call that needs a one-time code", () => {
  const NEEDED = problem(401, "mfa_required");
  const WRONG = problem(401, "mfa_invalid");
  const BOUGHT: Answer = { status: 201, json: purchaseAnswer };

  /** Buys against a script; the codes are what a person gives, one question after the other. */
  async function buy(codes: readonly string[], ...script: Answer[]) {
    const backend = await startBackend(...script);
    const refusals: (string | null)[] = [];
    const left = [...codes];
    let clock = 0;
    const { client, waits, lines } = testClient(backend.apiUrl, {
      now: () => clock,
      oneTimeCode: async (refusal) => {
        refusals.push(refusal?.message ?? null);
        // A person who takes ten minutes to find the telephone.
        clock += 600_000;
        return left.shift() ?? null;
      },
    });
    try {
      const outcome = await client
        .createPurchase(4201, "key-1", { quoteId: "quo_1" })
        .catch((error: { code: string }) => ({ failed: error.code }));
      return { outcome, refusals, waits, lines, seen: backend.seen };
    } finally {
      await backend[Symbol.asyncDispose]();
    }
  }

  test("verifies the user with it and is repeated under the same key", async () => {
    const { outcome, seen, waits } = await buy(["123456"], NEEDED, { status: 204 }, BOUGHT);
    expect(outcome).toMatchObject({ purchase: { id: "pur_1" }, replayed: false });
    expect(seen.map(({ url, body, headers }) => [url, body, headers["idempotency-key"]])).toEqual([
      [`${base}/organizations/4201/purchases`, '{"quoteId":"quo_1"}', "key-1"],
      [`${base}/auth/step-up`, '{"code":"123456"}', undefined],
      [`${base}/organizations/4201/purchases`, '{"quoteId":"quo_1"}', "key-1"],
    ]);
    expect(waits).toEqual([]);
  });

  test("asks again after a wrong code, and says so", async () => {
    const { outcome, refusals } = await buy(["1", "2"], NEEDED, WRONG, { status: 204 }, BOUGHT);
    expect(outcome).toMatchObject({ purchase: { id: "pur_1" } });
    expect(refusals).toEqual([null, "It is mfa_invalid"]);
  });

  test.each([
    ["stays rejected without a code", [], [NEEDED], "mfa_required"],
    ["ends with the reason after the last code", ["1"], [NEEDED, WRONG], "mfa_invalid"],
    ["is not prompted for twice", ["1", "2"], [NEEDED, { status: 204 }, NEEDED], "mfa_required"],
    ["ends if signing in is paused", ["1"], [NEEDED, problem(429, "rate_limited")], "rate_limited"],
    ["ends if the code cannot be sent", ["1"], [NEEDED, html(502)], "unreachable"],
  ] as const)("%s", async (_what, codes, script, failed) => {
    const { outcome, seen } = await buy(codes, ...script);
    expect(outcome).toEqual({ failed });
    expect(seen).toHaveLength(script.length);
  });

  test("does not count the user's time: later failures are still retried", async () => {
    const trouble = problem(503, "unavailable");
    const { outcome, waits } = await buy(["1"], NEEDED, { status: 204 }, trouble, BOUGHT);
    expect(outcome).toMatchObject({ purchase: { id: "pur_1" } });
    expect(waits).toHaveLength(1);
  });

  test("reports an earlier purchase under the key as a replay, even if an attempt was rejected", async () => {
    const replay: Answer = { status: 200, json: purchaseAnswer, headers: { "idempotency-replayed": "true" } };
    const { outcome } = await buy(["1"], NEEDED, { status: 204 }, replay);
    expect(outcome).toMatchObject({ replayed: true });
  });

  test("shows neither the code nor a body with --verbose", async () => {
    const { lines } = await buy(["987654"], NEEDED, WRONG);
    expect(lines.join("\n")).not.toContain("987654");
    expect(lines.join("\n")).toContain("/auth/step-up");
  });
});

describe("an exchange", () => {
  const EXCHANGED = {
    access_token: "sfl_1",
    issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
    token_type: "Bearer",
    expires_in: 600,
    scope: "billing:read",
  };
  const request = { organizationId: 7, trust: "nightly", identityToken: "ey.x.y" };

  test("names organization and trust, is sent without a token, and is repeated after a passing failure", async () => {
    await using backend = await startBackend(html(502), { status: 200, json: EXCHANGED });
    const { client } = testClient(backend.apiUrl);
    expect(await client.exchange(request)).toEqual(EXCHANGED);
    const [, sent] = backend.seen;
    expect([sent?.method, sent?.url, "authorization" in (sent?.headers ?? {})]).toEqual([
      "POST",
      `${base}/oauth/token`,
      false,
    ]);
    expect(Object.fromEntries(new URLSearchParams(sent?.body))).toEqual({
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      subject_token: "ey.x.y",
      subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      organization: "7",
      trust: "nightly",
    });
  });

  test.each([
    ["is refused as a sign-in is", oauth(400, "invalid_grant"), "unauthenticated"],
    ["is not offered by older backends", oauth(400, "unsupported_grant_type"), "sign_in_not_offered"],
    ["fails while the issuer cannot be read", oauth(503, "server_error"), "unavailable"],
    ["takes no other kind of token", { status: 200, json: PAIR }, "unexpected_answer"],
  ])("%s", async (_, answer, code) => {
    await using backend = await startBackend(answer);
    await expect(testClient(backend.apiUrl).client.exchange(request)).rejects.toMatchObject({ code });
  });

  test("is no answer to a refresh", async () => {
    await using backend = await startBackend({ status: 200, json: EXCHANGED });
    await expect(testClient(backend.apiUrl).client.refresh("r")).rejects.toMatchObject({ code: "unexpected_answer" });
  });
});
