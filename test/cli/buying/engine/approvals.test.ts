import { describe, expect, it } from "vitest";
import { ciKey } from "../../../../src/cli/buying/engine/keys.ts";
import type { Approver } from "../../../../src/cli/buying/engine/tools.ts";
import type { PurchaseAnswer } from "../../../../src/contract/billing.ts";
import {
  API_URL,
  entry,
  failedPurchase,
  ORGANIZATION,
  openPurchase,
  payablePurchase,
  purchase,
} from "../../support/builders.ts";
import { fakeJournal } from "../../support/fakeJournal.ts";
import { KEY, known, PRICED, play, RUN, refusal, SOLD, silentApprover } from "../../support/playBuy.ts";
import type { ExpectedCall } from "../../support/script.ts";

const WAITING = { ...openPurchase("requires_approval"), idempotencyKey: KEY };

const CANCELED = failedPurchase({
  idempotencyKey: KEY,
  failure: { code: "payment_canceled", message: "The purchase was canceled; nothing was charged." },
});

const looks = (...seen: PurchaseAnswer[]): ExpectedCall[] => seen.map((gives) => ({ call: "purchase", gives }));

const accepted = (answer: PurchaseAnswer): ExpectedCall[] => [
  ...PRICED,
  { call: "createPurchase", gives: { purchase: { ...answer, idempotencyKey: KEY }, replayed: false } },
];

const yes: Approver = { ...silentApprover(), tryAnotherCard: async () => true };

describe("a purchase that requires approval", () => {
  it("is shown once, waited for, and succeeds", async () => {
    const { outcome, tools } = await play({
      waitSeconds: 300,
      script: [
        ...accepted(WAITING),
        { call: "purchase", with: ["pur_1", 20], gives: WAITING },
        ...looks({ ...WAITING, status: "processing" }, purchase({ idempotencyKey: KEY })),
      ],
    });
    expect(outcome).toMatchObject({ failure: null, endedKey: KEY, result: { replayed: false } });
    expect(tools).toMatchObject({ shown: ["pur_1"], reached: ["C5"] });
    // Until the result is printed, an interruption still has to name the purchase.
    expect(tools.lastWords.at(-1)?.message).toBe("The purchase pur_1 was accepted, but its result was not shown.");
  });

  it("is named when interrupted, with its ID, page and the next step", async () => {
    const { tools } = await play({ waitSeconds: 1, script: [...accepted(WAITING), ...looks(WAITING, WAITING)] });
    const words = tools.lastWords.find((note) => note?.message.includes("approval"));
    expect(words?.message).toMatch(/pur_1 is waiting for approval.*nothing was charged yet/);
    expect(words?.hint).toMatch(/\/pay\/pur_1 to pay it, then run `secureflag-licenses purchases resume`/);
  });

  it("is canceled on the page: exit 6, nothing else bought, removed from the journal", async () => {
    const { outcome } = await play({ waitSeconds: 300, script: [...accepted(WAITING), ...looks(CANCELED)] });
    expect(outcome).toMatchObject({
      endedKey: KEY,
      failure: { code: "payment_declined", message: "The purchase was canceled before it was paid." },
    });
  });

  it("ends at once without --wait, and stays in the journal", async () => {
    const { outcome, journal, tools } = await play({ script: accepted(WAITING) });
    expect(outcome).toMatchObject({ endedKey: null, failure: { code: "approval_required" } });
    expect(journal.kept).toHaveLength(1);
    expect(tools).toMatchObject({ shown: [], reached: [] });
  });

  it("is left open when --wait runs out", async () => {
    // 0.5 + 1 + 4 × 2 s of pauses reach 9 s.
    const { outcome, tools } = await play({
      waitSeconds: 9,
      script: [...accepted(WAITING), ...looks(...Array.from({ length: 6 }, () => WAITING))],
    });
    expect(outcome).toMatchObject({ endedKey: null, failure: { code: "approval_required" } });
    expect(tools.elapsed()).toBe(9_500);
  });

  it.each(["unreachable", "rate_limited", "unavailable", "internal", "unexpected_answer"] as const)(
    "is never treated as failed because of %s",
    async (code) => {
      const { outcome } = await play({
        waitSeconds: 300,
        script: [
          ...accepted(WAITING),
          { call: "purchase", fails: refusal(code) },
          ...looks(purchase({ idempotencyKey: KEY })),
        ],
      });
      expect(outcome).toMatchObject({ failure: null });
    },
  );

  it("has 60 s to settle even if approved at the end of --wait", async () => {
    const settling = { ...WAITING, status: "processing" as const };
    const { outcome } = await play({
      waitSeconds: 1,
      script: [
        ...accepted(WAITING),
        ...looks(WAITING, settling, settling, settling, settling, purchase({ idempotencyKey: KEY })),
      ],
    });
    expect(outcome).toMatchObject({ failure: null });
  });

  it("shows why a card was declined on the page, once, and keeps waiting", async () => {
    const declined = { ...WAITING, failure: { code: "expired_card", message: "x" } };
    const { tools, said } = await play({
      waitSeconds: 300,
      script: [...accepted(WAITING), ...looks(declined, declined, purchase({ idempotencyKey: KEY }))],
    });
    expect(said.match(/The card has expired\. Try another card on the page\./g)).toHaveLength(1);
    expect(tools.shown).toEqual(["pur_1"]);
  });
});

