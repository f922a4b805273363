import type { Kysely } from "kysely";
import { isPolicySet } from "../../billing/policy.ts";
import { canBuy, ROLES, roleName, takesLicense } from "../../billing/roles.ts";
import { askForChange, lockPolicy, withdrawChangesOf } from "../control/changes.ts";
import type { Database, PolicyChangeRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { BackendError } from "../errors.ts";
import { type Change, recordEvent } from "../events/events.ts";
import { timesAfterChange } from "../identity/administrators.ts";
import { changeUsed } from "../subscriptions/store.ts";
import { endRights, memberWith } from "./members.ts";

/** Who changes users; `id` is a user ID, not the `idUser` of a membership. */
export interface Changer {
  readonly id: number;
  readonly role: number;
  readonly isSignedIn: boolean;
}

/** A user to remove, and the caller; `null` once the removal was approved. */
export interface Removal {
  readonly organizationId: number;
  readonly idUser: number;
  readonly remover: Changer | null;
}

/**
 * Removes a user, frees the license, revokes the user's API tokens of the organization, and records it in the audit log.
 * While a policy is set, removing an administrator waits (src/billing/README.md, Policy).
 *
 * @param now the machine's clock, milliseconds
 * @returns the change that waits, `null` if the user was removed
 * @throws BackendError `not_found` if there is no such user; `invalid_request` for oneself and for the organization's last
 *   administrator; `forbidden` for a role above the caller's, and for an administrator if the caller is an API token
 */
export async function removeMember(
  database: Kysely<Database>,
  removal: Removal,
  change: Change,
  now: number,
): Promise<PolicyChangeRow | null> {
  return inTransaction(database, (tx) => removeIn(tx, removal, change, now));
}

/** `removeMember` inside a transaction. */
export async function removeIn(
  tx: Kysely<Database>,
  { organizationId, idUser, remover }: Removal,
  change: Change,
  now: number,
): Promise<PolicyChangeRow | null> {
  // Of two administrators who remove each other, the second sees the first.
  const { policy } = await lockPolicy(tx, organizationId);
  const member = await memberWith(tx, organizationId, idUser);
  const { role, email, adminNoTraining } = member;
  if (remover) assertMayRemove(remover, member);
  if (remover && canBuy(role) && isPolicySet(policy)) {
    const asker = { ...change, userId: remover.id };
    return askForChange(tx, organizationId, { kind: "user_remove", idUser, email, role }, asker);
  }
  await tx
    .updateTable("members")
    .set({ status: "REMOVED", ...timesAfterChange(null, change.at) })
    .where("organization_id", "=", organizationId)
    .where("id", "=", idUser)
    .execute();
  if (takesLicense(member)) await changeUsed(tx, organizationId, -1);
  if (role === ROLES.organizationAdministrator) await assertAdministratorLeft(tx, organizationId);
  await endRights(tx, organizationId, [member], change, now);
  await withdrawChangesOf(tx, organizationId, email, change);
  const data = { idUser, email, role, adminNoTraining };
  await recordEvent(tx, { ...change, organizationId, type: "user.removed", data });
  return null;
}

function assertMayRemove(remover: Changer, { userId, role }: { userId: number; role: number }): void {
  if (canBuy(role)) assertSignedIn(remover.isSignedIn);
  if (userId === remover.id) throw new BackendError("invalid_request", "You cannot remove yourself");
  if (role >= remover.role) return;
  throw new BackendError("forbidden", `The role ${roleName(remover.role)} cannot remove a ${roleName(role)}`);
}

/**
 * Refuses API tokens that add, change or remove administrators: they could take over the organization, or revoke the tokens of its
 * administrators by removing them.
 *
 * @throws BackendError `forbidden`
 */
export function assertSignedIn(isSignedIn: boolean, deed = "add or remove administrators"): void {
  if (isSignedIn) return;
  throw new BackendError("forbidden", `An API token cannot ${deed}; a signed-in administrator can`);
}

/** @throws BackendError `invalid_request` if an organization has no administrator left */
export async function assertAdministratorLeft(
  tx: Kysely<Database>,
  organizationId: number,
  verb = "removed",
): Promise<void> {
  const left = await tx
    .selectFrom("members")
    .select("id")
    .where("organization_id", "=", organizationId)
    .where("role", "=", ROLES.organizationAdministrator)
    .where("status", "!=", "REMOVED")
    // A pending invitation does not count.
    .where("accepted", "=", 1)
    .executeTakeFirst();
  if (left) return;
  const sentence = `The last organization administrator cannot be ${verb}; add another one first`;
  throw new BackendError("invalid_request", sentence);
}
