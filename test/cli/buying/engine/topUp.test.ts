import { describe, expect, it } from "vitest";
import { entry, failedPurchase, me, openPurchase, purchase, quote, subscription } from "../../support/builders.ts";
import { KEY, known, ME, play as playBuy, RUN, refusal, type Scene, SOLD, unknown } from "../../support/playBuy.ts";
import type { ExpectedCall } from "../../support/script.ts";

const TARGET = { available: 8 };

const play = (scene: Scene) => playBuy({ ...scene, request: { wanted: TARGET, ...scene.request } });

const reads = (change: Parameters<typeof subscription>[0] = {}): ExpectedCall => ({
  call: "subscription",
  gives: subscription(change),
});

const quotes = (licenses: number, change: Parameters<typeof subscription>[0] = {}): ExpectedCall => ({
  call: "createQuote",
  with: [licenses],
  gives: quote(licenses, {}, subscription(change)),
});

const refused = (code: Parameters<typeof refusal>[0]): ExpectedCall => ({
  call: "createPurchase",
  fails: refusal(code),
});

const REACHED = { licenses: { purchased: 30, used: 22, available: 8 }, version: 3 };

const NOTHING = { result: { purchase: null, quote: null, replayed: false }, endedKey: null, failure: null };

describe("a top-up", () => {
  it("buys exactly what is missing", async () => {
    const { outcome, journal } = await play({ script: [reads(), quotes(5), SOLD] });
    expect(outcome).toMatchObject({ result: { purchase: { licenses: 5 }, replayed: false }, endedKey: KEY });
    expect(journal.kept).toMatchObject([{ target: TARGET, licenses: 5, keySource: "random" }]);
  });

  it("buys nothing if the target is reached, or will be with purchases in progress", async () => {
    expect((await play({ script: [reads(REACHED)] })).outcome).toMatchObject(NOTHING);
    const pending = { pending: { purchases: 1, licenses: 5 } };
    expect((await play({ script: [reads(pending)] })).outcome).toMatchObject(NOTHING);
  });

  it("needs no derived key in CI, because a retried run finds the target reached", async () => {
    const { journal } = await play({ ciRun: RUN, script: [reads(), quotes(5), SOLD] });
    expect(journal.kept).toMatchObject([{ idempotencyKey: KEY, keySource: "random" }]);
  });

  it("reads again if quote and subscription differ, and recomputes what is missing", async () => {
    const later = { licenses: { purchased: 27, used: 22, available: 5 }, version: 2 };
    const script = [reads(), quotes(5, { version: 2 }), reads(later), quotes(3, later)];
    const { calls, outcome } = await play({
      script: [...script, { ...SOLD, gives: { purchase: sold(3, later), replayed: false } }],
    });
    expect(outcome).toMatchObject({ result: { quote: { licenses: 3, licensesAfter: 30 } } });
    expect(calls).toEqual(["subscription", "createQuote", "subscription", "createQuote", "createPurchase"]);
  });

  it.each(["subscription_changed", "quote_expired"] as const)(
    "decides again from fresh data after %s",
    async (code) => {
      const { outcome, journal } = await play({ script: [reads(), quotes(5), refused(code), reads(REACHED)] });
      expect(outcome).toMatchObject(NOTHING);
      expect(journal.kept).toEqual([]);
    },
  );

  it("decides again up to three times, then reports that the subscription keeps changing", async () => {
    const round = [reads(), quotes(5), refused("subscription_changed")];
    const { outcome } = await play({ script: [...round, ...round, ...round, reads(), quotes(5), SOLD] });
    expect(outcome).toMatchObject({ result: { purchase: { status: "succeeded" } } });
    const given = await play({ script: [...round, ...round, ...round, ...round, reads(), quotes(5)] });
    expect(given.outcome).toMatchObject({ code: "subscription_changed" });
    expect(given.journal.kept).toEqual([]);
  });

  it("applies the guards to fresh data each time, --max-licenses before anything is quoted", async () => {
    const count = await play({ request: { maxLicenses: 4 }, script: [reads()] });
    expect(count.outcome).toMatchObject({
      code: "max_licenses_exceeded",
      message: "This would buy 5 licenses, and --max-licenses allows 4",
    });
    expect((await play({ request: { maxLicenses: 5 }, script: [reads(), quotes(5), SOLD] })).outcome).toMatchObject({
      failure: null,
    });
    const grown = { licenses: { purchased: 25, used: 24, available: 1 }, version: 2 };
    const later = await play({
      request: { maxLicenses: 5 },
      script: [reads(), quotes(5), refused("subscription_changed"), reads(grown)],
    });
    expect(later.outcome).toMatchObject({ code: "max_licenses_exceeded" });
  });

  it("first looks up an explicit key, whatever is missing now", async () => {
    const request = { explicitKey: "mine" };
    const mine = (change: Parameters<typeof purchase>[0]) => known(purchase({ idempotencyKey: "mine", ...change }));
    const again = await play({ request, script: [mine({ licenses: 3 })] });
    expect(again.outcome).toMatchObject({ result: { replayed: true, purchase: { licenses: 3 } } });
    const other = await play({ request, script: [mine({ note: "other" })] });
    expect(other.outcome).toMatchObject({ code: "idempotency_key_reused" });
    expect((await play({ request, script: [unknown, reads(REACHED)] })).outcome).toMatchObject(NOTHING);
  });
});

