import { describe, expect, it } from "vitest";
import { ciKey } from "../../../../src/cli/buying/engine/keys.ts";
import type { Approver } from "../../../../src/cli/buying/engine/tools.ts";
import type { ClientErrorCode } from "../../../../src/client/errors.ts";
import {
  API_URL,
  entry,
  failedPurchase,
  ORGANIZATION,
  openPurchase,
  purchase,
  quote,
  subscription,
} from "../../support/builders.ts";
import {
  isVoid,
  KEY,
  known,
  ME,
  PRICED,
  play,
  RUN,
  refusal,
  SOLD,
  silentApprover,
  unknown,
} from "../../support/playBuy.ts";
import type { ExpectedCall } from "../../support/script.ts";

describe("buy", () => {
  it("quotes, writes the journal, then sends under the journaled key", async () => {
    const { outcome, journal } = await play({ script: [...PRICED, { ...SOLD, with: [KEY, { quoteId: "quo_1" }] }] });
    expect(outcome).toMatchObject({
      result: { purchase: { id: "pur_1" }, licenses: { purchased: 30 }, quote: { verified: true }, replayed: false },
      endedKey: KEY,
      failure: null,
    });
    expect(outcome).not.toHaveProperty("result.purchase.organizationLicenses");
    expect(journal.log).toEqual([`record ${KEY}`]);
  });

  it("sends nothing if the journal cannot be written", async () => {
    const { outcome } = await play({
      script: PRICED,
      prepare: (journal) => {
        journal.record = async () => {
          throw Object.assign(new RangeError("full"), { code: "journal_not_written" });
        };
      },
    });
    expect(outcome).toMatchObject({ code: "journal_not_written" });
  });

  it("sends PO number and note", async () => {
    const sold = purchase({ purchaseOrder: "PO-1", note: "team B" });
    const { outcome } = await play({
      request: { purchaseOrder: "PO-1", note: "team B" },
      script: [
        ...PRICED,
        {
          call: "createPurchase",
          with: [{ quoteId: "quo_1", purchaseOrder: "PO-1", note: "team B" }],
          gives: { purchase: sold, replayed: false },
        },
      ],
    });
    expect(outcome).toMatchObject({ result: { purchase: { note: "team B" } } });
  });

  it("quotes and checks in a dry run, and changes nothing", async () => {
    const { outcome, journal } = await play({ request: { dryRun: true }, journal: [entry()], script: [...PRICED, ME] });
    expect(outcome).toMatchObject({
      result: { purchase: null, licenses: { purchased: 25 }, quote: { id: "quo_1" }, replayed: false, dryRun: true },
      endedKey: null,
    });
    expect(journal.log).toEqual([]);
  });

  it("first looks up a fixed key in a dry run, and follows nothing", async () => {
    const request = { dryRun: true, explicitKey: "mine" };
    const asked = (gives: unknown): ExpectedCall => ({ call: "purchaseByKey", with: ["mine"], gives });
    const known = asked({ state: "known", purchase: purchase({ idempotencyKey: "mine" }) });
    expect((await play({ request, script: [known] })).outcome).toMatchObject({
      result: { purchase: { id: "pur_1" }, replayed: true, dryRun: true },
      endedKey: null,
      failure: null,
    });
    expect((await play({ request: { ...request, wanted: { licenses: 6 } }, script: [known] })).outcome).toMatchObject({
      code: "idempotency_key_reused",
    });
    expect((await play({ request, script: [asked({ state: "void" })] })).outcome).toMatchObject({
      code: "idempotency_key_void",
    });
    const free = await play({ request, script: [asked({ state: "unknown" }), ...PRICED, ME] });
    expect(free.outcome).toMatchObject({ result: { purchase: null, dryRun: true } });
  });

  it.each([
    ["max_total_exceeded", { maxTotal: "244.09" }],
    ["if_purchased_not_met", { ifPurchased: 24 }],
    ["invalid_usage", { maxTotal: "244.095" }],
  ])("stops with %s", async (code, request) => {
    expect((await play({ request, script: PRICED })).outcome).toMatchObject({ code });
  });

  it("buys within its guards", async () => {
    const { outcome } = await play({ request: { maxTotal: "244.10", ifPurchased: 25 }, script: [...PRICED, SOLD] });
    expect(outcome).toMatchObject({ failure: null });
  });

  it("reads again while subscription and quote have different versions, and gives up after 3 attempts", async () => {
    const newer = { call: "createQuote", gives: quote(5, { subscriptionVersion: 2 }) } as const;
    const pair = [PRICED[0] as ExpectedCall, newer];
    expect((await play({ script: [...pair, ...PRICED, SOLD] })).outcome).toMatchObject({ failure: null });
    expect((await play({ script: [...pair, ...pair, ...pair] })).outcome).toMatchObject({
      code: "subscription_changed",
    });
  });

  it("shows both computations of a wrong price and sends nothing", async () => {
    const lie = quote(5, { total: { amount: 24411, currency: "GBP" } });
    const { outcome } = await play({ script: [PRICED[0] as ExpectedCall, { call: "createQuote", gives: lie }] });
    expect(outcome).toMatchObject({ code: "price_check_failed" });
    expect(outcome).toHaveProperty("message", expect.stringMatching(/£244\.11 from the backend, £244\.10 computed/));
  });

  it.each([
    ["another total", { total: { amount: 24_411, currency: "GBP" } }],
    [
      "ten times the price, under another quote's id",
      {
        quoteId: "quo_9",
        dueNow: { amount: 203_420, currency: "GBP" },
        tax: { amount: 40_680, currency: "GBP" },
        total: { amount: 244_100, currency: "GBP" },
      },
    ],
    ["another tax", { tax: { amount: 4_069, currency: "GBP" } }],
    ["more licenses", { licenses: 50, ...amounts(5) }],
    ["another note", { note: "x" }],
    ["another PO number", { purchaseOrder: "PO-9" }],
    ["another kind", { kind: "renewal" as const }],
    ["another currency", { ...amounts(5, "USD") }],
  ])("exits with 10 and keeps the entry if the response has %s than approved", async (_, change) => {
    const other = { ...purchase({ idempotencyKey: KEY }), ...change };
    const { outcome, journal } = await play({
      request: { maxTotal: "250.00" },
      script: [...PRICED, { call: "createPurchase", gives: { purchase: other, replayed: false } }],
    });
    expect(outcome).toMatchObject({
      result: { purchase: { id: "pur_1" } },
      endedKey: null,
      failure: { code: "charged_other_amount" },
    });
    expect(journal.kept).toHaveLength(1);
  });
});

