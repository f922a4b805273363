import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { money } from "../../../src/billing/money.ts";
import { recurringCharge } from "../../../src/billing/proration.ts";
import { reduced } from "../../../src/cli/buying/reduction.ts";
import { codeOf } from "../../../src/cli/errors.ts";
import { subscription } from "../support/builders.ts";

/** 25 purchased, 22 used, £150.00 a year, 20 % tax. */
const NORTHWIND = subscription();

describe("reduced", () => {
  it("renews the smaller count at its price", () => {
    const after = reduced(NORTHWIND, 22);
    expect(after.reduction).toEqual({ licenses: 22, date: "2027-03-01" });
    expect(after.renewal).toEqual({
      autoRenew: true,
      licenses: 22,
      subtotal: { amount: 330_000, currency: "GBP" },
      tax: { amount: 66_000, currency: "GBP" },
      total: { amount: 396_000, currency: "GBP" },
    });
    expect(after.licenses).toEqual(NORTHWIND.licenses);
  });

  it("shows the original renewal once canceled", () => {
    expect(reduced(reduced(NORTHWIND, 22), null)).toEqual(NORTHWIND);
  });

  it.each([
    [21, "Cannot reduce to 21 licenses: 22 of 25 purchased are in use"],
    [0, "Cannot reduce to 0 licenses: 22 of 25"],
    [25, "Cannot reduce to 25 licenses: only 25 are purchased, of which 22 are in use"],
    [26, "Cannot reduce to 26 licenses: only 25"],
  ])("rejects %i", (count, message) => {
    const attempt = () => reduced(NORTHWIND, count);
    expect(attempt).toThrow(message);
    expect(codeOf(caught(attempt))).toBe("invalid_request");
  });

  it("rejects if nothing will be renewed, and canceling does nothing then", () => {
    const none = { autoRenew: false, licenses: null, subtotal: null, tax: null, total: null };
    const ending = subscription({ renewal: none });
    expect(codeOf(caught(() => reduced(ending, 22)))).toBe("subscription_not_purchasable");
    expect(reduced(ending, null)).toEqual(ending);
  });

  it.each([null, 23])("rejects changing one in effect (to %j) while a renewal is unpaid", (count) => {
    const since = (date: string, state: "active" | "past_due" | "suspended") =>
      subscription({ reduction: { licenses: 24, date }, state });
    // Today is 2026-11-22.
    for (const state of ["past_due", "suspended"] as const) {
      const attempt = () => reduced(since("2026-11-22", state), count);
      expect(attempt).toThrow("The reduction to 24 took effect on 2026-11-22; it cannot be changed until");
      expect(codeOf(caught(attempt))).toBe("subscription_not_purchasable");
      expect(reduced(since("2026-11-23", state), count).reduction?.licenses ?? null).toBe(count);
    }
    // Its renewal is just being made.
    expect(reduced(since("2026-11-22", "active"), count).reduction?.licenses ?? null).toBe(count);
  });

  it("rounds to the current charge step of the renewal", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.constantFrom(1, 10), (price, chargeStep) => {
        const unitPrice = money(price, "KWD");
        const charge = (licenses: number) => recurringCharge({ unitPrice, licenses, taxRate: "19.6", chargeStep });
        fc.pre(chargeStep === 10 || charge(25).total.amount % 10 !== 0);
        const base = subscription({
          plan: { ...NORTHWIND.plan, unitPrice },
          taxRate: "19.6",
          renewal: { autoRenew: true, licenses: 25, ...charge(25) },
        });
        expect(reduced(base, 23).renewal).toEqual({ autoRenew: true, licenses: 23, ...charge(23) });
      }),
    );
  });
});

function caught(attempt: () => unknown): unknown {
  try {
    return attempt();
  } catch (error) {
    return error;
  }
}
