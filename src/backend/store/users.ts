import type { Kysely } from "kysely";
import { takesLicense } from "../../billing/roles.ts";
import { USERS_PAGE_SIZE } from "../../contract/users.ts";
import { ProblemError } from "../problem.ts";
import { NO_PASSWORD } from "./identities.ts";
import { recordEvent } from "./records.ts";
import type { Database } from "./schema.ts";

/** A user to add to an organization. */
export interface NewMember {
  readonly uuid: string;
  readonly email: string;
  readonly firstName: string;
  readonly lastName: string;
  readonly role: number;
  readonly adminNoTraining: boolean;
  readonly assignmentStrategy: string;
}

function members(database: Kysely<Database>) {
  return database
    .selectFrom("members")
    .innerJoin("users", "users.id", "members.user_id")
    .select(["users.id", "users.uuid", "users.email", "users.first_name", "users.last_name"])
    .select(["members.role", "members.admin_no_training", "members.status", "members.joined_at"]);
}

/** A user of an organization as stored. */
export type MemberDetails = Awaited<ReturnType<typeof listMembers>>[number];

/** One page of an organization's users by number, from page 0. */
export async function listMembers(database: Kysely<Database>, organizationId: number, page: number) {
  return members(database)
    .where("members.organization_id", "=", organizationId)
    .where("members.status", "!=", "REMOVED")
    .orderBy("users.id")
    .limit(USERS_PAGE_SIZE)
    .offset(page * USERS_PAGE_SIZE)
    .execute();
}

/**
 * Adds a user, who takes a license at once unless the role takes none. Count and check are one step, so that parallel
 * adds never take more licenses than there are.
 *
 * @param now the billing clock, milliseconds
 * @throws ProblemError `no_license_available`, `invalid_request` for a user who is there already
 */
export async function addMember(
  database: Kysely<Database>,
  organizationId: number,
  member: NewMember,
  actor: string,
  now: number,
): Promise<MemberDetails> {
  return database.transaction().execute(async (tx) => {
    const userId = await findOrCreateUser(tx, member);
    const added = await tx
      .insertInto("members")
      .values({
        organization_id: organizationId,
        user_id: userId,
        role: member.role,
        admin_no_training: member.adminNoTraining ? 1 : 0,
        status: "INVITED",
        joined_at: null,
        assignment_strategy: member.assignmentStrategy,
      })
      .onConflict((conflict) => conflict.columns(["organization_id", "user_id"]).doNothing())
      .returning("user_id")
      .executeTakeFirst();
    if (!added) {
      const message = `${member.email} is a user of this organization already`;
      throw new ProblemError("invalid_request", message, { errors: [{ path: "email", message }] });
    }
    if (takesLicense(member)) await takeLicense(tx, organizationId);
    await recordEvent(tx, { organizationId, at: now, type: "user.added", actor, data: { email: member.email } });
    return members(tx)
      .where("members.organization_id", "=", organizationId)
      .where("users.id", "=", userId)
      .executeTakeFirstOrThrow();
  });
}

async function findOrCreateUser(tx: Kysely<Database>, member: NewMember): Promise<number> {
  await tx
    .insertInto("users")
    .values({
      uuid: member.uuid,
      email: member.email,
      email_key: member.email.toLowerCase(),
      first_name: member.firstName,
      last_name: member.lastName,
      password_hash: NO_PASSWORD,
      totp_secret: null,
    })
    .onConflict((conflict) => conflict.column("email_key").doNothing())
    .execute();
  const user = await tx
    .selectFrom("users")
    .select("id")
    .where("email_key", "=", member.email.toLowerCase())
    .executeTakeFirstOrThrow();
  return user.id;
}

async function takeLicense(tx: Kysely<Database>, organizationId: number): Promise<void> {
  const taken = await tx
    .updateTable("subscriptions")
    .set((expression) => ({ used: expression("used", "+", 1) }))
    .where("organization_id", "=", organizationId)
    .whereRef("used", "<", "licenses")
    .executeTakeFirst();
  if (Number(taken.numUpdatedRows) === 0) {
    throw new ProblemError("no_license_available", "All purchased licenses are used; buy more to add users");
  }
}