describe("an earlier purchase that waits for approval", () => {
  const OLD = { ...openPurchase("requires_approval"), idempotencyKey: "key_old" };

  it("is continued by the same command: shown, waited for, and not bought again", async () => {
    const approver: Approver = { ...yes, buyAgain: async () => expect.unreachable("nobody may be asked") };
    const { outcome, said, tools } = await play({
      approver,
      waitSeconds: 300,
      journal: [entry()],
      script: [known(OLD), ...looks(purchase({ idempotencyKey: "key_old" }))],
    });
    expect(said).toContain("This command was started before. Continuing with its purchase pur_1.");
    expect(tools.shown).toEqual(["pur_1"]);
    expect(outcome).toMatchObject({ failure: null, endedKey: "key_old", result: { replayed: true } });
  });

  it("ends the same command if it is canceled meanwhile", async () => {
    const canceled = { ...CANCELED, idempotencyKey: "key_old" };
    const { outcome } = await play({ waitSeconds: 300, journal: [entry()], script: [known(OLD), ...looks(canceled)] });
    expect(outcome).toMatchObject({ endedKey: "key_old", failure: { code: "payment_declined" } });
  });

  it("ends this command if it is canceled under the key of this job", async () => {
    const key = ciKey(
      RUN,
      { apiUrl: API_URL, organizationId: ORGANIZATION, licenses: 5, purchaseOrder: null, note: null },
      1,
    );
    const { outcome } = await play({
      ciRun: RUN,
      waitSeconds: 300,
      script: [known({ ...OLD, idempotencyKey: key }), ...looks({ ...CANCELED, idempotencyKey: key })],
    });
    expect(outcome).toMatchObject({ endedKey: key, failure: { code: "payment_declined" } });
  });

  it("is mentioned and blocks nothing if it belongs to another command, even while its owner waits", async () => {
    for (const runs of [0, Number.POSITIVE_INFINITY]) {
      const { outcome, said, tools } = await play({
        waitSeconds: 300,
        journal: [entry({ licenses: 7 })],
        prepare: (journal) => {
          journal.ownerRunsFor = runs;
        },
        script: [known(openPurchase("requires_approval", { licenses: 7 })), ...PRICED, SOLD],
      });
      expect(said).toMatch(/pur_1, is still waiting for approval/);
      expect(tools.elapsed()).toBe(0);
      expect(outcome).toMatchObject({ result: { replayed: false }, failure: null });
    }
  });

  it("is followed here as well if it belongs to another terminal", async () => {
    const journal = fakeJournal([entry()]);
    const { outcome } = await play({
      waitSeconds: 300,
      journal: journal.kept,
      prepare: (fake) => {
        fake.ownerRunsFor = Number.POSITIVE_INFINITY;
      },
      script: [known(OLD), ...looks(purchase({ idempotencyKey: "key_old" }))],
    });
    expect(outcome).toMatchObject({ failure: null, result: { replayed: true } });
  });
});

describe("a declined purchase that can be paid with another card", () => {
  const declined = payablePurchase({ idempotencyKey: KEY });

  it("exits with 6 unless another card is tried", async () => {
    const { outcome, tools } = await play({ waitSeconds: 300, script: accepted(declined) });
    expect(outcome).toMatchObject({ endedKey: KEY, failure: { code: "payment_declined" } });
    expect(tools.shown).toEqual([]);
  });

  it("is paid on the page if the user confirms", async () => {
    const { outcome, tools } = await play({
      approver: yes,
      waitSeconds: 300,
      script: [
        ...accepted(declined),
        ...looks(declined, { ...declined, status: "processing" }, purchase({ idempotencyKey: KEY })),
      ],
    });
    expect(outcome).toMatchObject({ failure: null, endedKey: KEY, result: { replayed: false } });
    expect(tools.shown).toEqual(["pur_1"]);
  });

  it("is not offered without waiting, or if it can no longer be paid", async () => {
    const asked: string[] = [];
    const approver: Approver = { ...yes, tryAnotherCard: async ({ id }) => asked.push(id) > 0 };
    await play({ approver, script: accepted(declined) });
    await play({ approver, waitSeconds: 300, script: accepted(failedPurchase()) });
    expect(asked).toEqual([]);
  });

  it("ends when its page closes", async () => {
    const closed = failedPurchase({ idempotencyKey: KEY });
    const { outcome } = await play({
      approver: yes,
      waitSeconds: 300,
      script: [...accepted(declined), ...looks(declined, closed)],
    });
    expect(outcome).toMatchObject({ endedKey: KEY, failure: { code: "payment_declined" } });
  });
});
