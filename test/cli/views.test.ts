import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import { renderPolicy } from "../../src/cli/account/policyView.ts";
import { identityOf, renderIdentity, renderOrganizations } from "../../src/cli/account/whoami.ts";
import { buyQuestion, renderChange, renderConfirmation, renderPayment } from "../../src/cli/buying/approver.ts";
import { renderBuyResult, renderPurchase, renderResumeResult } from "../../src/cli/buying/purchaseView.ts";
import { renderQuote } from "../../src/cli/buying/quote.ts";
import { renderReduction, renderReductionChange } from "../../src/cli/buying/reduce.ts";
import { reduced } from "../../src/cli/buying/reduction.ts";
import { colorLevel } from "../../src/cli/kit/color.ts";
import { createStyle, toJson, type View } from "../../src/cli/kit/output.ts";
import { clean } from "../../src/cli/kit/text.ts";
import { wrap } from "../../src/cli/kit/wrap.ts";
import { renderPurchases } from "../../src/cli/purchases/list.ts";
import { renderReceipt } from "../../src/cli/purchases/receipt.ts";
import { renderClock, renderMoved } from "../../src/cli/sandbox/clock.ts";
import { renderReady } from "../../src/cli/sandbox/sandbox.ts";
import { renderStatus } from "../../src/cli/subscription/status.ts";
import { renderAddedUser, renderImportedUsers, renderRemovedUser, renderUsers } from "../../src/cli/users/view.ts";
import type { ModeFields } from "../../src/contract/mode.ts";
import type { PendingChange } from "../../src/contract/policy.ts";
import {
  API_URL,
  failedPurchase,
  me,
  openPurchase,
  payablePurchase,
  purchase,
  quote,
  receipt,
  subscription,
  UNPAID,
  user,
  verified,
} from "./support/builders.ts";

const view = (color: boolean, width = 60): View => ({
  width,
  style: createStyle({ env: { FORCE_COLOR: "1" }, isTerminal: false, color }),
});

const PLAIN = view(false);

const HOSTILE = "Evil\u001b[2J\u001b]0;title\u0007\u009b31m \u202Egnp.exe\u0000\r\nSecond line ".repeat(4);

const evilOrganization = { id: 4201, name: HOSTILE, timeZone: "Europe/London" };

const offer = { subscription: subscription(), quote: verified(quote(5)) };

const evilOffer = { subscription: subscription({ organization: evilOrganization }), quote: verified(quote(5)) };

const setting = { apiUrl: API_URL, signedInAs: HOSTILE, target: null };

const target = {
  profileName: "default",
  profile: null,
  apiUrl: API_URL,
  apiUrlSource: "flag",
  organizationId: null,
} as const;

/** What a backend tells about its mode, and the word for it. */
const MODE_WORDS: readonly (readonly [ModeFields, string])[] = [
  [{ livemode: true, mode: "live" }, "LIVE"],
  [{ livemode: false, mode: "test" }, "TEST"],
  [{ livemode: false, mode: "sandbox" }, "SANDBOX"],
  [{ livemode: false }, "TEST"],
  [{}, "LIVE"],
];

const REFUND = { amount: purchase().total, creditNoteNumber: "CN-4201-000001", refundedAt: "2026-11-23T10:00:01Z" };

const evilPurchase = { note: HOSTILE, purchaseOrder: HOSTILE, purchasedBy: { email: HOSTILE, token: HOSTILE } };

const evilUser = { email: HOSTILE, firstName: HOSTILE, lastName: HOSTILE };

const added = { licenses: { purchased: 30, used: 23, available: 7 }, dryRun: false };

const gbp = (amount: number) => ({ amount, currency: "GBP" });

const BUDGET = { amount: gbp(50_000), period: "month" as const, spent: gbp(40_000), left: gbp(10_000) };

