import { describe, expect, test } from "vitest";
import {
  hangUp,
  html,
  problem,
  purchase,
  purchaseAnswer,
  quote,
  refusedUrl,
  respond,
  startBackend,
  startTcp,
  subscription,
  testClient,
} from "./backend.ts";

const base = "/rest/management/v2/organizations/4201";

describe("requests", () => {
  test("carry the token, ask for no compression and name the tool when reading", async () => {
    await using backend = await startBackend({ status: 200, json: subscription });
    expect(await testClient(backend.apiUrl).client.subscription(4201)).toEqual(subscription);
    expect(backend.seen).toMatchObject([
      {
        method: "GET",
        url: `${base}/subscription`,
        headers: {
          authorization: "Bearer sfl_secret",
          "accept-encoding": "identity",
          "user-agent": "secureflag-licenses/test",
        },
        body: "",
      },
    ]);
  });

  test("treat nothing as unpaid if the backend does not report it", async () => {
    const { unpaid: _, ...untold } = subscription;
    await using backend = await startBackend({ status: 200, json: untold });
    expect(await testClient(backend.apiUrl).client.subscription(4201)).toEqual({ ...subscription, unpaid: null });
  });

  test("reject a response about something else", async () => {
    await using backend = await startBackend(
      { status: 200, json: subscription },
      { status: 200, json: purchaseAnswer },
    );
    const { client } = testClient(backend.apiUrl);
    await expect(client.subscription(7)).rejects.toMatchObject({ code: "unexpected_answer" });
    await expect(client.purchase(4201, "pur_other")).rejects.toMatchObject({ code: "unexpected_answer" });
  });

  test("have the right method, path and body for every other call", async () => {
    const receipt = {
      ...quote,
      ...purchase,
      paymentMethod: null,
      receiptNumber: "R-1",
      issuedAt: purchase.createdAt,
      purchaseId: "pur_1",
    };
    const tokens = {
      access_token: "a",
      refresh_token: "r",
      token_type: "Bearer",
      expires_in: 900,
      scope: "billing:read",
    };
    const state = { now: "2026-11-22T10:00:00Z", captures: [], next: null };
    await using backend = await startBackend(
      { status: 200, json: { status: "mfa_required", challenge: "c", methods: ["totp"] } },
      { status: 200, json: tokens },
      { status: 200 },
      { status: 201, json: quote },
      { status: 200, json: { items: [purchase], next: "c2" } },
      { status: 200, json: purchaseAnswer },
      { status: 200, json: { ...receipt, organization: { id: 4201, name: "N" }, plan: "SMB" } },
      { status: 200, json: [] },
      { status: 200, json: state },
      { status: 200, json: { now: state.now, renewals: [purchase], renewalCount: 2 } },
      { status: 200, json: { items: [], next: null } },
      { status: 200, json: subscription },
      { status: 200, json: subscription },
    );
    const { client } = testClient(backend.apiUrl);
    expect(await client.login({ email: "a@b.example", password: "p w" })).toMatchObject({ status: "mfa_required" });
    expect(await client.refresh("r&1")).toEqual(tokens);
    expect(await client.revoke("t")).toBeUndefined();
    expect(await client.createQuote(4201, 5)).toEqual(quote);
    expect(await client.purchases(4201, { limit: 2, after: "c1" })).toEqual({ items: [purchase], next: "c2" });
    expect(await client.purchase(4201, "pur_1", 20)).toEqual(purchaseAnswer);
    expect(await client.receipt(4201, "pur_1")).toMatchObject({ receiptNumber: "R-1", plan: "SMB" });
    expect(await client.usersPage(4201, 3)).toEqual([]);
    expect(await client.sandboxState()).toEqual(state);
    const moved = { now: state.now, renewals: [purchase], renewalCount: 2 };
    expect(await client.advanceClock({ days: 2 })).toEqual(moved);
    await client.purchases(4201, { kind: "renewal", from: "2026-03-01", to: "2027-03-01" });
    expect(await client.reduceLicenses(4201, { licenses: 23, subscriptionVersion: 7 })).toEqual(subscription);
    expect(await client.cancelReduction(4201)).toEqual(subscription);
    expect(backend.seen.map(({ method, url, body }) => [method, url, body])).toEqual([
      ["POST", "/rest/management/v2/auth/login", '{"email":"a@b.example","password":"p w"}'],
      [
        "POST",
        "/rest/management/v2/oauth/token",
        "grant_type=refresh_token&refresh_token=r%261&client_id=secureflag-licenses",
      ],
      ["POST", "/rest/management/v2/oauth/revoke", "token=t"],
      ["POST", `${base}/quotes`, '{"licenses":5}'],
      ["GET", `${base}/purchases?limit=2&after=c1`, ""],
      ["GET", `${base}/purchases/pur_1?wait=20`, ""],
      ["GET", `${base}/purchases/pur_1/receipt`, ""],
      ["GET", `${base}/users/3`, ""],
      ["GET", "/sandbox", ""],
      ["POST", "/sandbox/clock", '{"days":2}'],
      ["GET", `${base}/purchases?kind=renewal&from=2026-03-01&to=2027-03-01`, ""],
      ["PUT", `${base}/subscription/reduction`, '{"licenses":23,"subscriptionVersion":7}'],
      ["DELETE", `${base}/subscription/reduction`, ""],
    ]);
    expect(backend.seen.filter(({ headers }) => headers.authorization).map(({ url }) => url)).not.toContain("/sandbox");
  });

  test("are not sent without a sign-in or with a malformed token", async () => {
    await using backend = await startBackend();
    const missing = testClient(backend.apiUrl, { accessToken: async () => null }).client;
    await expect(missing.me()).rejects.toMatchObject({ code: "unauthenticated" });
    const broken = testClient(backend.apiUrl, { accessToken: async () => "a\r\nX-Evil: 1" }).client;
    await expect(broken.me()).rejects.toMatchObject({ code: "unauthenticated" });
    expect(backend.seen).toEqual([]);
  });
});

