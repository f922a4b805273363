import type { Insertable, Kysely } from "kysely";
import { canBuy } from "../../billing/roles.ts";
import { emailKey } from "../../contract/email.ts";
import { batches } from "../database/batches.ts";
import type { Database, SessionRow, UserRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { BackendError } from "../errors.ts";
import { type Change, recordEvent } from "../events/events.ts";
import { sinceJoining } from "./administrators.ts";

/** Stored instead of a hash if there is no password. `null` is a password whose hash is still being computed. */
export const NO_PASSWORD = "";

/** Finds the user of an email, in any spelling. */
export async function findUser(database: Kysely<Database>, email: string): Promise<UserRow | undefined> {
  const [own, shared] = keysOf(email);
  const users = await database.selectFrom("users").selectAll().where("email_key", "in", [own, shared]).execute();
  return users.find(({ email_key }) => email_key === own) ?? users[0];
}

/**
 * Returns the keys that the user of an email may have, the more specific first. Older databases may have two users whose
 * spellings now share a key; the second is stored under its own spelling in lower case.
 */
function keysOf(email: string): [own: string, shared: string] {
  return [email.toLowerCase(), emailKey(email)];
}

/** Reads a user by id. */
export async function readUser(database: Kysely<Database>, userId: number): Promise<UserRow> {
  return database.selectFrom("users").selectAll().where("id", "=", userId).executeTakeFirstOrThrow();
}

/**
 * Creates the people of a list who do not exist yet; the others stay unchanged.
 *
 * @returns the user id of everyone, by `email_key`
 */
export async function findOrCreateUsers(
  tx: Kysely<Database>,
  users: readonly Insertable<Database["users"]>[],
): Promise<Map<string, number>> {
  const ids = new Map<string, number>();
  for await (const batch of batches(users)) {
    await tx
      .insertInto("users")
      .values(batch)
      .onConflict((conflict) => conflict.column("email_key").doNothing())
      .execute();
    const keys = batch.flatMap(({ email }) => keysOf(email));
    const rows = await tx.selectFrom("users").select(["id", "email_key"]).where("email_key", "in", keys).execute();
    const found = new Map(rows.map(({ id, email_key }) => [email_key, id]));
    for (const { email, email_key } of batch) {
      const [own, shared] = keysOf(email);
      const id = found.get(own) ?? found.get(shared);
      if (id !== undefined) ids.set(email_key, id);
    }
  }
  return ids;
}

/** Stores the hash of a user's password. */
export async function savePasswordHash(database: Kysely<Database>, userId: number, hash: string): Promise<void> {
  await database.updateTable("users").set({ password_hash: hash }).where("id", "=", userId).execute();
}

/** Lists the organizations that a user is a member of, by id; without pending invitations. */
export function membershipsOf(database: Kysely<Database>, userId: number) {
  return organizationsOf(database, userId, { accepted: 1 });
}

/** Lists the organizations whose invitation a user has not accepted yet, by id. */
export function invitationsOf(database: Kysely<Database>, userId: number) {
  return organizationsOf(database, userId, { accepted: 0 });
}

/**
 * Notes in the memberships of a person that they signed in, and records it in the audit logs of the organizations that they
 * administer. Organizations that only invite them do not learn of it.
 *
 * @param now the billing clock, milliseconds
 */
export async function noteSignIn(tx: Kysely<Database>, userId: number, now: number): Promise<void> {
  const organizations = await membershipsOf(tx, userId);
  if (organizations.length === 0) return;
  const ids = organizations.map(({ id }) => id);
  await tx
    .updateTable("members")
    .set({ last_login: now, administrator_since: sinceJoining(now) })
    .where("organization_id", "in", ids)
    .where("user_id", "=", userId)
    .where("status", "!=", "REMOVED")
    .where("accepted", "=", 1)
    .execute();
  const { email: actor } = await readUser(tx, userId);
  for (const organizationId of administered(organizations)) {
    await recordEvent(tx, { organizationId, at: now, type: "sign_in.succeeded", actor });
  }
}

/** Lists the organizations that a user administers, by id. */
export async function administeredBy(database: Kysely<Database>, userId: number): Promise<number[]> {
  return administered(await membershipsOf(database, userId));
}

function administered(organizations: Awaited<ReturnType<typeof membershipsOf>>): number[] {
  return organizations.filter(({ role }) => canBuy(role)).map(({ id }) => id);
}

async function organizationsOf(database: Kysely<Database>, userId: number, { accepted }: { accepted: 0 | 1 }) {
  return database
    .selectFrom("members")
    .innerJoin("organizations", "organizations.id", "members.organization_id")
    .select(["organizations.id", "organizations.name", "members.role"])
    .where("members.user_id", "=", userId)
    .where("members.status", "!=", "REMOVED")
    .where("members.accepted", "=", accepted)
    .orderBy("organizations.id")
    .execute();
}

/** Stores a session. */
export async function saveSession(database: Kysely<Database>, session: SessionRow): Promise<void> {
  await database.insertInto("sessions").values(session).execute();
}

/** Finds a live session by the hash of its access token. */
export async function findSession(
  database: Kysely<Database>,
  accessHash: string,
  now: number,
): Promise<SessionRow | undefined> {
  return database
    .selectFrom("sessions")
    .selectAll()
    .where("access_hash", "=", accessHash)
    .where("access_expires_at", ">", now)
    .where("revoked_at", "is", null)
    .executeTakeFirst();
}

/** Finds a session that was not revoked, by its id. */
export async function findSessionById(database: Kysely<Database>, id: string): Promise<SessionRow | undefined> {
  return database
    .selectFrom("sessions")
    .selectAll()
    .where("id", "=", id)
    .where("revoked_at", "is", null)
    .executeTakeFirst();
}

/** Replaces a session's pair of tokens, unless it was replaced since it was read. */
export async function rotateSession(
  database: Kysely<Database>,
  session: SessionRow,
  pair: Pick<SessionRow, "access_hash" | "access_expires_at" | "refresh_hash" | "refresh_expires_at">,
  previous: { hash: string | null; now: number },
): Promise<boolean> {
  const result = await database
    .updateTable("sessions")
    .set({ ...pair, previous_refresh_hash: previous.hash, rotated_at: previous.now })
    .where("id", "=", session.id)
    .where("refresh_hash", "=", session.refresh_hash)
    .where("revoked_at", "is", null)
    .executeTakeFirst();
  return Number(result.numUpdatedRows) === 1;
}

/** Stores when the person of a session last gave a one-time code. */
export async function saveSessionCode(database: Kysely<Database>, id: string, mfaAt: number): Promise<void> {
  await database.updateTable("sessions").set({ mfa_at: mfaAt }).where("id", "=", id).execute();
}

/** Revokes a session with all of its tokens. */
export async function revokeSession(database: Kysely<Database>, id: string, now: number): Promise<void> {
  await database.updateTable("sessions").set({ revoked_at: now }).where("id", "=", id).execute();
}

/**
 * Makes an invited person a member and records it in the audit log; does nothing for a member.
 *
 * @returns the organization, with the person's role in it
 * @throws BackendError `not_found` without an invitation, or if it was withdrawn
 */
export async function acceptInvitation(
  database: Kysely<Database>,
  { organizationId, userId }: { organizationId: number; userId: number },
  change: Change,
) {
  return inTransaction(database, async (tx) => {
    // Compare in memory: an arbitrary number may not fit the column.
    const isInvited = (await invitationsOf(tx, userId)).some(({ id }) => id === organizationId);
    if (isInvited) await becomeMember(tx, { organizationId, userId }, change);
    const membership = (await membershipsOf(tx, userId)).find(({ id }) => id === organizationId);
    if (membership) return membership;
    throw new BackendError("not_found", `Invitation to organization ${organizationId} not found`);
  });
}

async function becomeMember(
  tx: Kysely<Database>,
  { organizationId, userId }: { organizationId: number; userId: number },
  change: Change,
): Promise<void> {
  const accepted = await tx
    .updateTable("members")
    .set({ accepted: 1, status: "ACTIVE", joined_at: change.at, administrator_since: sinceJoining(change.at) })
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