/** The amounts of so many licenses. */
function amounts(count: number, currency = "GBP") {
  const { dueNow, tax, total } = purchase({ licenses: count });
  const of = ({ amount }: { amount: number }) => ({ amount, currency });
  return { dueNow: of(dueNow), tax: of(tax), total: of(total) };
}

describe("the outcome of a purchase", () => {
  const answering = (answer: ReturnType<typeof purchase>): ExpectedCall[] => [
    ...PRICED,
    { call: "createPurchase", gives: { purchase: { ...answer, idempotencyKey: KEY }, replayed: false } },
  ];

  it("prints a declined one and removes its entry", async () => {
    const { outcome } = await play({ script: answering(failedPurchase()) });
    expect(outcome).toMatchObject({
      result: { purchase: { status: "failed" } },
      endedKey: KEY,
      failure: { code: "payment_declined", message: "The bank declined the card." },
    });
  });

  it("keeps one that waits for approval in the journal", async () => {
    const { outcome, journal } = await play({ script: answering(openPurchase("requires_approval")) });
    expect(outcome).toMatchObject({ endedKey: null, failure: { code: "approval_required" } });
    expect(journal.kept).toHaveLength(1);
  });

  it("follows a processing one until it settles", async () => {
    const { outcome } = await play({
      script: [
        ...answering(openPurchase("processing")),
        { call: "purchase", with: ["pur_1", 20], gives: openPurchase("processing") },
        { call: "purchase", gives: purchase({ idempotencyKey: KEY }) },
      ],
    });
    expect(outcome).toMatchObject({ endedKey: KEY, failure: null });
  });

  it.each(["unauthenticated", "forbidden", "not_found", "invalid_request", "billing_not_offered"] as const)(
    "that cannot be followed because of %s exits with 10 and prints the accepted purchase",
    async (code) => {
      const { outcome, journal } = await play({
        script: [...answering(openPurchase("processing")), { call: "purchase", fails: refusal(code) }],
      });
      expect(outcome).toMatchObject({
        result: { purchase: { id: "pur_1", status: "processing" } },
        endedKey: null,
        failure: { code: "purchase_unsettled" },
      });
      expect(journal.kept).toHaveLength(1);
    },
  );

  it("stops following after 60 s and keeps the entry", async () => {
    const still: ExpectedCall = { call: "purchase", gives: openPurchase("processing") };
    const { outcome, journal } = await play({
      // Answers that are not held are asked for ever more slowly, at last every 2 s: 0.5 + 1 + 30 × 2 s.
      script: [...answering(openPurchase("processing")), ...Array.from({ length: 32 }, () => still)],
    });
    expect(outcome).toMatchObject({
      result: { purchase: { status: "processing" } },
      endedKey: null,
      failure: { code: "purchase_unsettled" },
    });
    expect(journal.kept).toHaveLength(1);
  });
});