describe("hostile and malformed responses to a read", () => {
  test.each([
    ["HTML", html(200), "unexpected_answer"],
    ["a redirect", { status: 302, headers: { location: "http://127.0.0.1:1/" } }, "unexpected_answer"],
    ["the wrong shape", { status: 200, json: { ...subscription, licenses: null } }, "unexpected_answer"],
    ["more than 1 MB", { status: 200, json: "x".repeat(1_100_000) }, "unexpected_answer"],
    ["a 404 without a code", html(404), "billing_not_offered"],
    ["SecureFlag's own error", { status: 200, json: { error: true, errorMsg: "EmptyUser" } }, "billing_not_offered"],
    ["SecureFlag's rejection", { status: 200, json: { error: true, errorMsg: "unauthorized" } }, "unauthenticated"],
    ["its other error shape", { status: 200, json: { result: "error", errorMsg: "unauthorized" } }, "unauthenticated"],
    [
      "its other shape with 500",
      { status: 500, json: { result: "error", errorMsg: "unauthorized" } },
      "unauthenticated",
    ],
    ["a problem", problem(403, "forbidden"), "forbidden"],
    ["a gateway's own rejection", html(403), "forbidden"],
    ["a gateway's own sign-in page", html(401), "unauthenticated"],
    ["a rejection without a body", { status: 401 }, "unauthenticated"],
    ["a rejection in another format", { status: 403, json: { message: "no" } }, "forbidden"],
  ] as const)("%s ends at once", async (_name, answer, code) => {
    await using backend = await startBackend(answer);
    const { client, waits } = testClient(backend.apiUrl);
    await expect(client.subscription(4201)).rejects.toMatchObject({ name: "ClientError", code });
    expect(backend.seen).toHaveLength(1);
    expect(waits).toEqual([]);
  });

  test("an endless body is cut at 1 MB", async () => {
    let sent = 0;
    await using backend = await startBackend((response) => {
      response.writeHead(200, { "content-type": "application/json" });
      const more = () => {
        while (!response.destroyed && response.write("[".repeat(65_536))) sent += 65_536;
        response.once("drain", more);
      };
      more();
    });
    await expect(testClient(backend.apiUrl).client.subscription(4201)).rejects.toMatchObject({
      code: "unexpected_answer",
    });
    expect(sent).toBeLessThan(50_000_000);
  });

  test("a problem keeps its detail, request ID and wait", async () => {
    const refusal = problem(403, "spend_limit_exceeded", { requestId: "req_7" }, { "retry-after": "9" });
    await using backend = await startBackend(refusal);
    await expect(testClient(backend.apiUrl).client.subscription(4201)).rejects.toMatchObject({
      code: "spend_limit_exceeded",
      message: "It is spend_limit_exceeded",
      status: 403,
      requestId: "req_7",
      retryAfterMs: 9_000,
      problem: { code: "spend_limit_exceeded" },
    });
  });

  test("SecureFlag's own error messages are recognized for calls that it offers", async () => {
    const own = (errorMsg: string) => ({ status: 200, json: { result: null, error: true, errorMsg } });
    await using backend = await startBackend(
      own("unauthorized"),
      own("no such organization"),
      { ...own("no such right"), status: 403 },
      { ...own("no such token"), status: 401 },
      { status: 200, json: { result: "error", errorMsg: "unauthorized" } },
      { status: 503, json: { result: "error", errorMsg: "busy" } },
      { status: 200, json: [] },
    );
    const { client } = testClient(backend.apiUrl);
    await expect(client.usersPage(4201, 0)).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(client.usersPage(4201, 0)).rejects.toMatchObject({
      code: "unexpected_answer",
      message: "The backend reported an error: no such organization",
    });
    await expect(client.usersPage(4201, 0)).rejects.toMatchObject({ code: "forbidden" });
    await expect(client.usersPage(4201, 0)).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(client.usersPage(4201, 0)).rejects.toMatchObject({ code: "unauthenticated" });
    // A passing trouble is tried again, in whatever words.
    expect(await client.usersPage(4201, 0)).toEqual([]);
  });
});

