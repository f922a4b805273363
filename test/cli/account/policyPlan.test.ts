import { expect, it } from "vitest";
import { plannedPolicy } from "../../../src/cli/account/policyPlan.ts";
import type { PolicyState } from "../../../src/contract/policy.ts";

const gbp = (amount: number) => ({ amount, currency: "GBP" });

const STATE: PolicyState = {
  approvalAbove: gbp(500),
  budget: { amount: gbp(2_000), period: "month", spent: gbp(1_500), left: gbp(500) },
  pending: [],
};

const PLANNED = {
  id: null,
  kind: "policy",
  user: null,
  requestedBy: null,
  requestedAt: null,
  takesEffectAt: null,
};

it("applies what tightens, and lets wait what loosens", () => {
  const request = { approvalAbove: gbp(600), budget: { amount: gbp(1_000), period: "month" as const } };
  expect(plannedPolicy(STATE, request, "GBP")).toEqual({
    approvalAbove: gbp(500),
    budget: { amount: gbp(1_000), period: "month", spent: gbp(1_500), left: gbp(0) },
    pending: [{ ...PLANNED, policy: { approvalAbove: gbp(600) } }],
  });
});

it("keeps what is not named, and replaces the change that waits", () => {
  const user = {
    ...PLANNED,
    id: "chg_2",
    kind: "user_add" as const,
    requestedAt: "2026-11-22T10:00:00Z",
    policy: null,
  };
  const waiting = { ...user, id: "chg_1", kind: "policy" as const };
  expect(plannedPolicy({ ...STATE, pending: [waiting, user] }, { budget: null }, "GBP")).toEqual({
    ...STATE,
    pending: [user, { ...PLANNED, policy: { budget: null } }],
  });
});

it("does not know what is spent of a first budget", () => {
  const request = { budget: { amount: gbp(1), period: "year" as const } };
  expect(plannedPolicy({ approvalAbove: null, budget: null, pending: [] }, request, "GBP")).toEqual({
    approvalAbove: null,
    budget: { amount: gbp(1), period: "year", spent: null, left: null },
    pending: [],
  });
});