describe("a rejected purchase", () => {
  const refused = (code: ClientErrorCode): ExpectedCall[] => [
    ...PRICED,
    { call: "createPurchase", fails: refusal(code) },
  ];

  it.each(["forbidden", "insufficient_scope", "spend_limit_exceeded", "unauthenticated", "not_found"] as const)(
    "exits with %s and removes the key",
    async (code) => {
      const { outcome, journal } = await play({ script: refused(code) });
      expect(outcome).toMatchObject({ code });
      expect(journal.kept).toEqual([]);
    },
  );

  it("does not retry on its own after another purchase came first", async () => {
    const { outcome, journal } = await play({ script: [...refused("subscription_changed"), ...PRICED] });
    expect(outcome).toMatchObject({ code: "subscription_changed" });
    expect(journal.kept).toEqual([]);
  });

  it("retries with a fresh quote of the same price after one expired", async () => {
    const fresh = { call: "createQuote", gives: quote(5, { id: "quo_2" }) } as const;
    const sold = purchase({ quoteId: "quo_2", idempotencyKey: KEY });
    const { outcome } = await play({
      script: [
        ...refused("quote_expired"),
        PRICED[0] as ExpectedCall,
        fresh,
        { call: "createPurchase", with: [KEY, { quoteId: "quo_2" }], gives: { purchase: sold, replayed: false } },
      ],
    });
    expect(outcome).toMatchObject({ failure: null, result: { replayed: false } });
  });

  it("does not retry on its own if the price changed with the expiry", async () => {
    const { outcome } = await play({
      script: [
        ...refused("quote_expired"),
        {
          call: "subscription",
          gives: subscription({ licenses: { purchased: 26, used: 22, available: 4 }, version: 2 }),
        },
        {
          call: "createQuote",
          gives: quote(5, {}, subscription({ licenses: { purchased: 26, used: 22, available: 4 }, version: 2 })),
        },
      ],
    });
    expect(outcome).toMatchObject({ code: "quote_expired" });
  });

  it("prompts again and shows the old offer beside the new one", async () => {
    const seen: (string | null)[] = [];
    const approver: Approver = {
      approve: async (_offer, before) => {
        seen.push(before?.refusal.message ?? null);
      },
      buyAgain: async () => false,
      tryAnotherCard: async () => false,
    };
    const { outcome } = await play({ approver, script: [...refused("subscription_changed"), ...PRICED, SOLD] });
    expect(seen).toEqual([null, "refused: subscription_changed"]);
    expect(outcome).toMatchObject({ failure: null });
  });

  it("continues under a new key if the key was voided meanwhile", async () => {
    const { outcome, journal } = await play({ script: [...refused("idempotency_key_void"), ...PRICED, SOLD] });
    expect(journal.log.slice(0, 2)).toEqual([`record ${KEY}`, `remove ${KEY}`]);
    expect(outcome).toMatchObject({ failure: null });
  });
});

describe("an unknown outcome", () => {
  const lost = (code: ClientErrorCode): ExpectedCall[] => [...PRICED, { call: "createPurchase", fails: refusal(code) }];

  it.each(["outcome_unknown", "internal", "unavailable", "idempotency_key_in_use"] as const)(
    "after %s looks up the key and shows the result",
    async (code) => {
      const { outcome } = await play({ script: [...lost(code), known(purchase({ idempotencyKey: KEY }))] });
      expect(outcome).toMatchObject({ failure: null, endedKey: KEY, result: { replayed: false } });
    },
  );

  it.each(["outcome_unknown", "rate_limited"] as const)("after %s stays unknown and journaled", async (code) => {
    for (const answer of [unknown, { call: "purchaseByKey", fails: refusal("unreachable") } as const]) {
      const { outcome, journal } = await play({ script: [...lost(code), answer] });
      expect(outcome).toMatchObject({ code });
      expect(journal.kept).toHaveLength(1);
    }
  });

  it("is not reported as a defect after a malformed response", async () => {
    const { outcome } = await play({ script: [...lost("unexpected_answer"), unknown] });
    expect(outcome).toMatchObject({ code: "outcome_unknown" });
  });

  it("is not looked up if nothing was sent", async () => {
    const { outcome, journal } = await play({ script: lost("unreachable") });
    expect(outcome).toMatchObject({ code: "unreachable" });
    expect(journal.kept).toHaveLength(1);
  });
});

