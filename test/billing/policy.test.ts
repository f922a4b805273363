import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Budget,
  budgetPeriodOf,
  changesAdministrators,
  isPolicySet,
  mayApprove,
  type Policy,
  type PolicyChange,
  spentPart,
  splitChange,
} from "../../src/billing/policy.ts";

const month = (amount: number): Budget => ({ amount, period: "month" });

const year = (amount: number): Budget => ({ amount, period: "year" });

const policy = (approvalAbove: number | null, budget: Budget | null): Policy => ({ approvalAbove, budget });

test.each([
  [policy(null, null), false],
  [policy(0, null), true],
  [policy(null, month(0)), true],
  [policy(1, year(1)), true],
])("%j restricts something: %s", (given, expected) => {
  expect(isPolicySet(given)).toBe(expected);
});

describe("a change", () => {
  const open = policy(null, null);
  const strict = policy(100, month(500));
  test.each<[string, Policy, PolicyChange, Policy, PolicyChange | null]>([
    ["of nothing", strict, {}, strict, null],
    ["to what is set already", strict, { approvalAbove: 100, budget: month(500) }, strict, null],
    ["that sets a threshold", open, { approvalAbove: 100 }, policy(100, null), null],
    ["that lowers the threshold", strict, { approvalAbove: 99 }, policy(99, month(500)), null],
    ["that raises the threshold", strict, { approvalAbove: 101 }, strict, { approvalAbove: 101 }],
    ["that removes the threshold", strict, { approvalAbove: null }, strict, { approvalAbove: null }],
    [
      "that removes a threshold of 0",
      policy(0, null),
      { approvalAbove: null },
      policy(0, null),
      { approvalAbove: null },
    ],
    ["that keeps there being no threshold", open, { approvalAbove: null }, open, null],
    ["that sets a budget", open, { budget: month(500) }, policy(null, month(500)), null],
    ["that keeps there being no budget", open, { budget: null }, open, null],
    ["that lowers the budget", strict, { budget: month(499) }, policy(100, month(499)), null],
    ["that raises the budget", strict, { budget: month(501) }, strict, { budget: month(501) }],
    ["that removes the budget", strict, { budget: null }, strict, { budget: null }],
    ["to a longer period", strict, { budget: year(500) }, strict, { budget: year(500) }],
    [
      "to a shorter period",
      policy(null, year(500)),
      { budget: month(1) },
      policy(null, year(500)),
      { budget: month(1) },
    ],
    [
      "that tightens one and loosens the other",
      strict,
      { approvalAbove: 50, budget: null },
      policy(50, month(500)),
      { budget: null },
    ],
    [
      "that loosens one and tightens the other",
      strict,
      { approvalAbove: null, budget: month(1) },
      policy(100, month(1)),
      { approvalAbove: null },
    ],
    [
      "that loosens both",
      strict,
      { approvalAbove: null, budget: year(1) },
      strict,
      { approvalAbove: null, budget: year(1) },
    ],
  ])("%s", (_, before, change, after, waiting) => {
    expect(splitChange(before, change)).toEqual({ policy: after, waiting });
  });

  const amounts = fc.integer({ min: 0, max: 4 });
  const budgets = fc.option(fc.record({ amount: amounts, period: fc.constantFrom("month" as const, "year" as const) }));
  const policies = fc.record({ approvalAbove: fc.option(amounts), budget: budgets });
  const changes = fc.record({ approvalAbove: fc.option(amounts), budget: budgets }, { requiredKeys: [] });

  /** Whether whatever one policy allows, another one allows as well, for purchases of one period. */
  const isTighter = (one: Policy, other: Policy) =>
    (other.approvalAbove === null || (one.approvalAbove !== null && one.approvalAbove <= other.approvalAbove)) &&
    (other.budget === null || (one.budget?.period === other.budget.period && one.budget.amount <= other.budget.amount));

  test("never loosens anything at once, and with what waits is the whole change", () => {
    fc.assert(
      fc.property(policies, changes, (before, change) => {
        const { policy: after, waiting } = splitChange(before, change);
        expect(isTighter(after, before)).toBe(true);
        expect({ ...after, ...waiting }).toEqual({ ...before, ...change });
        // What waits would loosen: none of it can be had at once.
        if (waiting) expect(splitChange(after, waiting)).toEqual({ policy: after, waiting });
      }),
    );
  });
});

test.each([
  [null, 0, true],
  [null, -1, true],
  [null, 3, false],
  [7, 0, true],
  [0, 7, true],
  [0, null, true],
  [-1, 0, false],
  [0, 0, false],
  [7, 3, false],
  [7, null, false],
])("from role %j to role %j changes the administrators: %s", (before, after, expected) => {
  expect(changesAdministrators(before, after)).toBe(expected);
});

test.each([
  [2, 99, true],
  [2, 100, false],
  [2, 101, false],
  [1, 0, false],
])("user %i, administrator since %i, may approve what user 1 asked for at 100: %s", (userId, since, expected) => {
  expect(mayApprove({ userId, since }, { userId: 1, at: 100 })).toBe(expected);
});

test.each([
  ["2026-11-30T23:59:59.999Z", "month", "Europe/London", "2026-11", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"],
  ["2026-12-01T00:00:00Z", "month", "Europe/London", "2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"],
  ["2026-12-01T04:59:59Z", "month", "America/New_York", "2026-11", "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z"],
  ["2026-11-22T12:00:00Z", "year", "Europe/London", "2026", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"],
  ["2026-12-31T15:00:00Z", "year", "Asia/Tokyo", "2027", "2026-12-31T15:00:00Z", "2027-12-31T15:00:00Z"],
  ["2026-12-31T14:59:59Z", "year", "Asia/Tokyo", "2026", "2025-12-31T15:00:00Z", "2026-12-31T15:00:00Z"],
] as const)("%s is in the %s of %s that is called %s", (at, period, timeZone, name, start, end) => {
  const expected = { name, start: Date.parse(start), end: Date.parse(end) };
  expect(budgetPeriodOf(Date.parse(at), period, timeZone)).toEqual(expected);
});

test.each([
  [0, 0, 0],
  [0, 100, 0],
  [79, 100, 0],
  [80, 100, 80],
  [99, 100, 80],
  [100, 100, 100],
  [101, 100, 100],
  [1, 0, 100],
  [7_205_759_403_792_793, 9_007_199_254_740_991, 80],
  [7_205_759_403_792_792, 9_007_199_254_740_991, 0],
])("of %i spent of %i, %i percent are told", (spent, amount, expected) => {
  expect(spentPart(spent, { amount })).toBe(expected);
});
