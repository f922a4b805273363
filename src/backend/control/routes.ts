import type { FastifyInstance } from "fastify";
import { type Money, money } from "../../billing/money.ts";
import type { PolicyChange } from "../../billing/policy.ts";
import type { PendingChange, PolicyRequest, PolicyState } from "../../contract/policy.ts";
import type { PolicyChangeRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { type Identity, type RouteDeps, register } from "../http/register.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { budgetStateOf } from "./budget.ts";
import { type Asker, contentOf, listChanges, policyOf } from "./changes.ts";
import { approveChange, type MakeUserChange, rejectChange, setPolicy } from "./policy.ts";
import { instantText } from "./waitingChange.ts";

/** Registers the calls about the policy of an organization (src/billing/README.md, Policy). */
export function registerPolicy(app: FastifyInstance, deps: RouteDeps, make: MakeUserChange): void {
  const askerOf = ({ user }: Identity): Asker => ({ userId: user.id, actor: user.email, at: deps.clock.now() });

  register(app, deps, "getPolicy", async ({ organization, identity }) => ({
    status: 200,
    body: await policyState(deps, organization.id, identity),
  }));

  register(app, deps, "setPolicy", async ({ organization, body, identity }) => {
    const change = changeOf(body, organization.subscription.currency);
    await setPolicy(deps.database, organization.id, change, askerOf(identity));
    return { status: 200, body: await policyState(deps, organization.id, identity) };
  });

  register(app, deps, "approvePolicyChange", async ({ organization, body, identity }) => {
    await approveChange(deps, { organizationId: organization.id, id: body.id }, askerOf(identity), make);
    return { status: 200, body: await policyState(deps, organization.id, identity) };
  });

  register(app, deps, "rejectPolicyChange", async ({ organization, body, identity }) => {
    await rejectChange(deps.database, { organizationId: organization.id, id: body.id }, askerOf(identity));
    return { status: 200, body: await policyState(deps, organization.id, identity) };
  });
}

/** The policy as the contract shows it to a caller. */
async function policyState(deps: BackendDeps, organizationId: number, reader: Identity): Promise<PolicyState> {
  const subscription = await readSubscription(deps.database, organizationId);
  const { currency } = subscription;
  const { approvalAbove } = policyOf(subscription);
  const changes = await listChanges(deps.database, organizationId);
  return {
    approvalAbove: approvalAbove === null ? null : money(approvalAbove, currency),
    budget: await budgetStateOf(deps.database, subscription, deps.clock.now()),
    pending: changes.map((row) => pendingChange(row, currency, reader)),
  };
}

/** A change that waits, as the contract shows it to a caller: people only with the scope `users:read`. */
export function pendingChange(row: PolicyChangeRow, currency: string, reader: Pick<Identity, "scopes">): PendingChange {
  const seesPeople = reader.scopes.includes("users:read");
  const change = contentOf(row);
  return {
    id: row.id,
    kind: change.kind,
    policy: change.kind === "policy" ? policyView(change, currency) : null,
    user:
      change.kind === "policy"
        ? null
        : {
            email: seesPeople ? change.email : null,
            idUser: change.kind === "user_add" ? null : change.idUser,
            role: change.kind === "user_remove" ? null : change.role,
          },
    requestedBy: seesPeople ? row.asked_by_email : null,
    requestedAt: new Date(row.asked_at).toISOString(),
    takesEffectAt: instantText(row.due_at),
  };
}

function policyView({ approvalAbove, budget }: PolicyChange, currency: string): PendingChange["policy"] {
  return {
    ...(approvalAbove !== undefined && {
      approvalAbove: approvalAbove === null ? null : money(approvalAbove, currency),
    }),
    ...(budget !== undefined && {
      budget: budget && { amount: money(budget.amount, currency), period: budget.period },
    }),
  };
}

/** @throws BackendError `invalid_request` for another currency than the subscription's */
function changeOf({ approvalAbove, budget }: PolicyRequest, currency: string): PolicyChange {
  return {
    ...(approvalAbove !== undefined && {
      approvalAbove: approvalAbove && amountOf(approvalAbove, currency, "approvalAbove"),
    }),
    ...(budget !== undefined && {
      budget: budget && { amount: amountOf(budget.amount, currency, "budget.amount"), period: budget.period },
    }),
  };
}

function amountOf(amount: Money, currency: string, path: string): number {
  if (amount.currency === currency) return amount.amount;
  const message = `must be ${currency}, the currency of the subscription`;
  throw new BackendError("invalid_request", `The request is not valid: ${path}.currency: ${message}`, {
    errors: [{ path: `${path}.currency`, message }],
  });
}
