import { describe, expect, test } from "vitest";
import type { RawRequest } from "../../src/client/raw.ts";
import type { OperationId } from "../../src/contract/operations/index.ts";
import { operations } from "../../src/contract/operations/index.ts";
import {
  type Answer,
  declined,
  hangUp,
  problem,
  purchaseAnswer,
  startBackend,
  subscription,
  testClient,
} from "./backend.ts";

const params = { organizationId: "4201" };

function request(id: OperationId, more: Partial<RawRequest> = {}): RawRequest {
  return { id, operation: operations[id], params, query: {}, asPdf: false, ...more };
}

async function send(asked: RawRequest, ...script: Answer[]) {
  await using backend = await startBackend(...script);
  const { client, lines } = testClient(backend.apiUrl);
  try {
    const answer = await client.send(asked).catch((error: unknown) => ({ error }));
    return { answer, seen: backend.seen, lines };
  } finally {
    await client.close();
  }
}

const BUY = { idempotencyKey: "key-1", body: '{"quoteId": "quo_1"}' };

describe("a call put together by hand", () => {
  test("gives the body as it came, with fields that the contract does not know", async () => {
    const json = { ...subscription, newer: { field: 1 } };
    const { answer, seen } = await send(request("getSubscription"), { status: 200, json });
    expect(answer).toMatchObject({ value: json });
    expect(seen).toMatchObject([{ method: "GET", url: "/rest/management/v2/organizations/4201/subscription" }]);
  });

  test("is repeated if it reads, and if it buys under its key", async () => {
    const read = await send(request("getSubscription"), hangUp, { status: 200, json: subscription });
    expect([read.answer, read.seen.length]).toMatchObject([{ value: subscription }, 2]);
    const bought = await send(request("createPurchase", BUY), hangUp, { status: 201, json: purchaseAnswer });
    expect([bought.answer, bought.seen.length]).toMatchObject([{ value: purchaseAnswer }, 2]);
    expect(bought.seen.map(({ headers }) => headers["idempotency-key"])).toEqual(["key-1", "key-1"]);
    expect(bought.seen.map(({ body }) => body)).toEqual([BUY.body, BUY.body]);
  });

  test("is sent once if it changes something, and says that its outcome is unknown", async () => {
    const { answer, seen } = await send(request("setBillingDetails", { body: '{"name":"x"}' }), hangUp);
    expect(answer).toMatchObject({ error: { code: "outcome_unknown" } });
    expect(answer).toMatchObject({ error: { hint: expect.stringContaining("before you send it again") } });
    expect(seen).toHaveLength(1);
  });

  test("gives the purchase of a declined payment, with the request that declined it", async () => {
    const { answer } = await send(
      request("createPurchase", BUY),
      problem(402, "payment_declined", { purchase: declined }),
    );
    expect(answer).toMatchObject({ value: declined, requestId: expect.any(String) });
  });

  test.each([
    [404, "not_found"],
    [403, "insufficient_scope"],
  ])("fails with the problem of a refusal (%d)", async (status, code) => {
    expect((await send(request("getSubscription"), problem(status, code))).answer).toMatchObject({ error: { code } });
  });

  test("refuses what is not of the contract, and traces no token", async () => {
    const { answer, lines } = await send(request("getSubscription"), { status: 200, json: { organization: 7 } });
    expect(answer).toMatchObject({ error: { code: "unexpected_answer" } });
    expect(lines.join("\n")).not.toContain("sfl_secret");
  });

  test("gives a log as bytes, from the beginning after a lost answer", async () => {
    const headers = { "content-type": "application/x-ndjson" };
    const [whole, half]: [Answer, Answer] = [
      (response) => response.writeHead(200, headers).end("1\n2\n"),
      (response) => {
        response.writeHead(200, headers).write("1\n", () => response.destroy());
      },
    ];
    const { answer } = await send(request("exportEvents"), half, whole);
    expect(answer).toEqual({ bytes: Buffer.from("1\n2\n") });
  });
});
