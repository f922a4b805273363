import { describe, expect, it } from "vitest";
import { errorOfPurchase } from "../../../src/cli/buying/engine/failureWords.ts";
import { renderBuyResult } from "../../../src/cli/buying/purchaseView.ts";
import { createStyle } from "../../../src/cli/kit/output.ts";
import { purchasesCsv, renderPurchases } from "../../../src/cli/purchases/list.ts";
import type { PurchaseAnswer } from "../../../src/contract/billing.ts";
import { failedPurchase, openPurchase, payablePurchase, purchase, quote, verified } from "../support/builders.ts";

const PLAIN = { width: 60, style: createStyle({ env: {}, isTerminal: false, color: true }) };

const OFF = { ...PLAIN, width: Number.POSITIVE_INFINITY };

const BY_TOKEN = { email: "admin@northwind.example", token: "ci" };

const REFUND = { amount: quote(5).total, creditNoteNumber: "CN-4201-000001", refundedAt: "2026-11-23T10:00:00Z" };

function paid({ organizationLicenses: licenses, ...made }: PurchaseAnswer) {
  return { purchase: made, licenses, quote: null, replayed: false, dryRun: false };
}

describe("purchases for people and as CSV", () => {
  it("lists the payment deadline of a purchase and where it is shown", () => {
    const text = renderPurchases([purchase(), openPurchase("requires_approval")], "UTC", PLAIN);
    expect(text).toContain("pay by 2026-11-23 10:00 UTC");
    expect(text).toContain("purchases show <id>");
    expect(renderPurchases([purchase()], "UTC", PLAIN)).not.toContain("purchases show");
  });

  it("lists who bought a purchase and with which token", () => {
    const text = renderPurchases(
      [purchase({ purchasedBy: BY_TOKEN }), purchase({ kind: "renewal", purchasedBy: null })],
      "UTC",
      PLAIN,
    );
    expect(text.match(/by \S+@/g)).toHaveLength(1);
    expect(text.replaceAll(/\s+/g, " ")).toContain("by admin@northwind.example, token ci");
  });

  it("lists the token within 80 columns, even if the email is cut", () => {
    const email = `${"a".repeat(40)}@northwind.example`;
    const made = [openPurchase("requires_approval", { purchasedBy: { email, token: "deploy" } }), purchase()];
    const rows = renderPurchases(made, "UTC", { ...PLAIN, width: 80 }).split("\n");
    expect(rows[1]).toMatch(/ deploy \(a+… {2}pur_1$/);
    expect(rows[2]).toMatch(/ admin@northwi\S*…? +pur_1$/);
  });

  it.each([
    ["payment_expired", "expired"],
    ["payment_canceled", "canceled"],
    ["card_declined", "failed"],
  ])("lists %s as %s, and leaves the data unchanged", (code, word) => {
    const ended = failedPurchase({ failure: { code, message: "x" } });
    expect(renderPurchases([ended], "UTC", OFF).split("\t")[3]).toBe(word);
    expect(renderPurchases([{ ...ended, refund: REFUND }], "UTC", OFF).split("\t")[3]).toBe(`${word}, refunded`);
    expect(purchasesCsv([ended])).toContain(",failed,5,");
  });

  it("writes purchases as CSV, sanitized, with amounts in major units", () => {
    const by = { email: "=cmd@northwind.example", token: "ci" };
    const text = purchasesCsv([
      purchase({ note: 'a "b", c\n+1', purchasedBy: by }),
      failedPurchase({ refund: REFUND, purchasedBy: null }),
    ]);
    const [heads, first, second] = text.split("\n");
    expect(heads).toBe(
      "id,kind,status,licenses,currency,dueNow,tax,total,refund,createdAt,completedAt,purchasedBy,token," +
        "receiptNumber,creditNoteNumber,purchaseOrder,note,failure,idempotencyKey",
    );
    expect(first).toContain(",purchase,succeeded,5,GBP,203.42,40.68,244.10,,");
    expect(first).toContain(`,'=cmd@northwind.example,ci,`);
    expect(first).toContain(`,"a ""b"", c +1",`);
    expect(second).toContain(",failed,5,GBP,203.42,40.68,244.10,244.10,");
    expect(purchasesCsv([])).toBe(heads);
  });

  it("shows a purchase on one line, its receipt and the next step; the rest is in `purchases show`", () => {
    const made = { ...paid(purchase()), quote: verified(quote(5)) };
    const next =
      "Receipt 4201-000001\nAdd users with `secureflag-licenses users add`.\nDetails: `secureflag-licenses purchases show 4201-000001`";
    expect(renderBuyResult(made, PLAIN)).toBe(`✓ Bought 5 licenses (25 → 30) for £244.10\n${next}`);
    expect(renderBuyResult({ ...made, quote: null, replayed: true }, PLAIN)).toBe(
      `✓ Already bought 5 licenses for £244.10\n${next}`,
    );
    expect(renderBuyResult(made, PLAIN, { command: "users" })).not.toContain("Add users");
  });

  it.each([
    ["processing", "Purchase processing: 5 licenses for £244.10\nDetails: `secureflag-licenses purchases show pur_1`"],
    [
      "needs_review",
      "Purchase needs review: 5 licenses for £244.10\nDetails: `secureflag-licenses purchases show pur_1`",
    ],
  ] as const)("shows a purchase that is %s on two lines", (status, text) => {
    expect(renderBuyResult(paid(openPurchase(status)), PLAIN)).toBe(text);
  });

  it("shows a purchase that was canceled, failed or refunded", () => {
    const canceled = failedPurchase({ failure: { code: "payment_canceled", message: "x" } });
    expect(renderBuyResult(paid(canceled), PLAIN, { command: "purchases cancel" }).replaceAll("\n", " ")).toBe(
      "Canceled the purchase of 5 licenses for £244.10. Nothing was charged. Details: `secureflag-licenses purchases show pur_1`",
    );
    expect(renderBuyResult(paid(failedPurchase({ refund: REFUND })), PLAIN)).toBe(
      [
        "Purchase failed, refunded: 5 licenses for £244.10",
        "Refunded £244.10, credit note CN-4201-000001",
        "Details: `secureflag-licenses purchases show pur_1`",
      ].join("\n"),
    );
  });

  it("shows a failed renewal, and one that was paid", () => {
    const renewal = { kind: "renewal", purchasedBy: null } as const;
    const failed = renderBuyResult(paid(payablePurchase(renewal)), PLAIN);
    expect(failed).toContain("Renewal failed: 5 licenses for £244.10\nPay with another card at:\n");
    expect(renderBuyResult(paid(payablePurchase(renewal)), PLAIN, { hasError: false })).toMatch(
      /^Renewal failed: .*\nThe bank declined the card\.\n[\s\S]*\nor run `secureflag-licenses purchases pay pur_1`\.\n/,
    );
    expect(renderBuyResult(paid(purchase(renewal)), PLAIN)).toContain("✓ Paid the renewal of 5 licenses for £244.10\n");
    const error = errorOfPurchase(payablePurchase(renewal));
    expect(error?.hint).toMatch(/^Nothing was charged\. To pay it .* run `secureflag-licenses purchases pay \S+`\.$/);
    expect(errorOfPurchase(payablePurchase())?.hint).toContain("No license was added and nothing was charged. ");
  });
});