describe("retrying", () => {
  const cut = (response: Parameters<typeof respond>[0]) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": "500" });
    response.write('{"organization":');
    setImmediate(() => response.destroy());
  };
  const slice = { status: 200, headers: { "content-type": "application/json" } };

  test.each([
    ["a lost connection", (response: Parameters<typeof respond>[0]) => void response.destroy()],
    ["a truncated response", cut],
    ["truncated JSON", slice],
    ["408", html(408)],
    ["425", html(425)],
    ["429", problem(429, "rate_limited")],
    ["500", problem(500, "internal")],
    ["502", html(502)],
    ["503", problem(503, "unavailable")],
  ])("repeats a read after %s", async (_name, answer) => {
    await using backend = await startBackend(answer, answer, { status: 200, json: subscription });
    const { client, waits } = testClient(backend.apiUrl);
    expect(await client.subscription(4201)).toEqual(subscription);
    expect(waits).toEqual([150, 300]);
  });

  test.each([
    ["problems", problem(503, "unavailable"), "unavailable"],
    ["gateway pages", html(502), "unreachable"],
    ["lost connections", (response: Parameters<typeof respond>[0]) => void response.destroy(), "unreachable"],
    ["truncated JSON bodies", slice, "unexpected_answer"],
  ] as const)("gives up after six %s", async (_name, answer, code) => {
    await using backend = await startBackend(...Array.from({ length: 7 }, () => answer));
    const { client } = testClient(backend.apiUrl);
    await expect(client.subscription(4201)).rejects.toMatchObject({ code });
    expect(backend.seen).toHaveLength(6);
  });

  test("honors Retry-After, and gives up at once if it exceeds the time left", async () => {
    const busy = (after: string) => problem(429, "rate_limited", {}, { "retry-after": after });
    await using backend = await startBackend(busy("70"), { status: 200, json: subscription }, busy("70"));
    const { client, waits } = testClient(backend.apiUrl);
    await client.subscription(4201);
    expect(waits).toEqual([70_000]);
    // The 70 s of the first call are gone from the command's 120 s.
    await expect(client.subscription(4201)).rejects.toMatchObject({ code: "rate_limited", retryAfterMs: 70_000 });
    expect(waits).toEqual([70_000]);
  });

  test("counts a timeout from the first byte to the last", async () => {
    await using backend = await startBackend(
      (response) => {
        response.writeHead(200, { "content-type": "application/json" });
        const drip = setInterval(() => response.write(" "), 20);
        response.on("close", () => clearInterval(drip));
      },
      { status: 200, json: subscription },
    );
    const { client, lines } = testClient(backend.apiUrl, { timeoutMs: 150 });
    expect(await client.subscription(4201)).toEqual(subscription);
    expect(lines[0]).toContain("no answer (timeout)");
  });

  test("does not time out while the backend waits on purpose", async () => {
    await using backend = await startBackend((response) => {
      setTimeout(() => respond(response, 200, purchaseAnswer), 400);
    });
    const { client } = testClient(backend.apiUrl, { timeoutMs: 200 });
    expect(await client.purchase(4201, "pur_1", 1)).toEqual(purchaseAnswer);
  });

  test("gives up after 20 s of refused connections", async () => {
    let clock = 0;
    const { client } = testClient(await refusedUrl(), {
      now: () => clock,
      sleep: async (ms) => {
        clock += ms + 9_000;
      },
    });
    await expect(client.subscription(4201)).rejects.toMatchObject({ code: "unreachable" });
    expect(clock).toBeGreaterThan(18_000);
    expect(clock).toBeLessThan(30_000);
  });

  test("treats garbage instead of HTTP as no response", async () => {
    await using backend = await startTcp((socket) => socket.end("220 mail.example ESMTP\r\n"));
    await expect(testClient(backend.apiUrl).client.subscription(4201)).rejects.toMatchObject({ code: "unreachable" });
  });

  test.each([
    ["sign-in", (client: ReturnType<typeof testClient>["client"]) => client.login({ email: "a", password: "b" })],
    ["a sent refresh", (client: ReturnType<typeof testClient>["client"]) => client.refresh("r")],
    ["a revocation", (client: ReturnType<typeof testClient>["client"]) => client.revoke("r")],
  ])("never repeats %s", async (_name, call) => {
    await using backend = await startBackend(html(503), html(503));
    const { client } = testClient(backend.apiUrl);
    await expect(call(client)).rejects.toMatchObject({ code: "unreachable" });
    expect(backend.seen).toHaveLength(1);
  });

  test("repeats an unsent refresh, but not a sign-in", async () => {
    const apiUrl = await refusedUrl();
    const refreshing = testClient(apiUrl);
    await expect(refreshing.client.refresh("r")).rejects.toMatchObject({ code: "unreachable" });
    expect(refreshing.waits).toHaveLength(5);
    const signingIn = testClient(apiUrl);
    await expect(signingIn.client.login({ email: "a", password: "b" })).rejects.toMatchObject({ code: "unreachable" });
    expect(signingIn.waits).toEqual([]);
  });
});

