import type { Kysely } from "kysely";
import { canBuy, ROLES, roleName, takesLicense } from "../../billing/roles.ts";
import type { Database } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { BackendError } from "../errors.ts";
import { type Change, recordEvent } from "../events/events.ts";
import { revokeTokensOf } from "../identity/tokenStore.ts";
import { changeUsed } from "../subscriptions/store.ts";

/** Who changes users; `id` is a user ID, not the `idUser` of a membership. */
export interface Changer {
  readonly id: number;
  readonly role: number;
  readonly isSignedIn: boolean;
}

/** A user to remove, and the caller. */
export interface Removal {
  readonly organizationId: number;
  readonly idUser: number;
  readonly remover: Changer;
}

/**
 * Removes a user, frees the license, revokes the user's API tokens of the organization, and records it in the audit log.
 *
 * @param now the machine's clock, milliseconds
 * @throws BackendError `not_found` if there is no such user; `invalid_request` for oneself and for the organization's last
 *   administrator; `forbidden` for a role above the caller's, and for an administrator if the caller is an API token
 */
export async function removeMember(
  database: Kysely<Database>,
  { organizationId, idUser, remover }: Removal,
  change: Change,
  now: number,
): Promise<void> {
  await inTransaction(database, async (tx) => {
    const { user_id: userId, email, role, admin_no_training } = await takeOut(tx, organizationId, idUser);
    if (canBuy(role)) assertSignedIn(remover.isSignedIn);
    if (userId === remover.id) throw new BackendError("invalid_request", "You cannot remove yourself");
    if (role < remover.role) {
      const sentence = `The role ${roleName(remover.role)} cannot remove a ${roleName(role)}`;
      throw new BackendError("forbidden", sentence);
    }
    const adminNoTraining = admin_no_training === 1;
    const used = takesLicense({ role, adminNoTraining }) ? -1 : 0;
    // Locks the row even if `used` is 0: of two administrators who remove each other, the second sees the first.
    await changeUsed(tx, organizationId, used);
    if (role === ROLES.organizationAdministrator) await assertAdministratorLeft(tx, organizationId);
    await revokeTokensOf(tx, { id: userId, organizationId }, change, now);
    const data = { idUser, email, role, adminNoTraining };
    await recordEvent(tx, { ...change, organizationId, type: "user.removed", data });
  });
}

/** Ends a membership; of parallel calls, the second finds none. */
async function takeOut(tx: Kysely<Database>, organizationId: number, idUser: number) {
  const removed = await tx
    .updateTable("members")
    .set({ status: "REMOVED" })
    .where("organization_id", "=", organizationId)
    .where("id", "=", idUser)
    .where("status", "!=", "REMOVED")
    .returning(["user_id", "email", "role", "admin_no_training"])
    .executeTakeFirst();
  if (!removed) throw new BackendError("not_found", `User ${idUser} not found in this organization`);
  return removed;
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
