import { describe, expect, test } from "vitest";
import {
  type Answer,
  declined,
  hangUp,
  html,
  problem,
  purchaseAnswer,
  refusedUrl,
  respond,
  startBackend,
  startTcp,
  testClient,
} from "./backend.ts";

const request = { quoteId: "quo_1" };
const bought: Answer = { status: 201, json: purchaseAnswer };
const replay: Answer = { status: 200, json: purchaseAnswer, headers: { "idempotency-replayed": "true" } };

const cutJson: Answer = (response) => {
  response.writeHead(201, { "content-type": "application/json" });
  response.end(JSON.stringify(purchaseAnswer).slice(0, -20));
};

describe("createPurchase", () => {
  test("sends the quote under its key, and reports when it was sent", async () => {
    await using backend = await startBackend(bought);
    const { client, reached } = testClient(backend.apiUrl);
    const result = await client.createPurchase(4201, "key-1", { ...request, note: "n" });
    expect(result).toEqual({ purchase: purchaseAnswer, replayed: false, requestId: "req_1" });
    expect(reached).toEqual(["C2"]);
    expect(backend.seen).toMatchObject([
      {
        url: expect.stringMatching(/\/4201\/purchases$/),
        headers: { "idempotency-key": "key-1" },
        body: '{"quoteId":"quo_1","note":"n"}',
      },
    ]);
  });

  test("has sent the complete request when it reports so", async () => {
    let arrived = "";
    await using backend = await startTcp((socket) => {
      socket.on("data", (chunk) => {
        arrived += chunk;
      });
    });
    // As a process that is killed at this point: nothing more of it runs.
    const { client, reached } = testClient(backend.apiUrl);
    const call = client.createPurchase(4201, "key-1", request).catch(() => {});
    await expect.poll(() => reached).toEqual(["C2"]);
    await expect.poll(() => arrived).toContain('{"quoteId":"quo_1"}');
    await client.close();
    await call;
  });

  test("leaves the outcome unknown after a response about another key's purchase", async () => {
    await using backend = await startBackend(bought, { status: 200, json: purchaseAnswer });
    const { client } = testClient(backend.apiUrl);
    const unknown = { code: "outcome_unknown", message: expect.stringContaining(purchaseAnswer.id) };
    await expect(client.createPurchase(4201, "key-2", request)).rejects.toMatchObject(unknown);
    await expect(client.purchaseByKey(4201, "key-2")).rejects.toMatchObject(unknown);
  });

  test("reports a replay of an earlier purchase", async () => {
    await using backend = await startBackend(replay);
    const { client } = testClient(backend.apiUrl);
    expect(await client.createPurchase(4201, "key-1", request)).toMatchObject({ replayed: true });
  });

  test("returns the failed purchase after a decline", async () => {
    await using backend = await startBackend(problem(402, "payment_declined", { purchase: declined }));
    const { client } = testClient(backend.apiUrl);
    expect(await client.createPurchase(4201, "key-1", request)).toEqual({
      purchase: declined,
      replayed: false,
      requestId: "req_1",
    });
  });

  test("names the request of a decline as in the body", async () => {
    await using backend = await startBackend(
      problem(402, "payment_declined", { purchase: declined, requestId: "req_9" }),
    );
    const { client } = testClient(backend.apiUrl);
    expect(await client.createPurchase(4201, "key-1", request)).toMatchObject({ requestId: "req_9" });
  });

  test.each<[string, Answer]>([
    ["a lost response", hangUp],
    ["a truncated response", cutJson],
    ["HTML", html(200)],
    ["a redirect", { status: 307, headers: { location: "http://127.0.0.1:1/" } }],
    ["the wrong shape", { status: 201, json: { id: "pur_1" } }],
    ["500", problem(500, "internal")],
    ["502", html(502)],
    ["429", problem(429, "rate_limited")],
    ["a concurrent request", problem(409, "idempotency_key_in_use", {}, { "retry-after": "0" })],
    ["a decline without its purchase", problem(402, "payment_declined")],
    ["HTML with 400", html(400)],
    ["more than 1 MB", { status: 201, json: "x".repeat(1_100_000) }],
  ])("%s is retried with the same key, and the purchase made counts as its own", async (_name, answer) => {
    await using backend = await startBackend(answer, replay);
    const { client } = testClient(backend.apiUrl);
    expect(await client.createPurchase(4201, "key-1", request)).toEqual({
      purchase: purchaseAnswer,
      replayed: false,
      requestId: "req_1",
    });
    expect(backend.seen.map(({ headers, body }) => [headers["idempotency-key"], body])).toEqual([
      ["key-1", '{"quoteId":"quo_1"}'],
      ["key-1", '{"quoteId":"quo_1"}'],
    ]);
  });

  test.each<[string, Answer]>([
    ["lost responses", hangUp],
    ["truncated responses", cutJson],
    ["HTML", html(200)],
    ["500", problem(500, "internal")],
    ["503", html(503)],
    ["concurrent requests", problem(409, "idempotency_key_in_use")],
  ])("six times %s leave the outcome unknown", async (_name, answer) => {
    await using backend = await startBackend(...Array.from({ length: 7 }, () => answer));
    const { client } = testClient(backend.apiUrl);
    const call = client.createPurchase(4201, "key-1", request);
    await expect(call).rejects.toMatchObject({ code: "outcome_unknown", cause: { name: "ClientError" } });
    expect(backend.seen).toHaveLength(6);
  });

  test.each<[string, Answer]>([
    ["a 404 without a code", html(404)],
    ["SecureFlag's own error", { status: 200, json: { error: true, errorMsg: "unauthorized" } }],
  ])("%s leaves the outcome unknown at once", async (_name, answer) => {
    await using backend = await startBackend(answer);
    const { client } = testClient(backend.apiUrl);
    await expect(client.createPurchase(4201, "key-1", request)).rejects.toMatchObject({ code: "outcome_unknown" });
    expect(backend.seen).toHaveLength(1);
  });

  test.each([
    [409, "subscription_changed"],
    [409, "quote_expired"],
    [403, "forbidden"],
    [403, "spend_limit_exceeded"],
    [401, "unauthenticated"],
    [422, "idempotency_key_reused"],
  ])("ends after the rejection %i %s", async (status, code) => {
    await using backend = await startBackend(problem(status, code));
    const { client } = testClient(backend.apiUrl);
    await expect(client.createPurchase(4201, "key-1", request)).rejects.toMatchObject({ code });
    expect(backend.seen).toHaveLength(1);
  });

  test.each([
    [409, "subscription_changed", "subscription_changed"],
    [409, "quote_used", "quote_used"],
    [409, "idempotency_key_void", "idempotency_key_void"],
    [401, "unauthenticated", "outcome_unknown"],
    [403, "insufficient_scope", "outcome_unknown"],
    [409, "subscription_not_purchasable", "outcome_unknown"],
  ])("after a lost response, %i %s ends as %s", async (status, code, expected) => {
    await using backend = await startBackend(hangUp, problem(status, code));
    const { client } = testClient(backend.apiUrl);
    await expect(client.createPurchase(4201, "key-1", request)).rejects.toMatchObject({ code: expected });
  });

  test("leaves the outcome unknown if no token is available after a lost response", async () => {
    await using backend = await startBackend(hangUp);
    const tokens = ["good", null];
    const { client } = testClient(backend.apiUrl, { accessToken: async () => tokens.shift() ?? null });
    await expect(client.createPurchase(4201, "key-1", request)).rejects.toMatchObject({
      code: "outcome_unknown",
      cause: { code: "unauthenticated" },
    });
    const refusing = testClient(backend.apiUrl, { accessToken: async () => Promise.reject(new TypeError("broken")) });
    await expect(refusing.client.createPurchase(4201, "key-1", request)).rejects.toThrow(TypeError);
  });

  test("is only unreachable if nothing was sent", async () => {
    const { client, reached } = testClient(await refusedUrl());
    await expect(client.createPurchase(4201, "key-1", request)).rejects.toMatchObject({ code: "unreachable" });
    expect(reached).toEqual([]);
  });

  test("leaves the outcome unknown after a timeout once sent", async () => {
    await using backend = await startTcp(() => {});
    const { client } = testClient(backend.apiUrl, { timeoutMs: 50 });
    await expect(client.createPurchase(4201, "key-1", request)).rejects.toMatchObject({ code: "outcome_unknown" });
  });

  test("continues under the same key with a renewed token", async () => {
    await using backend = await startBackend(problem(401, "unauthenticated"), bought);
    const { client } = testClient(backend.apiUrl, { renewToken: async () => "new" });
    expect(await client.createPurchase(4201, "key-1", request)).toMatchObject({ replayed: false });
    expect(backend.seen.map(({ headers }) => headers["idempotency-key"])).toEqual(["key-1", "key-1"]);
  });
});