type Calls = ReturnType<typeof testClient>["client"];
const request = { name: "ci", scopes: [], expiresInDays: 90, spendLimit: null };

const CHANGES: [string, (client: Calls) => Promise<unknown>, isRepeated: boolean, hint: string][] = [
  ["the sandbox's clock", (client) => client.advanceClock({ days: 1 }), false, "sandbox clock show"],
  ["creating a token", (client) => client.createToken(4201, request), false, "shows it, revoke it"],
  ["revoking a token", (client) => client.revokeApiToken(4201, "tok_1"), true, "tokens list"],
  ["a reduction", (client) => client.reduceLicenses(4201, { licenses: 23, subscriptionVersion: 7 }), true, "status"],
  ["canceling a reduction", (client) => client.cancelReduction(4201), true, "status"],
  ["removing a user", (client) => client.removeUser(4201, 10), true, "users list --all"],
];

describe.each(CHANGES)("%s, without a key", (_, call, isRepeated, hint) => {
  const unknown = { code: "outcome_unknown", hint: expect.stringContaining(hint) };

  test("may have been done after a gateway page", async () => {
    await using backend = await startBackend(html(200));
    await expect(call(testClient(backend.apiUrl).client)).rejects.toMatchObject(unknown);
    expect(backend.seen).toHaveLength(1);
  });

  test.each([
    ["an internal error", problem(500, "internal")],
    ["no response at all", html(503)],
  ])("may have been done after %s", async (_name, answer) => {
    await using backend = await startBackend(...Array.from({ length: 10 }, () => answer));
    await expect(call(testClient(backend.apiUrl).client)).rejects.toMatchObject(unknown);
    expect(backend.seen.length > 1).toBe(isRepeated);
  });
});

