import type { Kysely } from "kysely";
import { type Budget, LOOSENING_WAIT_MS, type Policy } from "../../billing/policy.ts";
import { emailKey } from "../../contract/email.ts";
import type { Database, PolicyChangeRow } from "../database/schema.ts";
import { BackendError } from "../errors.ts";
import { type Change, recordEvent } from "../events/events.ts";
import { queueNotification } from "../events/outbox.ts";
import { hasAnotherAdministrator } from "../identity/administrators.ts";
import { changeText, instantText, type WaitingChange } from "./waitingChange.ts";

/** Who asks for a change, by user ID, and when by the billing clock, milliseconds. */
export interface Asker extends Change {
  readonly userId: number;
}

/** How many changes that a person asked for can wait, so that nobody keeps others from asking. */
const MAX_WAITING = 50;

/** The policy of a subscription's row. */
export function policyOf(row: {
  readonly approval_above: number | null;
  readonly budget_amount: number | null;
  readonly budget_period: Budget["period"] | null;
}): Policy {
  const { approval_above: approvalAbove, budget_amount: amount, budget_period: period } = row;
  return { approvalAbove, budget: amount === null || period === null ? null : { amount, period } };
}

/** Reads the policy and locks the subscription, so that changes of an organization wait for each other. */
export async function lockPolicy(tx: Kysely<Database>, organizationId: number) {
  const row = await tx
    .updateTable("subscriptions")
    .set((expression) => ({ event_count: expression.ref("event_count") }))
    .where("organization_id", "=", organizationId)
    .returning(["approval_above", "budget_amount", "budget_period", "currency", "event_count"])
    .executeTakeFirstOrThrow();
  return { policy: policyOf(row), currency: row.currency, eventCount: row.event_count };
}

/** Lists the changes of an organization that wait, oldest first. */
export async function listChanges(database: Kysely<Database>, organizationId: number): Promise<PolicyChangeRow[]> {
  return database
    .selectFrom("policy_changes")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .orderBy("asked_at")
    .orderBy("id")
    .execute();
}

/** Returns the content of a change that waits. */
export function contentOf(row: Pick<PolicyChangeRow, "change_json">): WaitingChange {
  return JSON.parse(row.change_json) as WaitingChange;
}

/**
 * Lets a change wait for a second administrator, or for a day if there was only one in the day before. An earlier change of
 * the same user, or of the policy, is withdrawn. Inside the transaction that locked the subscription.
 *
 * @throws BackendError `invalid_request` if too many changes wait
 */
export async function askForChange(
  tx: Kysely<Database>,
  organizationId: number,
  change: WaitingChange,
  asker: Asker,
): Promise<PolicyChangeRow> {
  const { actor, at, userId } = asker;
  const others = await withdrawChanges(tx, organizationId, asker, (row) => isAboutSame(contentOf(row), change));
  if (others.filter(({ asked_by }) => asked_by === userId).length >= MAX_WAITING) {
    throw new BackendError(
      "invalid_request",
      `${MAX_WAITING} changes of yours wait already; withdraw some of them first`,
    );
  }
  const hasSecond = await hasAnotherAdministrator(tx, organizationId, userId, at - LOOSENING_WAIT_MS);
  const { currency, eventCount } = await lockPolicy(tx, organizationId);
  const row = {
    organization_id: organizationId,
    id: `chg_${eventCount + 1}`,
    kind: change.kind,
    change_json: JSON.stringify(change),
    asked_by: userId,
    asked_by_email: actor,
    asked_at: at,
    due_at: hasSecond ? null : at + LOOSENING_WAIT_MS,
  };
  await tx.insertInto("policy_changes").values(row).execute();
  const takesEffectAt = instantText(row.due_at);
  const how = takesEffectAt
    ? `It takes effect at ${takesEffectAt}.`
    : `Another administrator can approve it with \`secureflag-licenses organizations policy approve ${row.id}\`.`;
  await tellAdministrators(tx, organizationId, asker, {
    type: "policy.change_requested",
    text: `${actor} asked to ${changeText(change, currency)}. ${how}`,
    data: { changeId: row.id, takesEffectAt, ...change },
  });
  return row;
}

function isAboutSame(one: WaitingChange, other: WaitingChange): boolean {
  if (one.kind === "policy" || other.kind === "policy") return one.kind === other.kind;
  return emailKey(one.email) === emailKey(other.email);
}

/** Withdraws what waits for a user of an organization. */
export async function withdrawChangesOf(
  tx: Kysely<Database>,
  organizationId: number,
  email: string,
  by: Change,
): Promise<void> {
  await lockPolicy(tx, organizationId);
  await withdrawChanges(tx, organizationId, by, (row) => {
    const change = contentOf(row);
    return change.kind !== "policy" && emailKey(change.email) === emailKey(email);
  });
}

/**
 * Withdraws those changes of an organization that match.
 *
 * @returns the others, which go on waiting
 */
export async function withdrawChanges(
  tx: Kysely<Database>,
  organizationId: number,
  by: Change,
  matches: (row: PolicyChangeRow) => boolean,
): Promise<PolicyChangeRow[]> {
  const rows = await listChanges(tx, organizationId);
  const withdrawn = rows.filter(matches);
  for (const row of withdrawn) {
    await deleteChange(tx, row);
    const data = { changeId: row.id, ...contentOf(row) };
    const { actor, at } = by;
    await recordEvent(tx, { actor, at, organizationId, type: "policy.change_withdrawn", data });
  }
  return rows.filter((row) => !withdrawn.includes(row));
}

/** Deletes a change that waits. */
export async function deleteChange(
  tx: Kysely<Database>,
  { organization_id, id }: Pick<PolicyChangeRow, "organization_id" | "id">,
): Promise<void> {
  await tx.deleteFrom("policy_changes").where("organization_id", "=", organization_id).where("id", "=", id).execute();
}

/** Records an event and queues a notification of it for all administrators, inside the transaction of the change. */
export async function tellAdministrators(
  tx: Kysely<Database>,
  organizationId: number,
  { actor, at }: Change,
  about: { readonly type: string; readonly text: string; readonly data: Readonly<Record<string, unknown>> },
): Promise<void> {
  const { type, text, data } = about;
  const { eventCount } = await lockPolicy(tx, organizationId);
  await recordEvent(tx, { actor, at, organizationId, type, data });
  const id = `organization_${organizationId}:${type}:${eventCount + 1}`;
  await queueNotification(tx, { id, type, organizationId, purchaseId: null, to: null, text, data }, at);
}