describe("the journal of an earlier command", () => {
  it("has the same purchase: it is followed, shown as replayed, and nothing more is bought", async () => {
    const old = purchase({ idempotencyKey: "key_old" });
    const { outcome, calls } = await play({ journal: [entry()], script: [{ ...known(old), with: ["key_old"] }] });
    expect(outcome).toMatchObject({ result: { replayed: true, quote: null }, endedKey: "key_old", failure: null });
    expect(calls).toEqual(["purchaseByKey"]);
  });

  it("has a completed purchase: buys again if the user confirms", async () => {
    const approver: Approver = { ...silentApprover(), approve: async () => {}, buyAgain: async () => true };
    const { outcome, journal } = await play({ approver, journal: [entry()], script: [known(), ...PRICED, SOLD] });
    expect(outcome).toMatchObject({ result: { replayed: false }, endedKey: KEY });
    expect(journal.log).toContain("remove key_old");
  });

  it("has one that waits for approval or is processing: shown with its own exit code, and kept", async () => {
    for (const status of ["requires_approval", "needs_review"] as const) {
      const { outcome, journal } = await play({ journal: [entry()], script: [known(openPurchase(status))] });
      expect(outcome).toMatchObject({ result: { replayed: true, purchase: { status } }, endedKey: null });
      expect(journal.kept).toHaveLength(1);
    }
  });

  it("has one that failed: says so and buys", async () => {
    const { outcome, said } = await play({ journal: [entry()], script: [known(failedPurchase()), ...PRICED, SOLD] });
    expect(said).toContain("The bank declined the card.");
    expect(outcome).toMatchObject({ result: { replayed: false }, endedKey: KEY });
  });

  it("has one that never arrived: its key is voided before another one is used", async () => {
    const { outcome, said, journal } = await play({
      journal: [entry()],
      script: [unknown, { call: "voidKey", with: ["key_old"], gives: null }, ...PRICED, SOLD],
    });
    expect(said).toContain("never arrived");
    expect(journal.log).toEqual(["remove key_old", `record ${KEY}`]);
    expect(outcome).toMatchObject({ result: { replayed: false } });
  });

  it("has one that arrived while its key was being voided: followed", async () => {
    const { outcome } = await play({
      journal: [entry()],
      script: [unknown, { call: "voidKey", gives: purchase({ idempotencyKey: "key_old" }) }],
    });
    expect(outcome).toMatchObject({ result: { replayed: true }, endedKey: "key_old" });
  });

  it("has one that cannot be looked up: nothing is bought", async () => {
    const script: ExpectedCall[] = [{ call: "purchaseByKey", fails: refusal("outcome_unknown") }];
    const { outcome, journal } = await play({ journal: [entry()], script });
    expect(outcome).toMatchObject({ code: "outcome_unknown" });
    expect(journal.kept).toHaveLength(1);
  });

  it("has a different purchase: settled, noted, then the new one is bought", async () => {
    const other = entry({ licenses: 7 });
    const { outcome, said, journal } = await play({
      journal: [other],
      script: [known(purchase({ id: "pur_7", licenses: 7 })), ...PRICED, SOLD],
    });
    expect(said).toMatch(/pur_7.*succeeded/);
    expect(journal.log).toEqual(["settle key_old", `record ${KEY}`]);
    expect(outcome).toMatchObject({ result: { replayed: false } });
  });

  it("has one that another command settled: not looked up again by others", async () => {
    const settled = entry({ licenses: 7, settledAt: "2026-11-22T09:30:00.000Z" });
    const { said, journal } = await play({ journal: [settled], script: [...PRICED, SOLD] });
    expect(said).toBe("");
    expect(journal.kept).toContainEqual(settled);
  });

  it("has one that another command settled: shown with its date to the same command, and nothing more is bought", async () => {
    const settled = entry({ settledAt: "2026-11-16T10:00:00.000Z" });
    const old = purchase({ idempotencyKey: "key_old", createdAt: "2026-11-16T09:00:00Z" });
    const { outcome, said, journal } = await play({ journal: [settled], script: [known(old)] });
    expect(outcome).toMatchObject({ result: { replayed: true }, endedKey: "key_old", failure: null });
    expect(said).toContain(
      "This command bought 5 licenses on 2026-11-16 09:00 UTC, as pur_1. Nothing more was bought.",
    );
    expect(journal.kept).toHaveLength(1);
  });

  it("has one that was settled more than 7 days ago: removed, and the same command buys", async () => {
    const settled = entry({ settledAt: "2026-11-15T09:59:59.000Z" });
    const { outcome, journal } = await play({ journal: [settled], script: [...PRICED, SOLD] });
    expect(outcome).toMatchObject({ result: { replayed: false } });
    expect(journal.log).toEqual(["remove key_old", `record ${KEY}`]);
  });

  it("has one for a target: removed by any command once settled, and the target decides again", async () => {
    const old = purchase({ idempotencyKey: "key_old", licenses: 7 });
    const script = [known(old), ...PRICED, SOLD];
    const { journal } = await play({ journal: [entry({ licenses: 7, target: { available: 9 } })], script });
    expect(journal.log).toEqual(["remove key_old", `record ${KEY}`]);
  });

  it.each([
    ["total", { total: { amount: 244_100, currency: "GBP" } }],
    ["licenses", { licenses: 6 }],
    ["note", { note: "for somebody else" }],
    ["kind", { kind: "renewal" as const }],
    ["tax", { tax: { amount: 1, currency: "GBP" } }],
  ])("has one with another %s than journaled: exit 10, and it stays", async (_, change) => {
    const old = { ...purchase({ idempotencyKey: "key_old" }), ...change };
    const { outcome, journal } = await play({ journal: [entry()], script: [known(old)] });
    expect(outcome).toMatchObject({
      result: { purchase: { id: "pur_1" }, replayed: true },
      endedKey: null,
      failure: { code: "charged_other_amount" },
    });
    expect(journal.kept).toHaveLength(1);
  });

  it.each([[{ purchaseOrder: "PO-1" }], [{ note: "x" }], [{ keySource: "explicit" as const }]])(
    "has one with other %o: treated as another purchase",
    async (change) => {
      const { outcome } = await play({ journal: [entry(change)], script: [known(), ...PRICED, SOLD] });
      expect(outcome).toMatchObject({ result: { replayed: false } });
    },
  );

  it("has a different one that waits for approval: named, blocks nothing, kept", async () => {
    const { outcome, said, journal } = await play({
      journal: [entry({ licenses: 7 })],
      script: [known(openPurchase("requires_approval", { licenses: 7 })), ...PRICED, SOLD],
    });
    expect(said).toContain("is still waiting for approval");
    expect(outcome).toMatchObject({ result: { replayed: false } });
    expect(journal.kept).toHaveLength(2);
  });

  it("has one of a process that is running and then ends: continues on its own", async () => {
    const { outcome, said } = await play({
      journal: [entry()],
      prepare: (journal) => {
        journal.ownerRunsFor = 5;
        journal.ownerConcludes = true;
      },
      script: [unknown, ...PRICED, SOLD],
    });
    expect(said).toContain("process 99");
    expect(outcome).toMatchObject({ result: { replayed: false } });
  });

  it("has one of a process that is killed meanwhile: looked up then", async () => {
    const { outcome } = await play({
      journal: [entry()],
      prepare: (journal) => {
        journal.ownerRunsFor = 5;
      },
      script: [unknown, known(purchase({ idempotencyKey: "key_old" }))],
    });
    expect(outcome).toMatchObject({ result: { replayed: true }, endedKey: "key_old" });
  });

  it("has one of a process that keeps running: never voided", async () => {
    const { outcome, journal, calls } = await play({
      journal: [entry()],
      prepare: (fake) => {
        fake.ownerRunsFor = Number.POSITIVE_INFINITY;
      },
      script: [unknown, unknown],
    });
    expect(outcome).toMatchObject({ code: "purchase_unsettled" });
    expect(journal.kept).toHaveLength(1);
    expect(calls).not.toContain("voidKey");
  });
});