const evilChange: PendingChange = {
  id: HOSTILE,
  kind: "user_add",
  policy: null,
  user: { email: HOSTILE, idUser: null, role: 0 },
  requestedBy: HOSTILE,
  requestedAt: "2026-11-22T10:00:00Z",
  takesEffectAt: null,
};

const TEXTS: Record<string, (seen: View) => string> = {
  policy: (seen) => renderPolicy({ approvalAbove: gbp(50_000), budget: BUDGET, pending: [evilChange] }, seen),
  status: (seen) => renderStatus(evilOffer.subscription, seen),
  quote: (seen) => renderQuote(offer, { explain: true }, seen),
  confirmation: (seen) => renderConfirmation(evilOffer, setting, seen),
  change: (seen) => renderChange(offer, { offer, refusal: new RangeError(HOSTILE) }, seen),
  bought: (seen) =>
    renderBuyResult(
      {
        purchase: purchase(evilPurchase),
        licenses: { purchased: 30, used: 22, available: 8 },
        quote: verified(quote(5)),
        replayed: false,
        dryRun: false,
      },
      seen,
    ),
  failed: (seen) => renderPurchase(failedPurchase({ failure: { code: "x", message: HOSTILE } }), seen),
  payable: (seen) => renderPurchase(payablePurchase({ id: "pur_0123456789abcdef01234567" }), seen),
  refunded: (seen) => renderPurchase(failedPurchase({ refund: { ...REFUND, creditNoteNumber: HOSTILE } }), seen),
  list: (seen) =>
    renderPurchases(
      [purchase(), openPurchase("requires_approval"), payablePurchase(), failedPurchase({ refund: REFUND })],
      "UTC",
      seen,
    ),
  resumed: (seen) =>
    renderResumeResult(
      {
        resumed: [purchase(evilPurchase)],
        notReceived: [
          { idempotencyKey: "void", licenses: 1 },
          { idempotencyKey: "kept", licenses: 2 },
        ],
        licenses: { purchased: 30, used: 22, available: 8 },
      },
      { voidKeys: ["void"], about: () => ({}) },
      seen,
    ),
  receipt: (seen) => renderReceipt(receipt({ note: HOSTILE, plan: HOSTILE }), seen),
  reduction: (seen) =>
    renderReductionChange(
      subscription({ organization: evilOrganization }),
      reduced(subscription(), 22),
      { apiUrl: API_URL, signedInAs: HOSTILE, target: null },
      seen,
    ),
  reduced: (seen) => {
    const { reduction, licenses, renewal, term } = reduced(subscription(), 22);
    return renderReduction({ reduction, licenses, renewal, dryRun: false }, term, seen);
  },
  identity: (seen) =>
    renderIdentity(identityOf(me({ organizations: [{ id: 1, name: HOSTILE, role: 0 }] }), target, "keyring"), seen),
  organizations: (seen) =>
    renderOrganizations([{ id: 4201, name: HOSTILE, role: 0 }], seen, [{ id: 4202, name: HOSTILE, role: 7 }]),
  users: (seen) => renderUsers([user(evilUser), user({ idUser: 8, role: 0, adminNoTraining: true })], seen),
  added: (seen) => renderAddedUser({ user: user(evilUser), purchase: purchase(evilPurchase), ...added }, seen),
  planned: (seen) =>
    renderAddedUser(
      { user: user(evilUser), purchase: null, ...added, licenses: null, dryRun: true, quote: verified(quote(5)) },
      seen,
    ),
  imported: (seen) =>
    renderImportedUsers({ added: [HOSTILE], existing: [HOSTILE.slice(0, 40)], purchase: null, ...added }, seen),
  removed: (seen) =>
    renderRemovedUser({ email: HOSTILE, idUser: 7, removed: true, licenses: null, dryRun: false }, seen),
  clock: (seen) =>
    renderClock(
      {
        now: "2026-11-22T10:00:00Z",
        captures: [{ paymentId: "pay_1", purchaseId: HOSTILE, amount: 24410, currency: "GBP", refunded: 100 }],
        next: "1",
      },
      seen,
    ),
};

