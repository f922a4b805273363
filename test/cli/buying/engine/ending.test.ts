import { describe, expect, it } from "vitest";
import { errorOfPurchase } from "../../../../src/cli/buying/engine/failureWords.ts";
import { exitCodeOf } from "../../../../src/cli/errors.ts";
import { failedPurchase, openPurchase, payablePurchase, purchase } from "../../support/builders.ts";

const REFUND = { amount: purchase().total, creditNoteNumber: "CN-1", refundedAt: "2026-11-23T10:00:01Z" };

describe("errorOfPurchase", () => {
  it.each([
    [purchase(), null],
    [failedPurchase(), 6],
    [openPurchase("requires_approval"), 8],
    [openPurchase("processing"), 10],
    [openPurchase("needs_review"), 10],
  ])("$status", (found, exitCode) => {
    const error = errorOfPurchase(found);
    expect(error && exitCodeOf(error)).toBe(exitCode);
  });

  it("says that nothing was charged yet, the deadline, the page, and how to continue", () => {
    const error = errorOfPurchase(openPurchase("requires_approval"));
    expect(error?.message).toContain("No license was added and nothing was charged yet.");
    expect(error?.hint).toMatch(/Open \S+\/pay\/pur_1 to pay by 2026-11-23 10:00 UTC, then run `.*purchases resume`/);
  });

  it("says where to add a missing payment method", () => {
    const open = openPurchase("requires_approval");
    const nextAction = open.nextAction && { ...open.nextAction, type: "add_payment_method" };
    expect(errorOfPurchase({ ...open, nextAction })?.message).toContain("add a card on the payment page");
  });

  it.each([
    ["card_declined", "The bank declined the card."],
    ["insufficient_funds", "The card has insufficient funds."],
    ["expired_card", "The card has expired."],
    ["authentication_required", "The bank requires the cardholder to confirm this payment."],
    ["payment_canceled", "The purchase was canceled before it was paid."],
    ["payment_expired", "The purchase was not paid in time and expired."],
    ["toString", "The backend's own words."],
  ])("describes %s in plain words", (code, words) => {
    const error = errorOfPurchase(failedPurchase({ failure: { code, message: "The backend's own words." } }));
    expect(error?.message).toBe(words);
    expect(error?.hint).toContain("No license was added and nothing was charged.");
  });

  it.each([null, { code: "x", message: " \u001b " }])("always has a message: %o", (failure) => {
    expect(errorOfPurchase(failedPurchase({ failure }))?.message).toMatch(/^The purchase failed|\S/);
  });

  it("names the declined request, both ways to continue, and how they differ", () => {
    const declined = errorOfPurchase(payablePurchase(), "req_1");
    expect(declined?.requestId).toBe("req_1");
    expect(declined?.hint).toMatch(/by 2026-11-23 10:00 UTC, open \S+\/pay\/pur_1 or run `.*purchases pay pur_1`/);
    expect(declined?.hint).toContain("; buying again makes a new purchase.");
    expect(errorOfPurchase(failedPurchase())?.hint).not.toContain("purchases pay");
  });

  it.each([
    ["is being refunded", { receiptNumber: "4201-000001" }],
    ["was refunded", { receiptNumber: "4201-000001", refund: REFUND }],
  ])("says that the payment %s", (words, change) => {
    const error = errorOfPurchase(failedPurchase(change));
    expect(error?.hint).toContain(words);
  });
});
