import type { Insertable, Kysely } from "kysely";
import { emailKey } from "../../contract/email.ts";
import { batches } from "../database/batches.ts";
import type { Database, SessionRow, UserRow } from "../database/schema.ts";
import { ProblemError } from "../errors.ts";
import { type Change, recordEvent } from "../events/events.ts";

/** In place of a hash: nobody can sign in with a password. `null` is a password whose hash is still being made. */
export const NO_PASSWORD = "";

/** The user of an email, however it is typed. */
export async function findUser(database: Kysely<Database>, email: string): Promise<UserRow | undefined> {
  const [own, shared] = keysOf(email);
  const users = await database.selectFrom("users").selectAll().where("email_key", "in", [own, shared]).execute();
  return users.find(({ email_key }) => email_key === own) ?? users[0];
}

/**
 * The keys that a user of an email may have, the likelier owner first: two who were different people before spellings
 * had one key still are, and the second is known by what they typed in lower case.
 */
function keysOf(email: string): [own: string, shared: string] {
  return [email.toLowerCase(), emailKey(email)];
}

/** The user of a number. */
export async function readUser(database: Kysely<Database>, userId: number): Promise<UserRow> {
  return database.selectFrom("users").selectAll().where("id", "=", userId).executeTakeFirstOrThrow();
}

/**
 * Makes those people of a list who are not known yet; the others stay as they are.
 *
 * @returns everybody's number by `email_key`
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

/** Keeps the hash of a user's password. */
export async function savePasswordHash(database: Kysely<Database>, userId: number, hash: string): Promise<void> {
  await database.updateTable("users").set({ password_hash: hash }).where("id", "=", userId).execute();
}

/** The organizations that a user is a member of, lowest number first; none that only invited them. */
export function membershipsOf(database: Kysely<Database>, userId: number) {
  return organizationsOf(database, userId, { accepted: 1 });
}

/** The organizations that have invited a person of others and wait for their answer, lowest number first. */
export function invitationsOf(database: Kysely<Database>, userId: number) {
  return organizationsOf(database, userId, { accepted: 0 });
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

/** Starts a session. */
export async function saveSession(database: Kysely<Database>, session: SessionRow): Promise<void> {
  await database.insertInto("sessions").values(session).execute();
}

/** A live session by the hash of its access token. */
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

/** A session that was not revoked, by its id. */
export async function findSessionById(database: Kysely<Database>, id: string): Promise<SessionRow | undefined> {
  return database
    .selectFrom("sessions")
    .selectAll()
    .where("id", "=", id)
    .where("revoked_at", "is", null)
    .executeTakeFirst();
}

/** Replaces a session's pair of tokens, if nobody has replaced it since it was read. */
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

/** Keeps when the person of a session last gave a one-time code. */
export async function saveSessionCode(database: Kysely<Database>, id: string, mfaAt: number): Promise<void> {
  await database.updateTable("sessions").set({ mfa_at: mfaAt }).where("id", "=", id).execute();
}

/** Ends a session with all of its tokens. */
export async function revokeSession(database: Kysely<Database>, id: string, now: number): Promise<void> {
  await database.updateTable("sessions").set({ revoked_at: now }).where("id", "=", id).execute();
}

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
