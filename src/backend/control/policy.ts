import type { Kysely } from "kysely";
import { budgetPeriodOf, mayApprove, type Policy, type PolicyChange, splitChange } from "../../billing/policy.ts";
import { emailKey } from "../../contract/email.ts";
import type { Database, PolicyChangeRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { BACKEND, type Change } from "../events/events.ts";
import { hasAnotherAdministrator, readAdministratorSince } from "../identity/administrators.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { readBudgetSpent, tellBudget } from "./budget.ts";
import {
  type Asker,
  askForChange,
  contentOf,
  deleteChange,
  lockPolicy,
  tellAdministrators,
  withdrawChanges,
} from "./changes.ts";
import { changeText, policyText, type UserChange, type WaitingChange } from "./waitingChange.ts";

/**
 * Changes the policy of an organization: what tightens it applies at once, what loosens it waits. A change of the policy that
 * waited before is withdrawn (src/billing/README.md, Policy).
 *
 * @throws BackendError `needs_two_administrators` for a threshold in an organization with one administrator
 */
export async function setPolicy(
  database: Kysely<Database>,
  organizationId: number,
  change: PolicyChange,
  asker: Asker,
): Promise<void> {
  await inTransaction(database, async (tx) => {
    const { policy: before } = await lockPolicy(tx, organizationId);
    if (change.approvalAbove != null && !(await hasAnotherAdministrator(tx, organizationId, asker.userId, null))) {
      throw new BackendError(
        "needs_two_administrators",
        "The organization has only one administrator, and approvals need two",
      );
    }
    await withdrawChanges(tx, organizationId, asker, ({ kind }) => kind === "policy");
    const { policy, waiting } = splitChange(before, change);
    await savePolicy(tx, organizationId, before, policy, asker);
    if (waiting) await askForChange(tx, organizationId, { kind: "policy", ...waiting }, asker);
  });
}

/** Saves a policy and tells the administrators; does nothing if it is the one before. */
async function savePolicy(
  tx: Kysely<Database>,
  organizationId: number,
  before: Policy,
  after: Policy,
  by: Change,
): Promise<void> {
  const changed = changesBetween(before, after);
  if (Object.keys(changed).length === 0) return;
  const { approvalAbove, budget } = after;
  await tx
    .updateTable("subscriptions")
    .set({
      approval_above: approvalAbove,
      budget_amount: budget?.amount ?? null,
      budget_period: budget?.period ?? null,
    })
    .where("organization_id", "=", organizationId)
    .execute();
  const subscription = await readSubscription(tx, organizationId);
  await tellAdministrators(tx, organizationId, by, {
    type: "policy.changed",
    text: `The policy was changed at the request of ${by.actor}: ${policyText(changed, subscription.currency)}.`,
    data: { before, after },
  });
  if (budget === null) return;
  const period = budgetPeriodOf(by.at, budget.period, subscription.time_zone);
  const spent = await readBudgetSpent(tx, organizationId, period);
  await tellBudget(tx, subscription, { budget, period, spent }, by.at);
}

function changesBetween(before: Policy, { approvalAbove, budget }: Policy): PolicyChange {
  const isSameBudget = before.budget?.amount === budget?.amount && before.budget?.period === budget?.period;
  return { ...(approvalAbove !== before.approvalAbove && { approvalAbove }), ...(!isSameBudget && { budget }) };
}

/** Makes a change of who is an administrator, inside the transaction of its approval. */
export type MakeUserChange = (
  tx: Kysely<Database>,
  deps: Pick<BackendDeps, "now" | "random">,
  organizationId: number,
  change: UserChange,
  by: Change,
) => Promise<void>;

type ApprovalDeps = Pick<BackendDeps, "database" | "clock" | "now" | "random" | "log">;

/**
 * Approves a change that waits, and makes it.
 *
 * @throws BackendError `not_found` if it does not wait, also for one that was approved meanwhile; `forbidden` for one's own,
 *   and for somebody who was no administrator before it was asked for; what making it throws
 */
export async function approveChange(
  deps: ApprovalDeps,
  { organizationId, id }: { organizationId: number; id: string },
  approver: Asker,
  make: MakeUserChange,
): Promise<void> {
  await inTransaction(deps.database, async (tx) => {
    await lockPolicy(tx, organizationId);
    const row = await findChange(tx, organizationId, id);
    if (!row) throw new BackendError("not_found", `Change ${id} is not waiting for approval`);
    const since = await readAdministratorSince(tx, organizationId, approver.userId);
    const { userId } = approver;
    if (row.asked_by === userId) throw new BackendError("forbidden", "You cannot approve a change that you requested");
    const asked = { userId: row.asked_by, at: row.asked_at };
    if (since === null || !mayApprove({ userId, since }, asked)) {
      const message = "You were not an administrator yet when the change was requested; another one can approve it";
      throw new BackendError("forbidden", message);
    }
    await apply(tx, deps, row, { type: "policy.change_approved", ...approver }, make);
  });
}

/**
 * Rejects a change that waits: what the caller asked for themselves, or somebody else, but not what is about the caller.
 *
 * @throws BackendError `not_found` if it does not wait; `forbidden` for a change of the caller's own role or membership
 */
export async function rejectChange(
  database: Kysely<Database>,
  { organizationId, id }: { organizationId: number; id: string },
  by: Asker,
): Promise<void> {
  await inTransaction(database, async (tx) => {
    await lockPolicy(tx, organizationId);
    const row = await findChange(tx, organizationId, id);
    if (!row) throw new BackendError("not_found", `Change ${id} is not waiting`);
    const change = contentOf(row);
    const isAboutCaller = change.kind !== "policy" && emailKey(change.email) === emailKey(by.actor);
    if (isAboutCaller && row.asked_by !== by.userId) {
      throw new BackendError("forbidden", "You cannot reject a change of your own role or membership");
    }
    await withdrawChanges(tx, organizationId, by, (waiting) => waiting.id === id);
  });
}

/** A change that is due, because its organization had one administrator. */
export type DueChange = Pick<PolicyChangeRow, "organization_id" | "id" | "due_at">;

/**
 * Lists the changes that are due, the longest overdue first.
 *
 * @param page `after` is the last one of the page before
 */
export async function dueChanges(
  database: Kysely<Database>,
  billingNow: number,
  { limit, after }: { limit: number; after: DueChange | null },
): Promise<DueChange[]> {
  let due = database
    .selectFrom("policy_changes")
    .select(["organization_id", "id", "due_at"])
    .where("due_at", "<=", billingNow);
  if (after?.due_at != null) {
    const { due_at, organization_id, id } = after;
    due = due.where(({ eb, refTuple, tuple }) =>
      eb(refTuple("due_at", "organization_id", "id"), ">", tuple(due_at ?? 0, organization_id, id)),
    );
  }
  return due.orderBy("due_at").orderBy("organization_id").orderBy("id").limit(limit).execute();
}

/** Makes a change that is due; one that can no longer be made is withdrawn. Safe to repeat, by any number of workers. */
export async function makeDueChange(
  deps: ApprovalDeps,
  { organization_id: organizationId, id }: DueChange,
  make: MakeUserChange,
): Promise<void> {
  const by = { actor: BACKEND, at: deps.clock.now() };
  const isIt = (row: PolicyChangeRow) => row.id === id && row.due_at !== null && row.due_at <= by.at;
  try {
    await inTransaction(deps.database, async (tx) => {
      await lockPolicy(tx, organizationId);
      const row = await findChange(tx, organizationId, id);
      if (row && isIt(row)) await apply(tx, deps, row, { type: "policy.change_due", ...by }, make);
    });
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    deps.log(`change ${id} of organization ${organizationId}`, error);
    await inTransaction(deps.database, async (tx) => {
      await lockPolicy(tx, organizationId);
      await withdrawChanges(tx, organizationId, by, isIt);
    });
  }
}

function findChange(tx: Kysely<Database>, organizationId: number, id: string) {
  return tx
    .selectFrom("policy_changes")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .where("id", "=", id)
    .executeTakeFirst();
}

/** Makes a change, in the name of who asked for it. */
async function apply(
  tx: Kysely<Database>,
  deps: ApprovalDeps,
  row: PolicyChangeRow,
  { type, actor, at }: Change & { type: string },
  make: MakeUserChange,
): Promise<void> {
  const { organization_id: organizationId, id, asked_by_email: askedBy } = row;
  await deleteChange(tx, row);
  const change: WaitingChange = contentOf(row);
  const { policy: before, currency } = await lockPolicy(tx, organizationId);
  const words = changeText(change, currency);
  await tellAdministrators(
    tx,
    organizationId,
    { actor, at },
    {
      type,
      text:
        type === "policy.change_due"
          ? `24 hours have passed since ${askedBy} requested a change, which takes effect now: ${words}.`
          : `${actor} approved the change that ${askedBy} requested: ${words}.`,
      data: { changeId: id, requestedBy: askedBy, ...change },
    },
  );
  const by = { actor: askedBy, at };
  if (change.kind !== "policy") return make(tx, deps, organizationId, change, by);
  const { kind: _, ...parts } = change;
  await savePolicy(tx, organizationId, before, { ...before, ...parts }, by);
}
