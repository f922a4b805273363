import { describe, expect, test } from "vitest";
import { isDeeperThan } from "../../src/client/body.ts";
import { readAnswer } from "../../src/client/reading.ts";
import { operations } from "../../src/contract/operations/index.ts";
import { declined, purchaseAnswer, subscription } from "./backend.ts";

const json = { "content-type": "application/json; charset=utf-8" };

function answer(status: number, body: unknown, headers: Record<string, string> = json) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return { kind: "answer", status, headers, body: Buffer.isBuffer(body) ? body : Buffer.from(text) } as const;
}

function nested(levels: number): string {
  return "[".repeat(levels) + "]".repeat(levels);
}

test("isDeeperThan counts objects and arrays", () => {
  expect(isDeeperThan(1, 0)).toBe(false);
  expect(isDeeperThan([], 1)).toBe(false);
  expect(isDeeperThan({ a: [1] }, 1)).toBe(true);
  expect(isDeeperThan(JSON.parse(nested(64)), 64)).toBe(false);
  expect(isDeeperThan(JSON.parse(nested(65)), 64)).toBe(true);
  expect(isDeeperThan(JSON.parse(nested(200_000)), 64)).toBe(true);
});

describe("a subscription", () => {
  const read = (...given: Parameters<typeof answer>) => readAnswer(operations.getSubscription, answer(...given));

  test("is read, ignoring unknown fields", () => {
    expect(read(200, { ...subscription, later: true })).toEqual({ kind: "success", value: subscription });
  });

  test.each([{}, { "content-type": "text/plain; charset=utf-8" }, { "content-type": "text/html" }])(
    "is read as %j",
    (headers) => {
      expect(read(200, subscription, headers)).toEqual({ kind: "success", value: subscription });
    },
  );

  test.each([
    ["HTML", [200, "<html>", { "content-type": "text/html" }], { broken: false }],
    ["text", [200, "unavailable", { "content-type": "text/plain" }], { broken: false }],
    ["text with a number", [200, "42", { "content-type": "text/plain" }], { broken: false }],
    ["text with null", [200, "null", {}], { broken: false }],
    ["compressed", [200, subscription, { ...json, "content-encoding": "gzip" }], { broken: false }],
    ["truncated", [200, JSON.stringify(subscription).slice(0, -5)], { broken: true }],
    ["empty", [200, ""], { broken: true }],
    ["invalid UTF-8", [200, Buffer.from([0x22, 0xff, 0x22])], { broken: true }],
    ["too deeply nested", [200, nested(65)], { broken: false }],
    ["a fractional amount", [200, { ...subscription, version: 1.5 }], { broken: false }],
    ["a status of another call", [201, subscription], { broken: false }],
    ["a redirect", [302, "", { location: "https://elsewhere.example" }], { broken: false }],
    ["an error without a code", [404, { message: "Not Found" }], { broken: false }],
    ["an unknown code", [400, { code: "made_up", detail: "?" }], { broken: false }],
    ["a rejection with a server error status", [500, { code: "forbidden", detail: "?" }], { broken: false }],
  ] as const)("%s is unexpected", (_name, given, expected) => {
    expect(read(given[0], given[1], given[2])).toMatchObject({ kind: "nonsense", ...expected });
  });

  test("names the invalid field", () => {
    const reading = read(200, { ...subscription, term: { ...subscription.term, days: "365" } });
    expect(reading).toMatchObject({ kind: "nonsense", why: expect.stringContaining('"term.days"') });
  });

  test("a problem keeps its members", () => {
    const problem = { code: "forbidden", detail: "Not yours", requestId: "req_9" };
    expect(read(403, problem, { "content-type": "application/problem+json" })).toEqual({
      kind: "problem",
      code: "forbidden",
      problem,
    });
  });

  test.each([200, 401, 500])("SecureFlag's own error shape is parsed with status %i", (status) => {
    for (const shape of [{ result: null, error: true }, { error: true }, { result: "error" }]) {
      for (const headers of [json, {}, { "content-type": "text/html" }]) {
        const own = { ...shape, errorMsg: " EmptyUser\n" };
        expect(read(status, own, headers)).toEqual({ kind: "secureflag_error", message: "EmptyUser" });
      }
      for (const silent of [{}, { errorMsg: "" }, { errorMsg: null }]) {
        expect(read(status, { ...shape, ...silent })).toEqual({ kind: "secureflag_error", message: null });
      }
    }
  });
});

describe("a purchase", () => {
  const read = (...given: Parameters<typeof answer>) => readAnswer(operations.createPurchase, answer(...given));
  const problem = { code: "payment_declined", detail: "Declined" };

  test.each([200, 201, 202])("status %i is a success", (status) => {
    expect(read(status, purchaseAnswer)).toEqual({ kind: "success", value: purchaseAnswer });
  });

  test("a decline contains the failed purchase", () => {
    expect(read(402, { ...problem, purchase: declined })).toEqual({ kind: "success", value: declined });
  });

  test.each([undefined, { id: "pur_1" }, purchaseAnswer])(
    "a decline with the purchase %o is unexpected",
    (purchase) => {
      expect(read(402, { ...problem, purchase })).toMatchObject({ kind: "nonsense" });
    },
  );
});

test("an RFC 6749 error is parsed under /oauth", () => {
  const body = { error: "invalid_grant", error_description: "The token was used" };
  const expected = { kind: "oauth_error", error: "invalid_grant", description: "The token was used" };
  expect(readAnswer(operations.token, answer(400, body))).toEqual(expected);
  expect(readAnswer(operations.me, answer(400, body))).toMatchObject({ kind: "nonsense" });
});
