import type { Kysely } from "kysely";
import { isPolicySet } from "../../billing/policy.ts";
import { canBuy } from "../../billing/roles.ts";
import { emailKey } from "../../contract/email.ts";
import { askForChange, lockPolicy } from "../control/changes.ts";
import type { MakeUserChange } from "../control/policy.ts";
import type { Database, PolicyChangeRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { Change } from "../events/events.ts";
import { uuidFrom } from "../identity/secrets.ts";
import { readMembers } from "./members.ts";
import { removeIn } from "./removal.ts";
import { addIn, alreadyUser, type MemberDetails, type NewMember } from "./store.ts";
import { changeRoleIn } from "./sync.ts";

/**
 * Adds a user; while a policy is set, adding an administrator waits (src/billing/README.md, Policy).
 *
 * @param askerId the user ID of the caller
 * @returns the user, or the change that waits
 * @throws BackendError as `addMember`
 */
export async function addOrAsk(
  database: Kysely<Database>,
  organizationId: number,
  member: NewMember,
  askerId: number,
  change: Change,
): Promise<{ row: MemberDetails; pending: null } | { row: null; pending: PolicyChangeRow }> {
  const { email, firstName, lastName, role, adminNoTraining } = member;
  return inTransaction(database, async (tx) => {
    if (!canBuy(role) || !isPolicySet((await lockPolicy(tx, organizationId)).policy)) {
      return { row: await addIn(tx, organizationId, member, change), pending: null };
    }
    const known = (await readMembers(tx, organizationId)).some((one) => emailKey(one.email) === emailKey(email));
    if (known) throw alreadyUser(member);
    const content = { kind: "user_add" as const, email, firstName, lastName, role, adminNoTraining };
    const pending = await askForChange(tx, organizationId, content, { ...change, userId: askerId });
    return { row: null, pending };
  });
}

/** Makes a change of who is an administrator once it was approved, or is due. */
export const makeUserChange: MakeUserChange = async (tx, { now, random }, organizationId, change, by) => {
  switch (change.kind) {
    case "user_add":
      await addIn(tx, organizationId, { ...change, uuid: uuidFrom(random(16)) }, by);
      return;
    case "user_update":
      await changeRoleIn(tx, { organizationId, idUser: change.idUser, role: change.role, changer: null }, by, now());
      return;
    default:
      await removeIn(tx, { organizationId, idUser: change.idUser, remover: null }, by, now());
  }
};
