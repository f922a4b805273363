import { describe, expect, it } from "vitest";
import type { JournalEntry } from "../../../../src/cli/buying/engine/journal.ts";
import { resume } from "../../../../src/cli/buying/engine/resume.ts";
import { exitCodeOf } from "../../../../src/cli/errors.ts";
import { entry, failedPurchase, me, openPurchase, purchase, subscription } from "../../support/builders.ts";
import { fakeJournal } from "../../support/fakeJournal.ts";
import { fakeTools } from "../../support/fakeTools.ts";
import type { ExpectedCall } from "../../support/script.ts";

const EMPTY = { items: [], next: null };

const unsettled = (items: unknown[] = []): ExpectedCall[] => [
  { call: "me", gives: me() },
  { call: "purchases", with: [{ status: "processing" }], gives: { items, next: null } },
  ...items.map((item): ExpectedCall => ({ call: "purchase", gives: item })),
  { call: "purchases", with: [{ status: "requires_approval" }], gives: EMPTY },
  { call: "purchases", with: [{ status: "needs_review" }], gives: EMPTY },
];

const COUNTS: ExpectedCall = { call: "subscription", gives: subscription() };

async function play(entries: JournalEntry[], script: readonly ExpectedCall[]) {
  const journal = fakeJournal(entries);
  const tools = fakeTools(script, { journal });
  const { scripted } = tools;
  const resumed = await resume(scripted.client, tools);
  scripted.assertDone();
  return { ...resumed, journal, calls: scripted.calls };
}

describe("purchases resume", () => {
  it("does nothing if nothing is open", async () => {
    const { result, failure } = await play([], [...unsettled(), COUNTS]);
    expect(result).toEqual({ resumed: [], notReceived: [], licenses: subscription().licenses });
    expect(failure).toBeNull();
  });

  it("shows what arrived and voids what did not", async () => {
    const lost = entry({ idempotencyKey: "key_lost", licenses: 7 });
    const { result, endedKeys, failure, journal } = await play(
      [entry(), lost],
      [
        {
          call: "purchaseByKey",
          with: ["key_old"],
          gives: { state: "known", purchase: purchase({ idempotencyKey: "key_old" }) },
        },
        { call: "purchaseByKey", with: ["key_lost"], gives: { state: "unknown" } },
        { call: "voidKey", with: ["key_lost"], gives: null },
        ...unsettled(),
        COUNTS,
      ],
    );
    expect(result.notReceived).toEqual([{ idempotencyKey: "key_lost", licenses: 7 }]);
    expect(result.resumed.map(({ id }) => id)).toEqual(["pur_1"]);
    expect(endedKeys).toEqual(["key_old", "key_lost"]);
    expect(failure).toBeNull();
    expect(journal.kept.map(({ idempotencyKey }) => idempotencyKey)).toEqual(["key_old", "key_lost"]);
  });

  it.each([
    ["a repeated cursor", [purchase({ id: "pur_x" })], 2],
    ["empty pages", [], 3],
  ])("leaves the outcome unknown for an endless list with %s, and prints what was found", async (_, items, pages) => {
    const page = (page: number): ExpectedCall => ({
      call: "purchases",
      gives: { items, next: items.length > 0 ? "again" : `c${page}` },
    });
    const { result, failure } = await play(
      [entry()],
      [
        { call: "purchaseByKey", gives: { state: "known", purchase: purchase({ idempotencyKey: "key_old" }) } },
        { call: "me", gives: me() },
        ...[...Array(pages).keys()].map(page),
        { call: "purchases", with: [{ status: "requires_approval" }], gives: EMPTY },
        { call: "purchases", with: [{ status: "needs_review" }], gives: EMPTY },
        COUNTS,
      ],
    );
    expect(result.resumed.map(({ id }) => id)).toEqual(["pur_1"]);
    expect(failure).toMatchObject({ code: "outcome_unknown", message: expect.stringContaining("never ends") });
    expect(exitCodeOf(failure)).toBe(10);
  });

  it("keeps an explicit key so it can be sent again, and says that it may still arrive", async () => {
    const { calls, journal, failure, result } = await play(
      [entry({ keySource: "explicit" })],
      [{ call: "purchaseByKey", gives: { state: "unknown" } }, ...unsettled(), COUNTS],
    );
    expect(calls).not.toContain("voidKey");
    expect(journal.kept).toHaveLength(1);
    expect(result.notReceived).toHaveLength(1);
    expect(exitCodeOf(failure)).toBe(10);
  });

  it("voids a key derived from a CI run: the job has a next one", async () => {
    const { endedKeys, failure } = await play(
      [entry({ keySource: "ci" })],
      [
        { call: "purchaseByKey", gives: { state: "unknown" } },
        { call: "voidKey", gives: null },
        ...unsettled(),
        COUNTS,
      ],
    );
    expect(failure).toBeNull();
    expect(endedKeys).toHaveLength(1);
  });

  it("follows purchases the same user started on another machine, and no others", async () => {
    const foreign = {
      ...openPurchase("processing"),
      id: "pur_2",
      purchasedBy: { email: "b@northwind.example", token: null },
    };
    const { result } = await play(
      [],
      [
        { call: "me", gives: me() },
        { call: "purchases", gives: { items: [openPurchase("processing"), foreign], next: null } },
        { call: "purchase", with: ["pur_1"], gives: purchase() },
        { call: "purchases", gives: EMPTY },
        { call: "purchases", gives: EMPTY },
        COUNTS,
      ],
    );
    expect(result.resumed).toMatchObject([{ id: "pur_1", status: "succeeded" }]);
  });

  it.each([
    ["matches its quote", { purchased: 25 }, [["pur_1", 30]]],
    ["differs from its quote because others bought too", { purchased: 24 }, []],
    ["was not recorded", { purchased: null }, []],
  ])("reports the license count after a purchase if it %s", async (_, change, expected) => {
    const found = purchase({ idempotencyKey: "key_old" });
    const asked: ExpectedCall = { call: "purchaseByKey", gives: { state: "known", purchase: found } };
    const { licensesAfter, failed } = await play([entry(change)], [asked, ...unsettled(), COUNTS]);
    expect([...licensesAfter]).toEqual(expected);
    expect(failed).toBeNull();
  });

  it.each([
    ["payment_declined", [failedPurchase()]],
    ["approval_required", [failedPurchase(), { ...openPurchase("requires_approval"), id: "pur_2" }]],
    [
      "purchase_unsettled",
      [failedPurchase(), { ...openPurchase("needs_review"), id: "pur_2" }, purchase({ id: "pur_3" })],
    ],
  ])("exits with the most severe outcome: %s", async (code, purchases) => {
    const entries = purchases.map(({ id }) => entry({ idempotencyKey: id }));
    const asked = purchases.map(
      (found): ExpectedCall => ({ call: "purchaseByKey", gives: { state: "known", purchase: found } }),
    );
    const { failure, failed } = await play(entries, [...asked, ...unsettled(), COUNTS]);
    expect(failure).toMatchObject({ code });
    expect(failed?.id).toBe(code === "payment_declined" ? "pur_1" : "pur_2");
  });
});
