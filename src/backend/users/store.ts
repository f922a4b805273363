import type { Kysely } from "kysely";
import { canBuy, takesLicense } from "../../billing/roles.ts";
import type { AssignmentStrategy } from "../../contract/constants.ts";
import { emailKey } from "../../contract/email.ts";
import { USERS_PAGE_SIZE } from "../../contract/users.ts";
import { batches } from "../database/batches.ts";
import type { Database } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { BackendError } from "../errors.ts";
import { type Change, recordEvent, recordEvents } from "../events/events.ts";
import { findOrCreateUsers, NO_PASSWORD } from "../identity/memberships.ts";
import { changeUsed, readSubscription } from "../subscriptions/store.ts";
import { assertUsable, snapshotAt } from "../subscriptions/view.ts";
import { assertNoPolicy } from "./members.ts";

/** A user to add to an organization. */
export interface NewMember {
  readonly uuid: string;
  readonly email: string;
  readonly firstName: string;
  readonly lastName: string;
  readonly role: number;
  readonly adminNoTraining: boolean;
}

function members(database: Kysely<Database>) {
  return database
    .selectFrom("members")
    .select(["id", "uuid", "email", "first_name", "last_name", "role", "admin_no_training", "status"])
    .select(["joined_at", "added_at", "last_login"]);
}

/** A stored user of an organization. */
export type MemberDetails = Awaited<ReturnType<typeof listMembers>>[number];

/** Lists a page of an organization's users by `idUser`, from page 0. */
export async function listMembers(database: Kysely<Database>, organizationId: number, page: number) {
  return members(database)
    .where("organization_id", "=", organizationId)
    .where("status", "!=", "REMOVED")
    .orderBy("id")
    .limit(USERS_PAGE_SIZE)
    .offset(page * USERS_PAGE_SIZE)
    .execute();
}

/**
 * Adds a user, who takes a license at once unless the role takes none. Count and check are one step, so that parallel adds
 * never take more licenses than there are. A person of another organization has no access until they accept; the answer is
 * the same, so that it reveals nothing about them.
 *
 * @throws BackendError `no_license_available`, `subscription_not_purchasable`, `invalid_request` for an existing user
 */
export async function addMember(
  database: Kysely<Database>,
  organizationId: number,
  member: NewMember,
  change: Change,
): Promise<MemberDetails> {
  return inTransaction(database, (tx) => addIn(tx, organizationId, member, change));
}

/** `addMember` inside a transaction. */
export async function addIn(
  tx: Kysely<Database>,
  organizationId: number,
  member: NewMember,
  change: Change,
): Promise<MemberDetails> {
  const [id] = (await enroll(tx, organizationId, [member], change)).values();
  if (id === undefined) throw alreadyUser(member);
  return readMember(tx, organizationId, id);
}

/** The problem of an email that is a user already. */
export function alreadyUser({ email }: Pick<NewMember, "email">): BackendError {
  const message = `${email} is already a user of this organization`;
  return new BackendError("invalid_request", message, { errors: [{ path: "email", message }] });
}

/** Reads a user of an organization by `idUser`. */
export async function readMember(
  database: Kysely<Database>,
  organizationId: number,
  id: number,
): Promise<MemberDetails> {
  return members(database).where("organization_id", "=", organizationId).where("id", "=", id).executeTakeFirstOrThrow();
}

/**
 * Adds users and takes their licenses, all or nothing; existing users stay unchanged.
 *
 * @returns the positions of the existing users in the list
 * @throws BackendError `no_license_available`, `subscription_not_purchasable`, `invalid_request` for an administrator
 *   while a policy is set
 */
export async function addMembers(
  database: Kysely<Database>,
  organizationId: number,
  list: readonly NewMember[],
  change: Change,
): Promise<number[]> {
  return inTransaction(database, async (tx) => {
    const added = await enroll(tx, organizationId, list, change);
    const administrators = list.flatMap(({ email, role }, index) =>
      canBuy(role) && added.has(emailKey(email)) ? [`users[${index}].role`] : [],
    );
    await assertNoPolicy(tx, organizationId, administrators);
    return list.flatMap(({ email }, index) => (added.has(emailKey(email)) ? [] : [index]));
  });
}

/** How many licenses are taken and freed by one change. */
interface LicenseChange {
  readonly taken: number;
  readonly freed: number;
}

/**
 * Adds the new users of a list, takes their licenses and records it; returns their `idUser` by the email's key.
 *
 * @param licenses what the whole change takes and frees, if there is more to it than these users
 */
export async function enroll(
  tx: Kysely<Database>,
  organizationId: number,
  list: readonly NewMember[],
  change: Change,
  licenses?: LicenseChange,
): Promise<Map<string, number>> {
  // Always in the same order, so that parallel imports of the same people do not deadlock.
  const sorted = list.toSorted((one, other) => (emailKey(one.email) < emailKey(other.email) ? -1 : 1));
  const persons = await findOrCreateUsers(tx, sorted.map(personRow));
  const strategy = await readAssignmentStrategy(tx, organizationId);
  const added = await join(tx, { organizationId, strategy, now: change.at }, sorted, persons);
  const fresh = sorted.filter(({ email }) => added.has(emailKey(email)));
  const own = { taken: fresh.filter(takesLicense).length, freed: 0 };
  await changeLicenses(tx, organizationId, licenses ?? own, change.at);
  const events = fresh.map(({ email, role, adminNoTraining }) => ({
    type: "user.added",
    data: { idUser: added.get(emailKey(email)), email, role, adminNoTraining },
  }));
  await recordEvents(tx, { ...change, organizationId }, events);
  return added;
}

