import { describe, expect, it } from "vitest";
import { cancel, pay } from "../../../../src/cli/buying/engine/pay.ts";
import { ClientError } from "../../../../src/client/errors.ts";
import { failedPurchase, openPurchase, payablePurchase, purchase } from "../../support/builders.ts";
import { fakeTools } from "../../support/fakeTools.ts";
import { refusal } from "../../support/playBuy.ts";
import type { ExpectedCall } from "../../support/script.ts";

const outcome = (error: Error & { code?: unknown }) => ({ code: error.code });

const asked = (gives: unknown): ExpectedCall => ({ call: "payPurchase", with: ["pur_1"], gives });

const read = (gives: unknown): ExpectedCall => ({ call: "purchase", gives });

async function playPay(script: readonly ExpectedCall[], waitSeconds = 0) {
  const tools = fakeTools(script, { waitSeconds });
  const ended = await pay(payablePurchase(), tools).catch(outcome);
  tools.scripted.assertDone();
  return { ended, tools };
}

async function playCancel(...script: ExpectedCall[]) {
  const tools = fakeTools(script, { waitSeconds: 300 });
  const ended = await cancel("pur_1", tools).catch(outcome);
  tools.scripted.assertDone();
  return ended;
}

describe("purchases pay", () => {
  it("pays", async () => {
    const { ended } = await playPay([asked(purchase())]);
    expect(ended).toMatchObject({
      result: { purchase: { id: "pur_1" }, licenses: { purchased: 30 }, quote: null, replayed: false, dryRun: false },
      endedKey: null,
      failure: null,
    });
  });

  it("follows a payment that settles later", async () => {
    const { ended } = await playPay([asked(openPurchase("processing")), read(purchase())]);
    expect(ended).toMatchObject({ failure: null });
  });

  it("declined again: exits with 6 at once without waiting, and shows the page", async () => {
    const { ended, tools } = await playPay([asked(payablePurchase())]);
    expect(ended).toMatchObject({
      failure: { code: "payment_declined", hint: expect.stringContaining("/pay/pur_1") },
      result: { purchase: { nextAction: { type: "pay" } } },
    });
    expect(tools.shown).toEqual([]);
  });

  it("declined again: waits at the page for another card", async () => {
    const declined = payablePurchase();
    const { ended, tools } = await playPay([asked(declined), read(declined), read(purchase())], 300);
    expect(ended).toMatchObject({ failure: null });
    expect(tools).toMatchObject({ shown: ["pur_1"], reached: ["C5"] });
    expect(tools.lastWords[1]).toMatchObject({
      message: expect.stringContaining("can still be paid with another card"),
      hint: expect.stringContaining("purchases pay pur_1"),
    });
  });

  it("handles a required approval as buy does", async () => {
    const open = openPurchase("requires_approval");
    const { ended } = await playPay([asked(open)]);
    expect(ended).toMatchObject({ endedKey: null, failure: { code: "approval_required" } });
    const waited = await playPay([asked(open), read(purchase())], 300);
    expect(waited.ended).toMatchObject({ failure: null });
    expect(waited.tools.shown).toEqual(["pur_1"]);
  });

  it.each([
    "not_payable",
    "not_found",
    "forbidden",
    "mfa_required",
    "rate_limited",
    "spend_limit_exceeded",
    "unreachable",
  ] as const)("exits with %s without asking anything", async (code) => {
    const { ended } = await playPay([{ call: "payPurchase", fails: refusal(code) }]);
    expect(ended).toEqual({ code });
  });

  describe("after a lost response", () => {
    const why = new Error("the connection was lost");
    const unknown = new ClientError("outcome_unknown", "not known", { cause: why });
    const lost: ExpectedCall = { call: "payPurchase", fails: unknown };

    it("never asks for a second attempt, and shows the result of the first", async () => {
      const { ended } = await playPay([lost, read(purchase())]);
      expect(ended).toMatchObject({ failure: null });
    });

    it("the outcome is unknown if the purchase is still declined: the attempt may not have arrived yet", async () => {
      const { ended } = await playPay([lost, read(payablePurchase())]);
      expect(ended).toMatchObject({
        failure: {
          code: "outcome_unknown",
          message: "It is unknown whether the purchase pur_1 was paid. the connection was lost",
        },
        result: { purchase: { id: "pur_1" } },
      });
    });

    it("the outcome is certain if the purchase can no longer be paid", async () => {
      const { ended } = await playPay([lost, read(failedPurchase())]);
      expect(ended).toMatchObject({ failure: { code: "payment_declined" } });
    });

    it("exits with the first failure if nothing can be read", async () => {
      const { ended } = await playPay([lost, { call: "purchase", fails: refusal("unreachable") }]);
      expect(ended).toEqual({ code: "outcome_unknown" });
    });
  });
});

describe("purchases cancel", () => {
  const canceled = failedPurchase({ failure: { code: "payment_canceled", message: "x" } });
  const answer = (gives: unknown): ExpectedCall => ({ call: "cancelPurchase", with: ["pur_1"], gives });

  it("succeeds if the purchase is canceled", async () => {
    expect(await playCancel(answer(canceled))).toMatchObject({
      failure: null,
      endedKey: null,
      result: { purchase: { status: "failed" }, replayed: false },
    });
  });

  it.each([
    ["payment_declined", failedPurchase({ failure: { code: "payment_expired", message: "Too late." } })],
    ["not_cancelable", purchase()],
    ["purchase_unsettled", openPurchase("requires_approval")],
  ])("exits with %s if it turns out to be something else", async (code, found) => {
    expect(await playCancel(answer(found))).toMatchObject({ failure: { code } });
  });

  it("fails if refused", async () => {
    expect(await playCancel({ call: "cancelPurchase", fails: refusal("not_cancelable") })).toEqual({
      code: "not_cancelable",
    });
  });
});
