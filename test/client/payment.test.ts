import { describe, expect, test } from "vitest";
import {
  type Answer,
  declined,
  hangUp,
  html,
  problem,
  purchaseAnswer,
  refusedUrl,
  startBackend,
  testClient,
} from "./backend.ts";

const paid: Answer = { status: 200, json: purchaseAnswer };
const open: Answer = { status: 202, json: { ...purchaseAnswer, status: "requires_approval" } };

describe("payPurchase", () => {
  test.each([
    ["paid", paid, "succeeded"],
    ["in progress", open, "requires_approval"],
    ["declined again", problem(402, "payment_declined", { purchase: declined }), "failed"],
  ])("returns the purchase: %s", async (_what, answer, status) => {
    await using backend = await startBackend(answer);
    const { client } = testClient(backend.apiUrl);
    expect(await client.payPurchase(4201, "pur_1")).toMatchObject({ id: "pur_1", status });
    expect(backend.seen).toMatchObject([
      { method: "POST", url: expect.stringMatching(/\/4201\/purchases\/pur_1\/payment$/), body: "" },
    ]);
    expect(backend.seen[0]?.headers).not.toHaveProperty("idempotency-key");
  });

  test.each([
    ["a dropped connection", hangUp, "outcome_unknown"],
    ["503", problem(503, "unavailable"), "outcome_unknown"],
    ["HTML", html(502), "outcome_unknown"],
    ["HTML with 200", html(200), "outcome_unknown"],
    ["a decline without its purchase", problem(402, "payment_declined"), "outcome_unknown"],
    ["another purchase", { status: 200, json: { ...purchaseAnswer, id: "pur_2" } }, "outcome_unknown"],
    ["a rejection", problem(409, "not_payable"), "not_payable"],
  ])("%s never causes a second attempt", async (_what, answer, code) => {
    await using backend = await startBackend(answer, paid);
    const { client } = testClient(backend.apiUrl);
    await expect(client.payPurchase(4201, "pur_1")).rejects.toMatchObject({ code });
    expect(backend.seen).toHaveLength(1);
  });

  test("is retried only while it certainly was not sent", async () => {
    const { client, waits } = testClient(await refusedUrl());
    await expect(client.payPurchase(4201, "pur_1")).rejects.toMatchObject({ code: "unreachable" });
    expect(waits.length).toBeGreaterThan(0);
  });
});

describe("approvePurchase", () => {
  const digest = "d1".repeat(32);

  test.each([
    ["paid", paid, "succeeded"],
    ["in progress", open, "requires_approval"],
    ["declined", problem(402, "payment_declined", { purchase: declined }), "failed"],
  ])("names the digest, is repeated after failures, and returns the purchase: %s", async (_what, answer, status) => {
    await using backend = await startBackend(hangUp, problem(503, "unavailable"), answer);
    const { client } = testClient(backend.apiUrl);
    expect(await client.approvePurchase(4201, "pur_1", digest)).toMatchObject({ id: "pur_1", status });
    expect(backend.seen.map(({ url, body }) => [url, body])).toEqual(
      Array(3).fill([expect.stringMatching(/\/4201\/purchases\/pur_1\/approve$/), JSON.stringify({ digest })]),
    );
  });

  test("leaves open what another purchase in the answer means", async () => {
    await using backend = await startBackend({ status: 200, json: { ...purchaseAnswer, id: "pur_2" } });
    const { client } = testClient(backend.apiUrl);
    await expect(client.approvePurchase(4201, "pur_1", digest)).rejects.toMatchObject({
      code: "outcome_unknown",
      hint: "See `secureflag-licenses purchases show pur_1`; approving again is safe.",
    });
  });
});

describe("rejectPurchase", () => {
  test("sends the reason, and is repeated after failures", async () => {
    const rejected = { ...declined, failure: { code: "rejected", message: "Too many" } };
    await using backend = await startBackend(hangUp, { status: 200, json: rejected });
    const { client } = testClient(backend.apiUrl);
    expect(await client.rejectPurchase(4201, "pur_1", "Too many")).toMatchObject({ failure: { code: "rejected" } });
    expect(backend.seen.map(({ body }) => body)).toEqual(Array(2).fill('{"reason":"Too many"}'));
  });
});

describe("cancelPurchase", () => {
  const canceled: Answer = {
    status: 200,
    json: { ...declined, failure: { code: "payment_canceled", message: "The purchase was canceled." } },
  };

  test("is repeated after failures, because canceling is idempotent", async () => {
    await using backend = await startBackend(hangUp, problem(503, "unavailable"), canceled);
    const { client } = testClient(backend.apiUrl);
    expect(await client.cancelPurchase(4201, "pur_1")).toMatchObject({ failure: { code: "payment_canceled" } });
    expect(backend.seen.map(({ url }) => url)).toEqual(
      Array(3).fill(expect.stringMatching(/\/purchases\/pur_1\/cancel$/)),
    );
  });

  test.each<[string, Answer]>([
    ["HTML", html(200)],
    ["a response of another shape", { status: 200, json: {} }],
    ["another purchase", { status: 200, json: { ...purchaseAnswer, id: "pur_2" } }],
  ])("%s leaves open whether it was canceled", async (_what, answer) => {
    await using backend = await startBackend(answer);
    await expect(testClient(backend.apiUrl).client.cancelPurchase(4201, "pur_1")).rejects.toMatchObject({
      code: "outcome_unknown",
      hint: "See `secureflag-licenses purchases show pur_1`; canceling again is safe.",
    });
    expect(backend.seen).toHaveLength(1);
  });

  test("fails if refused", async () => {
    await using backend = await startBackend(problem(409, "not_cancelable"));
    const { client } = testClient(backend.apiUrl);
    await expect(client.cancelPurchase(4201, "pur_1")).rejects.toMatchObject({ code: "not_cancelable" });
  });
});
