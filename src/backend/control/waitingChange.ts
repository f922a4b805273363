import { formatMoney, money } from "../../billing/money.ts";
import type { Budget, Policy, PolicyChange } from "../../billing/policy.ts";
import { roleName } from "../../billing/roles.ts";

/** A change of who is an administrator. `role` is the one after it, of a user to remove the one before. */
export type UserChange =
  | {
      readonly kind: "user_add";
      readonly email: string;
      readonly firstName: string;
      readonly lastName: string;
      readonly role: number;
      readonly adminNoTraining: boolean;
    }
  | {
      readonly kind: "user_update";
      readonly idUser: number;
      readonly email: string;
      readonly from: number;
      readonly role: number;
    }
  | { readonly kind: "user_remove"; readonly idUser: number; readonly email: string; readonly role: number };

/** What waits: a change of the policy, whose amounts are in minor units, or of who is an administrator. */
export type WaitingChange = ({ readonly kind: "policy" } & PolicyChange) | UserChange;

/** Says what a change does, in the imperative. */
export function changeText(change: WaitingChange, currency: string): string {
  switch (change.kind) {
    case "user_add":
      return `add ${change.email} as ${roleName(change.role)}`;
    case "user_update":
      return `make ${change.email} ${roleName(change.role)}`;
    case "user_remove":
      return `remove ${change.email}, ${roleName(change.role)}`;
    default:
      return policyText(change, currency);
  }
}

/** Says what a change of the policy sets; amounts are in minor units. */
export function policyText({ approvalAbove, budget }: PolicyChange, currency: string): string {
  const parts = [
    approvalAbove !== undefined && `set the approval threshold to ${amountText(approvalAbove, currency)}`,
    budget !== undefined && `set the budget to ${budgetText(budget, currency)}`,
  ];
  return parts.filter(Boolean).join(" and ");
}

/** `£500.00/month`, or `none`. */
export function budgetText(budget: Budget | null, currency: string): string {
  return budget === null ? "none" : `${amountText(budget.amount, currency)}/${budget.period}`;
}

function amountText(amount: Policy["approvalAbove"], currency: string): string {
  return amount === null ? "none" : formatMoney(money(amount, currency));
}

/** RFC 3339, `null` for none. */
export function instantText(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}