function personRow({ uuid, email }: NewMember) {
  return { uuid, email, email_key: emailKey(email), password_hash: NO_PASSWORD, totp_secret: null };
}

/** Makes people members, also those who were removed before; returns the `idUser` of the new ones. */
async function join(
  tx: Kysely<Database>,
  { organizationId, strategy, now }: { organizationId: number; strategy: string; now: number },
  list: readonly NewMember[],
  persons: ReadonlyMap<string, number>,
): Promise<Map<string, number>> {
  const joined = new Map<string, number>();
  const personOf = ({ email }: NewMember) => persons.get(emailKey(email)) ?? 0;
  for await (const batch of batches(list)) {
    const elsewhere = await membersElsewhere(tx, organizationId, batch.map(personOf));
    const rows = await tx
      .insertInto("members")
      .values(
        batch.map((member) => ({
          ...memberRow(organizationId, member, personOf(member), elsewhere),
          assignment_strategy: strategy,
          added_at: now,
          last_login: null,
        })),
      )
      .onConflict((conflict) =>
        conflict
          .columns(["organization_id", "user_id"])
          .doUpdateSet(({ ref }) => ({
            first_name: ref("excluded.first_name"),
            last_name: ref("excluded.last_name"),
            role: ref("excluded.role"),
            admin_no_training: ref("excluded.admin_no_training"),
            status: ref("excluded.status"),
            joined_at: ref("excluded.joined_at"),
            added_at: ref("excluded.added_at"),
            last_login: ref("excluded.last_login"),
            assignment_strategy: ref("excluded.assignment_strategy"),
            accepted: ref("excluded.accepted"),
          }))
          .where("members.status", "=", "REMOVED"),
      )
      .returning(["id", "email"])
      .execute();
    for (const { id, email } of rows) joined.set(emailKey(email), id);
  }
  return joined;
}

function memberRow(
  organizationId: number,
  { uuid, email, firstName, lastName, role, adminNoTraining }: NewMember,
  userId: number,
  elsewhere: ReadonlySet<number>,
) {
  return {
    organization_id: organizationId,
    user_id: userId,
    uuid,
    email,
    first_name: firstName,
    last_name: lastName,
    role,
    admin_no_training: adminNoTraining ? 1 : 0,
    status: "INVITED" as const,
    joined_at: null,
    accepted: elsewhere.has(userId) ? 0 : 1,
  };
}

/** Returns those who are or were in another organization: they have to accept an invitation to this one. */
async function membersElsewhere(
  tx: Kysely<Database>,
  organizationId: number,
  userIds: readonly number[],
): Promise<Set<number>> {
  const rows = await tx
    .selectFrom("members")
    .select("user_id")
    .where("user_id", "in", userIds)
    .where("organization_id", "!=", organizationId)
    .execute();
  return new Set(rows.map(({ user_id }) => user_id));
}

/**
 * Takes and frees licenses and then checks: the row is locked, so the shortage in the message is exact.
 *
 * @throws BackendError `no_license_available`, `subscription_not_purchasable`
 */
export async function changeLicenses(
  tx: Kysely<Database>,
  organizationId: number,
  { taken, freed }: LicenseChange,
  now: number,
): Promise<void> {
  const count = taken - freed;
  if (count !== 0) await changeUsed(tx, organizationId, count);
  if (taken === 0) return;
  const subscription = await readSubscription(tx, organizationId);
  assertUsable(snapshotAt(subscription, now));
  const { used, licenses, version } = subscription;
  if (count <= 0 || used <= licenses) return;
  const missing = used - licenses;
  const needed = count === 1 ? "1 license is needed" : `${count} licenses are needed`;
  throw new BackendError(
    "no_license_available",
    `${needed}, but ${count - missing} of the ${licenses} purchased are available; buy ${missing} more`,
    { needed: count, missing, subscriptionVersion: version },
  );
}

/** Reads what an organization assigns to new users. */
export async function readAssignmentStrategy(
  database: Kysely<Database>,
  organizationId: number,
): Promise<AssignmentStrategy> {
  const { assignment_strategy } = await database
    .selectFrom("organizations")
    .select("assignment_strategy")
    .where("id", "=", organizationId)
    .executeTakeFirstOrThrow();
  return assignment_strategy;
}

/** Sets what an organization assigns to new users, and records a change in the audit log. */
export async function saveAssignmentStrategy(
  database: Kysely<Database>,
  organizationId: number,
  strategy: AssignmentStrategy,
  change: Change,
): Promise<void> {
  await inTransaction(database, async (tx) => {
    const { numUpdatedRows } = await tx
      .updateTable("organizations")
      .set({ assignment_strategy: strategy })
      .where("id", "=", organizationId)
      .where("assignment_strategy", "!=", strategy)
      .executeTakeFirst();
    if (Number(numUpdatedRows) === 0) return;
    const data = { assignmentStrategy: strategy };
    await recordEvent(tx, { ...change, organizationId, type: "organization.assignment_strategy_set", data });
  });
}
