import { type Money, money } from "../../billing/money.ts";
import { splitChange } from "../../billing/policy.ts";
import type { PolicyRequest, PolicyState } from "../../contract/policy.ts";
import type { Output } from "../outputs.ts";

/** A policy as it would be, with the change of it that would wait. */
export type PlannedPolicy = Omit<Output<"organizations policy set">, "dryRun">;

/**
 * Computes what setting a policy would do (src/billing/README.md, Policy). What is spent of a first budget is not known.
 *
 * @param currency the subscription's
 */
export function plannedPolicy(state: PolicyState, request: PolicyRequest, currency: string): PlannedPolicy {
  const before = { approvalAbove: state.approvalAbove?.amount ?? null, budget: rulesOf(state.budget) };
  const { policy, waiting } = splitChange(before, {
    ...(request.approvalAbove !== undefined && { approvalAbove: request.approvalAbove?.amount ?? null }),
    ...(request.budget !== undefined && { budget: rulesOf(request.budget) }),
  });
  const { approvalAbove, budget } = policy;
  const spent = state.budget?.spent ?? null;
  const planned = {
    id: null,
    kind: "policy" as const,
    policy: {
      ...(waiting?.approvalAbove !== undefined && { approvalAbove: request.approvalAbove }),
      ...(waiting?.budget !== undefined && { budget: request.budget }),
    },
    user: null,
    requestedBy: null,
    requestedAt: null,
    takesEffectAt: null,
  };
  return {
    approvalAbove: approvalAbove === null ? null : money(approvalAbove, currency),
    budget: budget && {
      amount: money(budget.amount, currency),
      period: budget.period,
      spent,
      left: spent && money(Math.max(0, budget.amount - spent.amount), currency),
    },
    pending: [...state.pending.filter(({ kind }) => kind !== "policy"), ...(waiting ? [planned] : [])],
  };
}

function rulesOf(budget: { readonly amount: Money; readonly period: "month" | "year" } | null) {
  return budget && { amount: budget.amount.amount, period: budget.period };
}
