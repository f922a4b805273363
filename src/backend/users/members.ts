import type { Kysely } from "kysely";
import { isPolicySet } from "../../billing/policy.ts";
import { canBuy } from "../../billing/roles.ts";
import { lockPolicy, withdrawChanges } from "../control/changes.ts";
import type { Database } from "../database/schema.ts";
import { BackendError } from "../errors.ts";
import type { Change } from "../events/events.ts";
import { revokeTokensOf } from "../identity/tokenStore.ts";
import type { SyncedMember } from "./syncPlan.ts";

/** Reads the users of an organization, or one of them. */
export async function readMembers(
  tx: Kysely<Database>,
  organizationId: number,
  idUser?: number,
): Promise<SyncedMember[]> {
  const all = tx
    .selectFrom("members")
    .select(["id", "user_id", "email", "role", "admin_no_training", "accepted", "status"])
    .where("organization_id", "=", organizationId)
    .where("status", "!=", "REMOVED")
    .orderBy("id");
  const rows = await (idUser === undefined ? all : all.where("id", "=", idUser)).execute();
  return rows.map(({ id, user_id, email, role, admin_no_training, accepted, status }) => ({
    idUser: id,
    userId: user_id,
    email,
    role,
    adminNoTraining: admin_no_training === 1,
    isActive: accepted === 1 && status === "ACTIVE",
  }));
}

/**
 * Reads a user of an organization.
 *
 * @throws BackendError `not_found`
 */
export async function memberWith(tx: Kysely<Database>, organizationId: number, idUser: number): Promise<SyncedMember> {
  const [member] = await readMembers(tx, organizationId, idUser);
  if (!member) throw new BackendError("not_found", `User ${idUser} not found in this organization`);
  return member;
}

/**
 * Ends what people could do who leave, or are no longer administrators: revokes their API tokens of the organization, and
 * withdraws the changes that they asked for.
 *
 * @param members as they were before
 * @param now the machine's clock, milliseconds
 */
export async function endRights(
  tx: Kysely<Database>,
  organizationId: number,
  members: readonly Pick<SyncedMember, "userId" | "role">[],
  change: Change,
  now: number,
): Promise<void> {
  const leaving = new Set(members.map(({ userId }) => userId));
  const owners = await tx
    .selectFrom("api_tokens")
    .select("user_id")
    .distinct()
    .where("organization_id", "=", organizationId)
    .where("revoked_at", "is", null)
    .execute();
  for (const { user_id: id } of owners) {
    if (leaving.has(id)) await revokeTokensOf(tx, { id, organizationId }, change, now);
  }
  if (members.some(({ role }) => canBuy(role))) {
    await withdrawChanges(tx, organizationId, change, ({ asked_by }) => leaving.has(asked_by));
  }
}

/**
 * Refuses a list that changes who is an administrator while a policy is set.
 *
 * @param paths the fields of the request that do so, if any
 * @throws BackendError `invalid_request`
 */
export async function assertNoPolicy(
  tx: Kysely<Database>,
  organizationId: number,
  paths: readonly string[],
): Promise<void> {
  if (paths.length === 0 || !isPolicySet((await lockPolicy(tx, organizationId)).policy)) return;
  const message = "while a policy is set, administrators are added, changed and removed one by one";
  throw new BackendError("invalid_request", `The request is not valid: ${paths[0]}: ${message}`, {
    errors: paths.slice(0, MAX_ERRORS).map((path) => ({ path, message })),
  });
}

/** How many fields an answer lists. */
const MAX_ERRORS = 50;
