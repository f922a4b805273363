import type { Kysely } from "kysely";
import { ProblemError } from "../problem.ts";
import { invitationsOf, membershipsOf } from "./identities.ts";
import { type Change, recordEvent } from "./records.ts";
import type { Database } from "./schema.ts";

/**
 * Makes an invited person a member, and tells the audit log of it; a membership that was accepted before stays as it is.
 *
 * @returns the organization as its member sees it
 * @throws ProblemError `not_found` without an invitation, and after it was taken back
 */
export async function acceptInvitation(
  database: Kysely<Database>,
  { organizationId, userId }: { organizationId: number; userId: number },
  change: Change,
) {
  return database.transaction().execute(async (tx) => {
    // Only a number that is there reaches the comparison with a column: any other may not fit it.
    const isInvited = (await invitationsOf(tx, userId)).some(({ id }) => id === organizationId);
    if (isInvited) await becomeMember(tx, { organizationId, userId }, change);
    const membership = (await membershipsOf(tx, userId)).find(({ id }) => id === organizationId);
    if (membership) return membership;
    throw new ProblemError("not_found", `There is no invitation to organization ${organizationId}`);
  });
}

async function becomeMember(
  tx: Kysely<Database>,
  { organizationId, userId }: { organizationId: number; userId: number },
  change: Change,
): Promise<void> {
  const accepted = await tx
    .updateTable("members")
    .set({ accepted: 1, status: "ACTIVE", joined_at: change.at })
    .where("organization_id", "=", organizationId)
    .where("user_id", "=", userId)
    .where("status", "!=", "REMOVED")
    .where("accepted", "=", 0)
    .returning(["id", "email", "role"])
    .executeTakeFirst();
  if (!accepted) return;
  const data = { idUser: accepted.id, email: accepted.email, role: accepted.role };
  await recordEvent(tx, { ...change, organizationId, type: "user.accepted", data });
}