describe("purchaseByKey", () => {
  const odd = { ...purchaseAnswer, idempotencyKey: "a/b %?#" };
  test.each<[string, Answer, unknown]>([
    ["a purchase", { status: 200, json: odd }, { state: "known", purchase: odd }],
    ["404 idempotency_key_unknown", problem(404, "idempotency_key_unknown"), { state: "unknown" }],
    ["409 idempotency_key_void", problem(409, "idempotency_key_void"), { state: "void" }],
  ])("%s", async (_name, answer, expected) => {
    await using backend = await startBackend(answer);
    const { client } = testClient(backend.apiUrl);
    expect(await client.purchaseByKey(4201, "a/b %?#")).toEqual(expected);
    expect(backend.seen[0]?.url).toMatch(/\/purchases\/by-key\/a%2Fb%20%25%3F%23$/);
  });

  test.each<[string, Answer, string]>([
    ["any other 404", html(404), "outcome_unknown"],
    ["HTML", html(200), "outcome_unknown"],
    ["SecureFlag's own error", { status: 401, json: { error: true, errorMsg: "unauthorized" } }, "outcome_unknown"],
    ["500", problem(500, "internal"), "outcome_unknown"],
    ["404 not_found", problem(404, "not_found"), "outcome_unknown"],
    ["403 forbidden", problem(403, "forbidden"), "forbidden"],
  ])("%s fails", async (_name, answer, code) => {
    await using backend = await startBackend(...Array.from({ length: 6 }, () => answer));
    await expect(testClient(backend.apiUrl).client.purchaseByKey(4201, "key-1")).rejects.toMatchObject({ code });
  });

  test("retries after temporary failures", async () => {
    await using backend = await startBackend(html(502), hangUp, problem(404, "idempotency_key_unknown"));
    const { client } = testClient(backend.apiUrl);
    expect(await client.purchaseByKey(4201, "key-1")).toEqual({ state: "unknown" });
  });
});

describe("voidKey", () => {
  test.each<[string, Answer, unknown]>([
    ["204", { status: 204 }, null],
    ["already void, with 409", problem(409, "idempotency_key_void"), null],
    ["200 with the purchase of a key that arrived", { status: 200, json: purchaseAnswer }, purchaseAnswer],
  ])("%s", async (_name, answer, expected) => {
    await using backend = await startBackend(hangUp, answer);
    expect(await testClient(backend.apiUrl).client.voidKey(4201, "key-1")).toEqual(expected);
  });

  test("HTML never means void", async () => {
    const page: Answer = (response) => respond(response, 200, undefined, { "content-type": "text/html" });
    await using backend = await startBackend(...Array.from({ length: 6 }, () => page));
    const { client } = testClient(backend.apiUrl);
    await expect(client.voidKey(4201, "key-1")).rejects.toMatchObject({ code: "outcome_unknown" });
  });
});
