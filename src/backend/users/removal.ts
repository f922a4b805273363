import type { Kysely } from "kysely";
import { mayBuy, ROLES, roleName, takesLicense } from "../../billing/roles.ts";
import type { Database } from "../database/schema.ts";
import { ProblemError } from "../errors.ts";
import { type Change, recordEvent } from "../events/events.ts";
import { revokeTokensOf } from "../identity/tokenStore.ts";
import { changeUsed } from "../subscriptions/store.ts";

/** A user to remove from an organization, and who asks for it: `id` is the person's, not the `idUser` of a membership. */
export interface Removal {
  readonly organizationId: number;
  readonly idUser: number;
  readonly remover: { readonly id: number; readonly role: number; readonly isSignedIn: boolean };
}

/**
 * Removes a user: the license is free at once, their API tokens of the organization end, and the audit log tells of it.
 *
 * @param now the machine's clock, milliseconds: tokens follow it
 * @throws ProblemError `not_found` for whom is no user (any more); `invalid_request` for oneself and the organization's
 *   last administrator; `forbidden` for a role above the remover's own, and for an administrator where an API token
 *   asks
 */
export async function removeMember(
  database: Kysely<Database>,
  { organizationId, idUser, remover }: Removal,
  change: Change,
  now: number,
): Promise<void> {
  await database.transaction().execute(async (tx) => {
    const { user_id: userId, email, role, admin_no_training } = await takeOut(tx, organizationId, idUser);
    if (mayBuy(role)) assertSignedIn(remover.isSignedIn);
    if (userId === remover.id) throw new ProblemError("invalid_request", "Nobody can remove themselves");
    if (role < remover.role) {
      const sentence = `With the role ${roleName(remover.role)} you cannot remove a ${roleName(role)}`;
      throw new ProblemError("forbidden", sentence);
    }
    const used = takesLicense({ role, adminNoTraining: admin_no_training === 1 }) ? -1 : 0;
    // Changed by none it is locked all the same: of two who remove each other the second sees the first.
    await changeUsed(tx, organizationId, used);
    if (role === ROLES.organizationAdministrator) await assertAdministratorLeft(tx, organizationId);
    await revokeTokensOf(tx, { id: userId, organizationId }, change, now);
    const data = { idUser, email, role };
    await recordEvent(tx, { ...change, organizationId, type: "user.removed", data });
  });
}

/** Ends a membership; of two who do so at the same time, the second finds none. */
async function takeOut(tx: Kysely<Database>, organizationId: number, idUser: number) {
  const removed = await tx
    .updateTable("members")
    .set({ status: "REMOVED" })
    .where("organization_id", "=", organizationId)
    .where("id", "=", idUser)
    .where("status", "!=", "REMOVED")
    .returning(["user_id", "email", "role", "admin_no_training"])
    .executeTakeFirst();
  if (!removed) throw new ProblemError("not_found", `There is no user ${idUser} in this organization`);
  return removed;
}

/**
 * Keeps administrators out of the reach of API tokens, which could otherwise take over an organization, or revoke the
 * tokens of its administrators by removing them.
 *
 * @throws ProblemError `forbidden`
 */
export function assertSignedIn(isSignedIn: boolean): void {
  if (isSignedIn) return;
  throw new ProblemError(
    "forbidden",
    "An API token cannot add or remove administrators; a signed-in administrator can",
  );
}

async function assertAdministratorLeft(tx: Kysely<Database>, organizationId: number): Promise<void> {
  const left = await tx
    .selectFrom("members")
    .select("id")
    .where("organization_id", "=", organizationId)
    .where("role", "=", ROLES.organizationAdministrator)
    .where("status", "!=", "REMOVED")
    // One who was only invited administers nothing yet.
    .where("accepted", "=", 1)
    .executeTakeFirst();
  if (left) return;
  const sentence = "This is the organization's last organization administrator; make another one first";
  throw new ProblemError("invalid_request", sentence);
}
