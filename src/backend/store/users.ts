import type { Kysely } from "kysely";
import { takesLicense } from "../../billing/roles.ts";
import { USERS_PAGE_SIZE } from "../../contract/users.ts";
import { ProblemError } from "../problem.ts";
import { pictureAt } from "../subscriptions/picture.ts";
import { assertUsable } from "../subscriptions/standing.ts";
import { batches } from "./batches.ts";
import { findOrCreateUsers, NO_PASSWORD } from "./identities.ts";
import { type Change, recordEvents } from "./records.ts";
import type { Database } from "./schema.ts";
import { changeUsed, readSubscription } from "./subscriptions.ts";

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
 * @throws ProblemError `no_license_available`, `subscription_not_purchasable`, `invalid_request` for a user who is
 *   there already
 */
export async function addMember(
  database: Kysely<Database>,
  organizationId: number,
  member: NewMember,
  change: Change,
): Promise<MemberDetails> {
  return database.transaction().execute(async (tx) => {
    const [userId] = (await enrol(tx, organizationId, [member], change)).values();
    if (userId === undefined) {
      const message = `${member.email} is a user of this organization already`;
      throw new ProblemError("invalid_request", message, { errors: [{ path: "email", message }] });
    }
    return members(tx)
      .where("members.organization_id", "=", organizationId)
      .where("users.id", "=", userId)
      .executeTakeFirstOrThrow();
  });
}

/**
 * Adds many users with the licenses that they take, all or nothing; those who are there already are left as they are.
 *
 * @returns the positions of those who were there already
 * @throws ProblemError `no_license_available`, `subscription_not_purchasable`
 */
export async function addMembers(
  database: Kysely<Database>,
  organizationId: number,
  list: readonly NewMember[],
  change: Change,
): Promise<number[]> {
  return database.transaction().execute(async (tx) => {
    const added = await enrol(tx, organizationId, list, change);
    return list.flatMap(({ email }, index) => (added.has(emailKey(email)) ? [] : [index]));
  });
}

/** Adds those who are not there, with their licenses and the audit log; gives their numbers by the email's key. */
async function enrol(
  tx: Kysely<Database>,
  organizationId: number,
  list: readonly NewMember[],
  change: Change,
): Promise<Map<string, number>> {
  // In one order everywhere, so that two who add the same people at the same time never wait for each other.
  const sorted = list.toSorted((one, other) => (emailKey(one.email) < emailKey(other.email) ? -1 : 1));
  const ids = await findOrCreateUsers(tx, sorted.map(personRow));
  const joined = await join(tx, organizationId, sorted, ids);
  const added = new Map([...ids].filter(([, id]) => joined.has(id)));
  const news = sorted.filter(({ email }) => added.has(emailKey(email)));
  const licenses = news.filter(takesLicense).length;
  if (licenses > 0) await takeLicenses(tx, organizationId, licenses, change.at);
  const events = news.map(({ email, role, adminNoTraining }) => ({
    type: "user.added",
    data: { idUser: added.get(emailKey(email)), email, role, adminNoTraining },
  }));
  await recordEvents(tx, { ...change, organizationId }, events);
  return added;
}

/** One person, however the email is written. */
function emailKey(email: string): string {
  return email.toLowerCase();
}

function personRow({ uuid, email, firstName, lastName }: NewMember) {
  const name = { first_name: firstName, last_name: lastName };
  return { uuid, email, email_key: emailKey(email), ...name, password_hash: NO_PASSWORD, totp_secret: null };
}

/** Makes people members, those too who were removed before; gives the numbers of those who were none. */
async function join(
  tx: Kysely<Database>,
  organizationId: number,
  list: readonly NewMember[],
  ids: ReadonlyMap<string, number>,
): Promise<Set<number>> {
  const joined = new Set<number>();
  for await (const batch of batches(list)) {
    const rows = await tx
      .insertInto("members")
      .values(
        batch.map(({ email, role, adminNoTraining, assignmentStrategy }) => ({
          organization_id: organizationId,
          user_id: ids.get(emailKey(email)) ?? 0,
          role,
          admin_no_training: adminNoTraining ? 1 : 0,
          status: "INVITED" as const,
          joined_at: null,
          assignment_strategy: assignmentStrategy,
        })),
      )
      .onConflict((conflict) =>
        conflict
          .columns(["organization_id", "user_id"])
          .doUpdateSet(({ ref }) => ({
            role: ref("excluded.role"),
            admin_no_training: ref("excluded.admin_no_training"),
            status: ref("excluded.status"),
            joined_at: ref("excluded.joined_at"),
            assignment_strategy: ref("excluded.assignment_strategy"),
          }))
          .where("members.status", "=", "REMOVED"),
      )
      .returning("user_id")
      .execute();
    for (const { user_id } of rows) joined.add(user_id);
  }
  return joined;
}

/** Takes licenses in one step: the row is locked, so what is said to be missing is so, whatever others do meanwhile. */
async function takeLicenses(tx: Kysely<Database>, organizationId: number, count: number, now: number): Promise<void> {
  await changeUsed(tx, organizationId, count);
  const subscription = await readSubscription(tx, organizationId);
  assertUsable(pictureAt(subscription, now));
  const { used, licenses } = subscription;
  if (used <= licenses) return;
  const missing = used - licenses;
  const needed = count === 1 ? "This takes 1 license" : `This takes ${count} licenses`;
  throw new ProblemError(
    "no_license_available",
    `${needed}, and ${count - missing} of the ${licenses} purchased are available: ${missing} more must be bought`,
    { needed: count, missing },
  );
}
