import { roleName } from "../../billing/roles.ts";
import type { View } from "../kit/output.ts";
import { fields } from "../kit/table.ts";
import { clean } from "../kit/text.ts";
import { budgetWords, instant, moneyText } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import type { PlannedPolicy } from "./policyPlan.ts";

type ShownChange = PlannedPolicy["pending"][number];

/** Renders a policy and the changes that wait. */
export function renderPolicy({ approvalAbove, budget, pending }: PlannedPolicy, view: View): string {
  const facts = fields(
    [
      ["Approval", approvalAbove === null ? "not needed" : `needed above ${moneyText(approvalAbove)}`],
      ["Budget", budget === null ? "none" : budgetWords(budget)],
    ],
    view,
  );
  if (pending.length === 0) return facts;
  const lines = pending.map((change) => wrap(`${changeLine(change)} (${waitingWords(change)})`, view.width));
  return [facts, "", "Waiting:", ...lines].join("\n");
}

/** `chg_17: set the budget to none`. */
export function changeLine(change: ShownChange): string {
  return `${change.id === null ? "" : `${clean(change.id)}: `}${changeWords(change)}`;
}

function changeWords({ kind, policy, user }: ShownChange): string {
  const email = clean(user?.email ?? "a user");
  const role = user?.role == null ? "" : roleName(user.role);
  if (kind === "user_add") return `add ${email} as ${role}`;
  if (kind === "user_update") return `make ${email} ${role}`;
  if (kind === "user_remove") return `remove the administrator ${email}`;
  const { approvalAbove, budget } = policy ?? {};
  return [
    approvalAbove !== undefined && `set the approval threshold to ${approvalAbove ? moneyText(approvalAbove) : "none"}`,
    budget !== undefined && `set the budget to ${budget ? `${moneyText(budget.amount)} a ${budget.period}` : "none"}`,
  ]
    .filter(Boolean)
    .join(" and ");
}

function waitingWords({ requestedBy, takesEffectAt, id }: ShownChange): string {
  const by = requestedBy === null ? "" : `requested by ${clean(requestedBy)}, `;
  if (id === null) return "would wait for another administrator, or 24 hours if there is only one";
  return `${by}${takesEffectAt === null ? "needs another administrator" : `takes effect at ${instant(takesEffectAt)}`}`;
}