test.each<[string, (client: Calls) => Promise<unknown>]>([
  ["a reduction", (client) => client.reduceLicenses(7, { licenses: 23, subscriptionVersion: 7 })],
  ["canceling a reduction", (client) => client.cancelReduction(7)],
])("%s answered with another organization may have been done", async (_, call) => {
  await using backend = await startBackend({ status: 200, json: subscription });
  await expect(call(testClient(backend.apiUrl).client)).rejects.toMatchObject({
    code: "outcome_unknown",
    hint: expect.stringContaining("status"),
  });
});

describe.each(CHANGES.filter(([, , isRepeated]) => isRepeated))("%s, repeated without a key", (_, call, __, hint) => {
  const unknown = { code: "outcome_unknown", hint: expect.stringContaining(hint) };

  test.each([
    ["the backend stays unreachable", hangUp],
    ["it is rate limited", problem(429, "rate_limited")],
    ["a gateway rejects it", html(403)],
    ["a gateway answers 404", html(404)],
  ])("may have been done if a response is lost and then %s", async (_name, answer) => {
    await using backend = await startBackend(hangUp, ...Array.from({ length: 5 }, () => answer));
    await expect(call(testClient(backend.apiUrl).client)).rejects.toMatchObject(unknown);
  });

  test("may have been done if a response is lost and then no connection succeeds", async () => {
    const backend = await startBackend(hangUp);
    const sleep = async () => await backend[Symbol.asyncDispose]();
    await expect(call(testClient(backend.apiUrl, { sleep }).client)).rejects.toMatchObject(unknown);
  });

  test("may have been done if a response is lost and then no token is available", async () => {
    await using backend = await startBackend(hangUp);
    const tokens = ["good", null];
    const { client } = testClient(backend.apiUrl, { accessToken: async () => tokens.shift() ?? null });
    await expect(call(client)).rejects.toMatchObject({ ...unknown, cause: { code: "unauthenticated" } });
  });

  test("was not done if it is rejected after a lost response", async () => {
    await using backend = await startBackend(hangUp, problem(403, "forbidden"));
    await expect(call(testClient(backend.apiUrl).client)).rejects.toMatchObject({ code: "forbidden" });
  });
});

describe("a token unknown to the backend", () => {
  const refused = problem(401, "unauthenticated");
  const good = { status: 200, json: subscription };

  test("is renewed once, and the request is repeated once", async () => {
    await using backend = await startBackend(refused, good);
    let token = "old";
    const renewToken = async () => {
      token = "new";
      return token;
    };
    const { client } = testClient(backend.apiUrl, { accessToken: async () => token, renewToken });
    expect(await client.subscription(4201)).toEqual(subscription);
    expect(backend.seen.map(({ headers }) => headers.authorization)).toEqual(["Bearer old", "Bearer new"]);
  });

  test("fails if it cannot be renewed", async () => {
    await using backend = await startBackend(refused, refused);
    const { client } = testClient(backend.apiUrl, { renewToken: async () => null });
    await expect(client.subscription(4201)).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(testClient(backend.apiUrl).client.subscription(4201)).rejects.toMatchObject({
      code: "unauthenticated",
    });
    expect(backend.seen).toHaveLength(2);
  });

  test("fails if the new token is rejected as well", async () => {
    await using backend = await startBackend(refused, refused);
    const { client } = testClient(backend.apiUrl, { renewToken: async () => "new" });
    await expect(client.subscription(4201)).rejects.toMatchObject({ code: "unauthenticated" });
    expect(backend.seen).toHaveLength(2);
  });

  test("is renewed once for two concurrent calls", async () => {
    await using backend = await startBackend(refused, refused, good, good);
    let renewals = 0;
    let token = "old";
    const renewToken = async () => {
      renewals += 1;
      await new Promise((done) => setTimeout(done, 20));
      token = "new";
      return token;
    };
    const { client } = testClient(backend.apiUrl, { accessToken: async () => token, renewToken });
    await Promise.all([client.subscription(4201), client.subscription(4201)]);
    expect(renewals).toBe(1);
  });

  test("is not renewed after a wrong password", async () => {
    await using backend = await startBackend(refused);
    const { client } = testClient(backend.apiUrl, { renewToken: () => expect.unreachable() });
    const signIn = client.login({ email: "a", password: "b" });
    await expect(signIn).rejects.toMatchObject({ code: "unauthenticated" });
  });

  test("gives an expired sign-in if the refresh token was used", async () => {
    const used = { status: 400, json: { error: "invalid_grant" }, headers: { "content-type": "application/json" } };
    await using backend = await startBackend(used);
    await expect(testClient(backend.apiUrl).client.refresh("r")).rejects.toMatchObject({ code: "unauthenticated" });
  });
});

