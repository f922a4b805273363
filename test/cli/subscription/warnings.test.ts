import { describe, expect, it } from "vitest";
import { subscriptionWarnings, tokenWarning } from "../../../src/cli/subscription/status.ts";
import { me, subscription, UNPAID } from "../support/builders.ts";

const counts = (purchased: number, used: number) => ({ purchased, used, available: purchased - used });

const plenty = { licenses: counts(25, 10) };

const inDays = (daysRemaining: number) => ({ term: { ...subscription().term, daysRemaining } });

const ending = { autoRenew: false, licenses: null, subtotal: null, tax: null, total: null };

describe("subscriptionWarnings", () => {
  it.each<[string, Parameters<typeof subscription>[0], RegExp[]]>([
    ["nothing to warn about", plenty, []],
    ["a tenth is left", { licenses: counts(100, 90) }, [/^Only 10 licenses are available, of 100/]],
    ["more than a tenth is left", { licenses: counts(100, 89) }, []],
    ["one is left", { licenses: counts(5, 4) }, [/^Only 1 license is available, of 5/]],
    ["none is left", { licenses: counts(25, 25) }, [/^No license is available, of 25/]],
    ["there were never any licenses", { licenses: counts(0, 0) }, []],
    ["31 days are left", { ...plenty, ...inDays(31) }, []],
    ["30 days are left", { ...plenty, ...inDays(30) }, [/renews in 30 days, on 2027-03-01: £4,500.00 with tax for 25/]],
    ["a day is left", { ...plenty, ...inDays(1) }, [/renews in 1 day, on/]],
    ["there is no tax", { ...plenty, ...inDays(1), taxRate: "0" }, [/: £4,500.00 for 25 licenses\.$/]],
    ["it will not renew", { ...plenty, ...inDays(9), renewal: ending }, [/ends in 9 days, on 2027-03-01, without/]],
    [
      "there will be fewer",
      { ...plenty, reduction: { licenses: 20, date: "2027-03-01" } },
      [/^From 2027-03-01 there will be 20 licenses, as scheduled/],
    ],
    [
      "there will be fewer, but not as few as requested",
      { licenses: counts(100, 24), reduction: { licenses: 20, date: "2027-03-01" } },
      [/^From 2027-03-01 there will be 20 licenses \(24, as long as 24 are in use\), as scheduled/],
    ],
    ["it is past due", { ...plenty, state: "past_due" }, [/is unpaid.*purchases pay <id>/]],
    [
      "it is past due, with amount and deadline",
      { ...plenty, state: "past_due", unpaid: UNPAID },
      [/^The last renewal is unpaid, and no licenses can be bought until it is paid\.$/],
    ],
    [
      "it is suspended, with the date",
      { ...plenty, state: "suspended", unpaid: UNPAID },
      [/^The last renewal is unpaid, and the subscription is suspended\.$/],
    ],
    [
      "it is suspended, and nothing of a renewal that is not made meanwhile",
      { ...plenty, ...inDays(16), state: "suspended", unpaid: UNPAID },
      [/^The last renewal is unpaid, and the subscription is suspended\.$/],
    ],
    ["it is suspended", { ...plenty, state: "suspended" }, [/is unpaid, and the subscription is suspended/]],
    ["it has ended", { state: "ended", licenses: counts(25, 25), ...inDays(0), renewal: ending }, []],
    [
      "everything at once",
      { state: "past_due", ...inDays(3), licenses: counts(25, 24) },
      [/is unpaid/, /Only 1/, /renews/],
    ],
  ])("%s", (_, change, expected) => {
    const warnings = subscriptionWarnings(subscription(change));
    expect(warnings).toHaveLength(expected.length);
    for (const [index, pattern] of expected.entries()) expect(warnings[index]).toMatch(pattern);
  });
});

describe("tokenWarning", () => {
  const DAY = 86_400;
  it.each<[number | null | undefined, RegExp | null]>([
    [15 * DAY, null],
    [14 * DAY, /expires in 14 days/],
    [DAY, /expires in 1 day\./],
    [DAY - 1, /expires within a day/],
    [0, /expires within a day/],
    [null, null],
    [undefined, null],
  ])("%s seconds before expiry", (expiresIn, expected) => {
    const warning = tokenWarning({ ...me().token, expiresIn });
    if (expected === null) expect(warning).toBeNull();
    else expect(warning).toMatch(expected);
  });

  it("is absent for a sign-in, which is renewed automatically", () => {
    expect(tokenWarning({ ...me().token, name: null, expiresIn: 60 })).toBeNull();
    expect(tokenWarning({ ...me().token, name: "trust:nightly", expiresIn: 600 })).toBeNull();
  });
});