it("distinguishes a purchase that cannot arrive anymore from one that still may", () => {
  const text = TEXTS.resumed?.(view(false));
  expect(text).toContain("A purchase of 1 license never arrived. Nothing was charged.");
  expect(text).toContain("A purchase of 2 licenses has not arrived yet.");
});

describe("every text for people", () => {
  it.each(Object.entries(TEXTS))("%s fits 60, 80 and 100 columns", (_name, render) => {
    for (const width of [60, 80, 100]) {
      const lines = stripVTControlCharacters(render(view(true, width))).split("\n");
      // What people copy stays whole.
      expect(lines.filter((line) => [...line].length > width && !/^(`[^`]*`|\S)+$/.test(line))).toEqual([]);
    }
  });

  it.each(Object.entries(TEXTS))("%s is not wrapped off a terminal", (_name, render) => {
    const [wide = "", endless = ""] = [1_000, Number.POSITIVE_INFINITY].map((width) => render(view(false, width)));
    expect(endless.split("\n").length).toBeLessThanOrEqual(wide.split("\n").length);
    if (!endless.includes("rounded")) expect(endless).not.toContain("…");
  });

  it.each(Object.entries(TEXTS))("%s contains no control character without color", (_name, render) => {
    expect(render(PLAIN)).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
  });

  it.each(Object.entries(TEXTS))("%s says the same with and without color", (_name, render) => {
    expect(stripVTControlCharacters(render(view(true)))).toBe(render(PLAIN));
  });
});

describe("key information", () => {
  it("in status", () => {
    const text = renderStatus(subscription(), PLAIN);
    for (const part of [
      "Northwind Labs (4201)",
      "£150.00",
      "25 purchased, 22 used, 3 available",
      "in 99 days",
      "£4,500.00",
    ]) {
      expect(text).toContain(part);
    }
    expect(text).toMatch(/█{26}░{4}/);
    expect(text).toContain("Europe/London");
  });

  it("in status, quote and confirmation of an organization with a budget", () => {
    const within = { ...offer, subscription: subscription({ budget: { ...BUDGET, left: offer.quote.total } }) };
    expect(renderStatus(subscription({ budget: BUDGET }), PLAIN)).toMatch(/Budget +£500.00 a month, £100.00 left$/m);
    expect(renderConfirmation(within, setting, PLAIN)).toMatch(/Budget +£500.00 a month, £244.10 left$/m);
    expect(renderQuote(within, { explain: false }, PLAIN)).toMatch(/Budget +£500.00 a month, £244.10 left$/m);
    const beyond = { ...offer, subscription: subscription({ budget: BUDGET }) };
    expect(renderQuote(beyond, { explain: false }, PLAIN)).toMatch(/£100.00 left, less\s+than\s+the\s+total$/m);
    expect(renderStatus(subscription(), PLAIN)).not.toContain("Budget");
  });

  it.each([
    ["past_due", /Pay before +2027-03-15, or the subscription is suspended\n/],
    ["suspended", /Suspended +since 2027-03-15, until the renewal is paid\n/],
  ] as const)("in the status of a subscription that is %s, in the same words as its renewal", (state, deadline) => {
    const owing = subscription({ state, unpaid: UNPAID });
    const text = renderStatus(owing, PLAIN);
    expect(text).toMatch(/Unpaid +£4,500.00 with tax, renewal pur_9\n/);
    expect(text).toMatch(deadline);
    expect(text).toMatch(
      /\n`secureflag-licenses purchases pay pur_9`\nor store another card first:\n`secureflag-licenses organizations payment-method --open`$/,
    );
    expect(renderStatus(subscription({ state, unpaid: UNPAID, taxRate: "0.0" }), PLAIN)).toMatch(/£4,500.00, renewal/);
    expect(text).not.toContain("Then due");
    const missed = { renewals: 3, total: gbp(1_350_000) };
    const owingMore = subscription({ state, unpaid: { ...UNPAID, missed } });
    expect(renderStatus(owingMore, PLAIN)).toMatch(/Then due +3 more renewals, £13,500.00 with tax, once/);
    const renewal = payablePurchase({ id: "pur_9", kind: "renewal" });
    expect(renderPurchase(renewal, PLAIN, owingMore)).toMatch(/Then due +3 more renewals, £13,500.00/);
    const setting = { apiUrl: "http://127.0.0.1/", signedInAs: null, target: null };
    expect(renderPayment(renewal, owingMore, setting, PLAIN)).toMatch(/Then due +3 more renewals, £13,500.00/);
    const shown = renderPurchase(renewal, PLAIN, owing);
    expect(shown).toMatch(deadline);
    expect(shown).not.toContain("by 2026");
    expect(renderPurchase(payablePurchase({ kind: "renewal" }), PLAIN, owing)).not.toMatch(/Pay before|Suspended/);
    const listed = renderPurchases([renewal], "UTC", PLAIN, owing);
    expect(listed).toContain(state === "suspended" ? "suspended since 2027-03-15" : "pay before 2027-03-15");
  });

  it("in the status of a subscription that ends or has ended", () => {
    const renewal = { ...subscription().renewal, autoRenew: false };
    const ending = renderStatus(subscription({ renewal }), PLAIN);
    expect(ending).toMatch(/Ends +2027-03-01 \(in 99 days\)/);
    expect(ending).not.toMatch(/Renew/);
    const ended = renderStatus(subscription({ renewal, state: "ended" }), PLAIN);
    expect(ended).toMatch(/Ended on +2027-03-01\n/);
    expect(ended).not.toMatch(/Renew|today/);
  });

  it("in a quote", () => {
    const text = renderQuote(offer, { explain: true }, PLAIN);
    for (const part of ["25 → 30", "£244.10 (£203.42 + £40.68 tax)", "99 of 365 days", "203.424657…", "= 40.684"]) {
      expect(text.replaceAll("\n", " ")).toContain(part);
    }
    expect(text).toMatch(/Due now +£244.10 \(£203.42 \+ £40.68 tax\)\n/);
    expect(text).toMatch(/\nSubtotal: .*rounded\n£203.42\nTax: .*\nDue now: £203.42 \+ £40.68 = £244.10\n/);
    expect(text).toMatch(/Bought on +2026-11-22 in Europe\/London/);
    expect(renderQuote(offer, { explain: false }, PLAIN)).not.toContain("203.424657");
    const ending = { ...offer, quote: verified(quote(5, { renewsAt: null })) };
    expect(renderQuote(ending, { explain: false }, PLAIN)).toMatch(/Ends +2027-03-01 \(in 99 days\)/);
    expect(renderConfirmation(ending, setting, PLAIN)).toMatch(/Ends +2027-03-01, without renewal/);
  });

  it("in the confirmation", () => {
    const text = renderConfirmation(offer, { ...setting, signedInAs: "ada@northwind.example" }, PLAIN);
    for (const part of ["Northwind Labs", "ada@", "25 → 30", "£244.10", "£5,400.00", "2027-03-01", "Visa"]) {
      expect(text).toContain(part);
    }
    for (const [fields, word] of MODE_WORDS) {
      const inMode = { ...offer, subscription: subscription(fields) };
      const shown = renderConfirmation(inMode, setting, PLAIN);
      expect(shown).toMatch(new RegExp(`Organization +Northwind Labs \\(4201\\), ${word}\n`));
      expect(shown.match(/LIVE|TEST|SANDBOX/g)).toEqual([word]);
    }
    expect(buyQuestion(offer)).toBe("Buy 5 licenses for £244.10 now?");
  });

  it("in the confirmation of a payment and of a reduction: the mode", () => {
    for (const [fields, word] of MODE_WORDS) {
      const now = subscription(fields);
      for (const text of [
        renderPayment(payablePurchase(), now, setting, PLAIN),
        renderReductionChange(now, reduced(now, 22), setting, PLAIN),
      ]) {
        expect(text.match(/LIVE|TEST|SANDBOX/g)).toEqual([word]);
      }
    }
  });

  it("in a receipt: the mode", () => {
    for (const [fields, word] of MODE_WORDS) {
      expect(renderReceipt(receipt(fields), PLAIN)).toMatch(new RegExp(`Northwind Labs \\(4201\\), ${word}\n`));
    }
  });

  it("in an identity: the mode, unless the backend leaves it out", () => {
    for (const [fields, word] of MODE_WORDS.filter(([{ mode, livemode }]) => mode ?? livemode !== undefined)) {
      const identity = identityOf(me(fields), target, "file");
      expect(identity).toMatchObject({ mode: word.toLowerCase(), livemode: word === "LIVE" });
      expect(renderIdentity(identity, PLAIN)).toMatch(new RegExp(`Mode +${word}\n`));
    }
    const untold = identityOf(me(), target, "file");
    expect(untold).toMatchObject({ mode: null, livemode: null });
    expect(renderIdentity(untold, PLAIN)).not.toMatch(/Mode|LIVE/);
  });

  it("in a receipt: the purchase date", () => {
    expect(renderReceipt(receipt(), PLAIN)).toMatch(/Bought on +2026-11-22 in the billing time zone/);
  });

  it("in the sign-in: whether it is renewed automatically", () => {
    const expiring = (name: string | null) => me({ token: { ...me().token, name, expiresAt: "2026-11-22T10:15:00Z" } });
    expect(renderIdentity(identityOf(expiring(null), target, "file"), PLAIN)).toContain("renewed automatically");
    expect(renderIdentity(identityOf(me(), target, "file"), PLAIN)).toContain("billing:read, billing:purchase");
    expect(renderIdentity(identityOf(expiring("ci"), target, "file"), PLAIN)).toMatch(/Token +ci, ending in /);
    expect(renderIdentity(identityOf(expiring(null), target, "environment"), PLAIN)).toContain("10:15 UTC");
    expect(renderIdentity(identityOf(expiring("ci"), target, "file"), PLAIN)).toContain("10:15 UTC");
  });

  it("in the sign-in: where its token is from", () => {
    const source = (from: Parameters<typeof identityOf>[2]) =>
      renderIdentity(identityOf(me(), target, from), PLAIN, "work").replaceAll(/\s+/g, " ");
    expect(source("environment")).toContain("from SECUREFLAG_API_TOKEN, instead of the sign-in of profile work Scopes");
    expect(source("token_file")).toContain("from SECUREFLAG_API_TOKEN_FILE, instead of the sign-in of profile work");
    expect(source("trust")).toContain("in exchange for the job's identity token Scopes");
    expect(source("keyring")).toContain("from the keyring Scopes");
  });

  it("in a list of organizations: the role's name", () => {
    expect(renderOrganizations(me().organizations, PLAIN)).toContain("organization administrator");
  });

  it("in an approval: the URL, unbroken", () => {
    const url = `https://pay.example/${"a".repeat(100)}`;
    const open = {
      ...openPurchase("requires_approval"),
      nextAction: { type: "approve_payment", url, expiresAt: "2026-11-23T10:00:00Z" },
    };
    expect(renderPurchase(open, PLAIN)).toContain(`by 2026-11-23 10:00 UTC at:\n${url}\nthen run`);
  });

  it("in a declined purchase: how to pay it, why it failed, and a refund", () => {
    const payable = renderPurchase(payablePurchase(), PLAIN);
    for (const part of ["The bank declined the card.", "Pay with another card by", "purchases pay pur_1"]) {
      expect(payable).toContain(part);
    }
    const refunded = renderPurchase(failedPurchase({ refund: REFUND }), PLAIN).replaceAll(/\s+/g, " ");
    expect(refunded).toContain("Refund £244.10 on 2026-11-23 10:00 UTC, credit note CN-4201-000001");
    const open = openPurchase("requires_approval");
    const missing = { ...open, nextAction: open.nextAction && { ...open.nextAction, type: "add_payment_method" } };
    expect(renderPurchase(missing, PLAIN)).toContain("Add a payment method and pay by");
  });

  it("in the sandbox: the lines to copy, unbroken and quoted for a shell", () => {
    const ready = { url: API_URL, organizationId: 1, admin: null, token: "it's $(x)", dataDir: null, pid: 1 };
    const text = renderReady(ready, PLAIN);
    expect(text).toContain(`export SECUREFLAG_API_URL=${API_URL} SECUREFLAG_API_TOKEN='it'\\''s $(x)'\n`);
  });

  it("after moving the clock, and in empty lists", async () => {
    const [first, second] = ["pur_1", "pur_2"].map((id) => purchase({ id, kind: "renewal", purchasedBy: null }));
    const moved = { now: "2027-03-01T00:00:00Z", renewals: [first, second].filter((one) => one !== undefined) };
    expect(await renderMoved(moved, PLAIN)).toMatch(
      /2 renewals fell due on the way, dates in UTC:\n[\s\S]*pur_2[\s\S]*pur_1\n\nTotal: 10 licenses renewed, £488.20 charged\.$/,
    );
    expect(await renderMoved({ ...moved, renewalCount: 500 }, PLAIN)).toContain(
      "500 renewals fell due on the way; the newest 2",
    );
    expect(await renderMoved({ ...moved, renewals: [] }, PLAIN)).toBe("The clock is at 2027-03-01 00:00 UTC.");
    expect(renderPurchases([], "UTC", PLAIN)).toBe("No purchases.");
    expect(
      renderBuyResult(
        { purchase: null, licenses: null, quote: verified(quote(5)), replayed: false, dryRun: true },
        PLAIN,
      ),
    ).toBe("Dry run: would buy 5 licenses for £244.10, 25 → 30.");
  });
});

describe("clean, toJson, wrap, colorLevel", () => {
  it("strips control characters", () => {
    expect(clean("a\u001b[31mb\u001b[0m\u202Ec\u0000\u0085d\te\r\nf\u2028g")).toBe("a[31mb[0mcd e f g");
    expect(clean("Nm \u001b[31mE\u0007\ud800\uffff")).toBe("Nm [31mE");
    expect(clean("\u001b[31mfoo\u0007")).toBe("[31mfoo");
    expect(clean("Ünïcode 日本 👩‍💻")).toBe("Ünïcode 日本 👩‍💻");
  });

  it("escapes terminal control characters in JSON, and keeps the data", () => {
    const text = toJson({ name: "\u001b[2J\u009b\u202e\u2028\u007f" });
    expect(text).toMatch(/^[\x20-\x7e]+$/);
    expect(JSON.parse(text)).toEqual({ name: "\u001b[2J\u009b\u202e\u2028\u007f" });
  });

  it("wraps at words and leaves long ones unbroken", () => {
    expect(wrap("one two three", 7)).toBe("one two\nthree");
    expect(wrap(`see ${"x".repeat(20)} now`, 10)).toBe(`see\n${"x".repeat(20)}\nnow`);
  });

  it.each([
    [0, {}, false, true],
    [1, {}, true, true],
    [0, {}, true, false],
    [0, { NO_COLOR: "1" }, true, true],
    [0, { NO_COLOR: "1", FORCE_COLOR: "1" }, true, true],
    [1, { NO_COLOR: "" }, true, true],
    [1, { FORCE_COLOR: "1" }, false, true],
    [3, { FORCE_COLOR: "3" }, false, true],
    [0, { FORCE_COLOR: "0" }, true, true],
    [0, { FORCE_COLOR: "1" }, true, false],
    [0, { TERM: "dumb" }, true, true],
  ])("uses color level %s for %o", (level, env, isTerminal, color) => {
    expect(colorLevel({ env, isTerminal, color })).toBe(level);
  });
});