test("a trace line contains no secret", async () => {
  await using backend = await startBackend(
    { status: 201, json: purchaseAnswer, headers: { "set-cookie": "secret=1" } },
    { status: 200, json: { status: "mfa_required", challenge: "c", methods: [] } },
  );
  const { client, lines } = testClient(backend.apiUrl);
  await client.createPurchase(4201, "key-1", { quoteId: "quo_1" });
  await client.login({ email: "a", password: "secret" });
  expect(lines).toEqual([
    expect.stringMatching(
      /^POST \/rest\/management\/v2\/organizations\/4201\/purchases → 201 in \d+ ms \(try 1, idempotency-key: key-1, x-request-id: req_1, content-type: application\/json\)$/,
    ),
    expect.stringMatching(/^POST \/rest\/management\/v2\/auth\/login → 200 in \d+ ms/),
  ]);
  expect(lines.join()).not.toContain("secret");
});

test("close cancels requests in progress, and nothing is retried", async () => {
  await using backend = await startTcp(() => {});
  const { client, waits } = testClient(backend.apiUrl);
  const call = client.subscription(4201);
  setTimeout(() => client.close(), 50);
  await expect(call).rejects.toMatchObject({ code: "unreachable" });
  await expect(client.subscription(4201)).rejects.toMatchObject({ code: "unreachable" });
  expect(waits).toEqual([]);
});

test("an unused client can be closed", async () => {
  expect(await testClient("https://api.secureflag.com/v2").client.close()).toBeUndefined();
});

describe("proxies", () => {
  test("are used for an https backend with HTTPS_PROXY", async () => {
    const asked: string[] = [];
    await using proxy = await startTcp((socket) => {
      socket.once("data", (chunk) => {
        asked.push(chunk.toString().split("\r\n")[0] ?? "");
        socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
      });
    });
    const env = { HTTPS_PROXY: new URL(proxy.apiUrl).origin, NO_PROXY: "other.example" };
    const { client } = testClient("https://backend.example/v2", { env });
    await expect(client.login({ email: "a", password: "b" })).rejects.toMatchObject({ code: "unreachable" });
    expect(asked).toEqual(["CONNECT backend.example:443 HTTP/1.1"]);
    await client.close();
  });

  test("are not used for this machine, whatever the environment", async () => {
    await using backend = await startBackend({ status: 200, json: subscription });
    const proxy = "http://127.0.0.1:1";
    const env = { HTTP_PROXY: proxy, http_proxy: proxy, HTTPS_PROXY: proxy, https_proxy: proxy, NO_PROXY: "" };
    expect(await testClient(backend.apiUrl, { env }).client.subscription(4201)).toEqual(subscription);
  });

  test("are not used for hosts in NO_PROXY", async () => {
    const proxy = await refusedUrl();
    // A documentation address (RFC 5737) is nobody's.
    const env = { HTTPS_PROXY: new URL(proxy).origin, NO_PROXY: "192.0.2.0/24" };
    const { client, lines } = testClient("https://192.0.2.1/v2", { env, timeoutMs: 50 });
    await expect(client.login({ email: "a", password: "b" })).rejects.toMatchObject({ code: "unreachable" });
    expect(lines.join()).not.toContain("proxy");
    await client.close();
  });

  test("give a clear error if invalid", async () => {
    const { client } = testClient("https://backend.example/v2", { env: { HTTPS_PROXY: "not a url" } });
    await expect(client.me()).rejects.toMatchObject({ code: "insecure_url" });
  });
});