describe("a fixed key", () => {
  const ci = (ordinal: number) =>
    ciKey(
      RUN,
      { apiUrl: API_URL, organizationId: ORGANIZATION, licenses: 5, purchaseOrder: null, note: null },
      ordinal,
    );

  it("is looked up before anything is quoted", async () => {
    const { outcome, calls } = await play({ ciRun: RUN, script: [{ ...known(), with: [ci(1)] }] });
    expect(outcome).toMatchObject({ result: { replayed: true }, failure: null });
    expect(calls).toEqual(["purchaseByKey"]);
  });

  it("is looked up before every guard", async () => {
    const request = { explicitKey: "mine", maxTotal: "0.01", ifPurchased: 1 };
    const { outcome } = await play({ request, script: [{ ...known(), with: ["mine"] }] });
    expect(outcome).toMatchObject({ result: { replayed: true } });
  });

  it("moves to the next ordinal after a failed or voided purchase", async () => {
    const sold = purchase({ idempotencyKey: ci(3) });
    const { outcome } = await play({
      ciRun: RUN,
      script: [
        { ...known(failedPurchase()), with: [ci(1)] },
        { ...isVoid, with: [ci(2)] },
        { ...unknown, with: [ci(3)] },
        ...PRICED,
        { call: "createPurchase", with: [ci(3), { quoteId: "quo_1" }], gives: { purchase: sold, replayed: false } },
      ],
    });
    expect(outcome).toMatchObject({ endedKey: ci(3), result: { replayed: false } });
  });

  it.each([
    ["licenses", { licenses: 6 }],
    ["PO number", { purchaseOrder: "PO-2" }],
    ["note", { note: "other" }],
  ] as const)("is rejected if used with another purchase's %s", async (_what, change) => {
    const { outcome } = await play({ request: { explicitKey: "mine" }, script: [known(purchase(change))] });
    expect(outcome).toMatchObject({ code: "idempotency_key_reused" });
  });

  it("asks for another one if explicit and void", async () => {
    const { outcome } = await play({ request: { explicitKey: "mine" }, script: [isVoid] });
    expect(outcome).toMatchObject({ code: "idempotency_key_void" });
  });

  it("shows the failure again if explicit and failed", async () => {
    const { outcome } = await play({ request: { explicitKey: "mine" }, script: [known(failedPurchase())] });
    expect(outcome).toMatchObject({ result: { replayed: true }, failure: { code: "payment_declined" } });
  });

  it("is sent again, not voided, if its journaled request never arrived", async () => {
    const journaled = entry({ idempotencyKey: ci(1), keySource: "ci" });
    const sold = purchase({ idempotencyKey: ci(1) });
    const { outcome, calls } = await play({
      ciRun: RUN,
      journal: [journaled],
      script: [
        unknown,
        unknown,
        ...PRICED,
        { call: "createPurchase", with: [ci(1), { quoteId: "quo_1" }], gives: { purchase: sold, replayed: false } },
      ],
    });
    expect(calls).not.toContain("voidKey");
    expect(outcome).toMatchObject({ endedKey: ci(1) });
  });

  it.each(["idempotency_key_reused", "quote_used", "idempotency_key_in_use"] as const)(
    "is looked up again after %s from a concurrent run",
    async (code) => {
      const twins = purchase({ idempotencyKey: ci(1), quoteId: "quo_twin" });
      const { outcome } = await play({
        ciRun: RUN,
        script: [
          unknown,
          ...PRICED,
          { call: "createPurchase", fails: refusal(code) },
          { ...known(twins), with: [ci(1)] },
        ],
      });
      expect(outcome).toMatchObject({ result: { replayed: true, quote: null }, endedKey: ci(1), failure: null });
    },
  );

  it("moves on if it was voided while being sent, and looks up the next one", async () => {
    const sold = purchase({ idempotencyKey: ci(2) });
    const { outcome } = await play({
      ciRun: RUN,
      script: [
        unknown,
        ...PRICED,
        { call: "createPurchase", fails: refusal("idempotency_key_void") },
        { ...unknown, with: [ci(2)] },
        ...PRICED,
        { call: "createPurchase", with: [ci(2), { quoteId: "quo_1" }], gives: { purchase: sold, replayed: false } },
      ],
    });
    expect(outcome).toMatchObject({ endedKey: ci(2) });
  });
});
