import { describe, expect, test } from "vitest";
import {
  ADVANCED_STATES,
  approvalDeadline,
  assertTransition,
  CHECKED_STATES,
  needsApproval,
  PENDING_STATES,
  type PurchaseState,
  paymentDeadline,
  statusOf,
} from "../../src/billing/purchase.ts";

const STATES: readonly PurchaseState[] = [
  "accepted",
  "awaiting_approval",
  "charging",
  "requires_approval",
  "processing",
  "unknown",
  "paid",
  "fulfilled",
  "declined",
  "canceled",
  "expired",
  "refund_due",
  "refunded",
  "needs_review",
];

function allowed(from: PurchaseState, to: PurchaseState): boolean {
  try {
    assertTransition(from, to);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: "invalid_state" });
    return false;
  }
}

const nextOf = (from: PurchaseState) => STATES.filter((to) => allowed(from, to));

describe("impossible transitions", () => {
  test.each(["fulfilled", "refunded"] as const)("%s is final", (state) => {
    expect(nextOf(state)).toEqual([]);
  });

  test("a declined purchase can only be paid again; one that ended unpaid can only refund a late payment", () => {
    expect(nextOf("declined")).toEqual(["awaiting_approval", "charging"]);
    expect(nextOf("canceled")).toEqual(["refund_due"]);
    expect(nextOf("expired")).toEqual(["refund_due"]);
  });

  test("licenses require a payment, and a payment ends in licenses or in a refund", () => {
    expect(STATES.filter((from) => allowed(from, "fulfilled"))).toEqual(["paid"]);
    expect(nextOf("paid")).toEqual(["fulfilled", "refund_due"]);
    expect(nextOf("refund_due")).not.toContain("fulfilled");
  });

  test("only a purchase before its payment waits for an administrator, and then it is charged or ends", () => {
    expect(STATES.filter((from) => allowed(from, "awaiting_approval"))).toEqual(["accepted", "declined"]);
    expect(nextOf("awaiting_approval")).toEqual(["charging", "paid", "canceled", "expired"]);
  });

  test("an unknown purchase never fails without evidence: it neither expires nor is canceled", () => {
    for (const state of ["unknown", "processing"] as const) {
      expect(nextOf(state)).not.toContain("expired");
      expect(nextOf(state)).not.toContain("canceled");
    }
  });

  test("no state goes back to accepted, and none to itself", () => {
    expect(STATES.filter((from) => allowed(from, "accepted"))).toEqual([]);
    expect(STATES.filter((state) => allowed(state, state))).toEqual([]);
  });

  test("every state is reachable, and every open one can end", () => {
    const reached = new Set<PurchaseState>(["accepted"]);
    for (const state of reached) for (const to of nextOf(state)) reached.add(to);
    expect([...reached].sort()).toEqual([...STATES].sort());
    for (const state of PENDING_STATES) {
      const ahead = new Set<PurchaseState>([state]);
      for (const from of ahead) for (const to of nextOf(from)) ahead.add(to);
      expect(ahead.has("fulfilled") && ahead.has("refunded") && ahead.has("declined")).toBe(true);
    }
  });
});

test("pending and active states are open", () => {
  for (const state of PENDING_STATES)
    expect(["processing", "requires_approval", "needs_review"]).toContain(statusOf(state));
  expect(ADVANCED_STATES.filter((state) => nextOf(state).length === 0)).toEqual([]);
  expect(ADVANCED_STATES).not.toContain("requires_approval");
  expect(ADVANCED_STATES).not.toContain("awaiting_approval");
});

test("watched states wait for a user or a late payment, and no worker advances them", () => {
  expect(CHECKED_STATES).toEqual(["awaiting_approval", "requires_approval", "canceled", "expired"]);
  expect(CHECKED_STATES.filter((state) => ADVANCED_STATES.includes(state))).toEqual([]);
});

describe("a purchase can be paid for 24 hours, but not into the next term", () => {
  test.each([
    ["2026-11-22T12:00:00Z", "2027-03-01", "Europe/London", "2026-11-23T12:00:00.000Z"],
    ["2027-02-28T12:00:00Z", "2027-03-01", "Europe/London", "2027-03-01T00:00:00.000Z"],
    ["2027-02-28T12:00:00Z", "2027-03-01", "Asia/Tokyo", "2027-02-28T15:00:00.000Z"],
    ["2027-02-28T12:00:00Z", "2027-03-01", "America/Los_Angeles", "2027-03-01T08:00:00.000Z"],
    ["2026-03-28T12:00:00Z", "2026-03-29", "Europe/London", "2026-03-29T00:00:00.000Z"],
    ["2026-10-24T12:00:00Z", "2026-10-25", "Europe/London", "2026-10-24T23:00:00.000Z"],
  ])("accepted %s with the renewal on %s in %s: until %s", (accepted, renewalDate, timeZone, until) => {
    expect(new Date(paymentDeadline(Date.parse(accepted), renewalDate, timeZone)).toISOString()).toBe(until);
  });
});

describe("a purchase can be approved for 72 hours, but not into the next term", () => {
  test.each([
    ["2026-11-22T12:00:00Z", "2027-03-01", "Europe/London", "2026-11-25T12:00:00.000Z"],
    ["2027-02-26T12:00:00Z", "2027-03-01", "Europe/London", "2027-03-01T00:00:00.000Z"],
    ["2027-02-26T12:00:00Z", "2027-03-01", "Asia/Tokyo", "2027-02-28T15:00:00.000Z"],
  ])("waiting since %s with the renewal on %s in %s: until %s", (since, renewalDate, timeZone, until) => {
    expect(new Date(approvalDeadline(Date.parse(since), renewalDate, timeZone)).toISOString()).toBe(until);
  });
});

describe("a purchase needs approval above the threshold, together with those that nobody approved", () => {
  test.each([
    [null, 100_000, 100_000, false],
    [50_000, 50_000, 0, false],
    [50_000, 50_001, 0, true],
    [50_000, 24_410, 25_590, false],
    [50_000, 24_410, 25_591, true],
    [0, 1, 0, true],
    [0, 0, 24_410, false],
  ])("threshold %s, total %s, others %s: %s", (threshold, total, others, expected) => {
    expect(needsApproval(threshold, total, others)).toBe(expected);
  });
});