describe("an interrupted top-up", () => {
  const journal = [entry({ target: TARGET })];
  const old = known(purchase({ idempotencyKey: "key_old" }));
  const approver = (missing: boolean) => ({
    approve: async () => {},
    buyAgain: async () => missing,
    tryAnotherCard: async () => false,
  });

  it("is followed, and shown if it reaches the target", async () => {
    const { outcome } = await play({ approver: approver(false), journal, script: [old] });
    expect(outcome).toMatchObject({ result: { replayed: true, purchase: { id: "pur_1" } }, endedKey: "key_old" });
  });

  it("is settled, and what is still missing is bought", async () => {
    const script = [old, reads(), quotes(5), SOLD];
    const played = await play({ approver: approver(true), journal, script });
    expect(played.outcome).toMatchObject({ result: { replayed: false }, endedKey: KEY });
    expect(played.journal.log).toContain("remove key_old");
  });

  it("is shown with its own exit code if it waits for approval, and nothing more is bought", async () => {
    const script = [known(openPurchase("requires_approval"))];
    const { outcome } = await play({ journal, script });
    expect(outcome).toMatchObject({ result: { replayed: true, purchase: { status: "requires_approval" } } });
  });

  it("is reported if it failed, and bought again", async () => {
    const script = [known(failedPurchase({ idempotencyKey: "key_old" })), reads(), quotes(5), SOLD];
    const { outcome, said } = await play({ journal, script });
    expect(outcome).toMatchObject({ result: { replayed: false } });
    expect(said).toContain("failed");
  });

  it("has its key voided before another is used if it never arrived", async () => {
    const script = [unknown, { call: "voidKey", gives: null } as const, reads(), quotes(5), SOLD];
    const { outcome, journal: after } = await play({ journal, script });
    expect(outcome).toMatchObject({ endedKey: KEY });
    expect(after.log[0]).toBe("remove key_old");
  });

  it.each([
    ["another target", { target: { available: 9 } }],
    ["a target of the other kind", { target: { purchased: 8 } }],
    ["a number", { target: null }],
    ["another note", { target: TARGET, note: "other" }],
  ])("is named if it had %s, and the target decides", async (_, change) => {
    const journaled = entry(change);
    const made = purchase({ idempotencyKey: "key_old", note: journaled.note });
    const { outcome, said } = await play({ journal: [journaled], script: [known(made), reads(REACHED)] });
    expect(outcome).toMatchObject(NOTHING);
    expect(said).toContain("An earlier purchase of 5 licenses, pur_1, succeeded.");
  });
});

describe("a dry run of a top-up", () => {
  const request = { dryRun: true };

  it("shows what would be bought, or that nothing would, and changes nothing", async () => {
    const { outcome } = await play({ request, journal: [entry()], script: [reads(), quotes(5), ME] });
    expect(outcome).toMatchObject({ result: { purchase: null, quote: { licenses: 5 }, dryRun: true } });
    const reached = await play({ request, script: [reads(REACHED)] });
    expect(reached.outcome).toMatchObject({ result: { purchase: null, quote: null, dryRun: true } });
  });

  it.each([
    [24_410, { failure: null }],
    [
      24_409,
      { code: "budget_exceeded", message: expect.stringMatching(/costs £244.10.*has £244.09 left of.*£500.00/) },
    ],
  ])("is refused if it exceeds the organization's budget, of which %i is left", async (left, expected) => {
    const budget = { amount: gbp(50_000), period: "month" as const, spent: gbp(50_000 - left), left: gbp(left) };
    const script = [reads({ budget }), quotes(5), ...(left === 24_410 ? [ME] : [])];
    expect((await play({ request, script })).outcome).toMatchObject(expected);
  });

  const gbp = (amount: number) => ({ amount, currency: "GBP" });
  const limit = { amount: gbp(50_000), amountLeft: gbp(24_410), licenses: 10, licensesLeft: 5 };
  it.each([
    ["spend_limit_exceeded", { spendLimit: { ...limit, amountLeft: gbp(24_409) } }, /costs £244.10.*has £244.09 left/],
    ["spend_limit_exceeded", { spendLimit: { ...limit, licensesLeft: 4 } }, /has 5 licenses.*has 4 left/],
    ["insufficient_scope", { scopes: ["billing:read"] }, /billing:purchase/],
    [null, { spendLimit: limit }, null],
  ])("shows the error that the token would get: %s", async (code, token, message) => {
    const asked: ExpectedCall = { call: "me", gives: me({ token: { ...me().token, ...token } }) };
    const { outcome } = await play({ request, script: [reads(), quotes(5), asked] });
    if (code === null) expect(outcome).toMatchObject({ failure: null });
    else expect(outcome).toMatchObject({ code, message: expect.stringMatching(message ?? /./) });
  });
});

/** A purchase of the quote for a subscription. */
function sold(licenses: number, change: Parameters<typeof subscription>[0]) {
  const { dueNow, tax, total } = quote(licenses, {}, subscription(change));
  return purchase({ idempotencyKey: KEY, licenses, dueNow, tax, total });
}
