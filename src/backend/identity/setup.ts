import type { Kysely } from "kysely";
import { Secret } from "otpauth";
import type { Database } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { sinceJoining } from "./administrators.ts";
import { invitationsOf, membershipsOf } from "./memberships.ts";
import { hashToken } from "./secrets.ts";
import { takeTicket } from "./sessions.ts";
import { readTicket, type SignedIn } from "./tickets.ts";

type SetupDeps = Pick<BackendDeps, "database" | "now" | "random">;

/** The bytes of a secret for one-time codes: as many as the hash of RFC 4226 has, section 4. */
const SECRET_BYTES = 20;

/** Creates the secret of an authenticator app, in base32. */
export function newCodeSecret({ random }: Pick<SetupDeps, "random">): string {
  return new Secret({ buffer: Uint8Array.from(random(SECRET_BYTES)).buffer }).base32;
}

/**
 * Returns the person whose account a `setup` ticket sets up. The ticket stays valid.
 *
 * @throws BackendError `unauthenticated` if it is unknown, used or expired
 */
export async function readSetup(deps: SetupDeps, ticket: string): Promise<SignedIn["user"]> {
  try {
    return (await readTicket(deps, ticket, "setup")).user;
  } catch (error) {
    throw error instanceof BackendError ? setupOver() : error;
  }
}

/** Lists the names of the organizations of a person, which their password must not be made of. */
export async function organizationNames({ database }: Pick<SetupDeps, "database">, userId: number): Promise<string[]> {
  const organizations = [await membershipsOf(database, userId), await invitationsOf(database, userId)];
  return organizations.flat().map(({ name }) => name);
}

/**
 * Sets a person's password and one-time codes, and consumes the ticket. Their memberships become active, and every session
 * and sign-in of theirs ends.
 *
 * @throws BackendError `unauthenticated` if the ticket is unknown, used or expired
 */
export async function completeSetup(
  deps: SetupDeps & Pick<BackendDeps, "secrets" | "clock">,
  ticket: string,
  account: { passwordHash: string; codeSecret: string },
): Promise<void> {
  const { id } = await readSetup(deps, ticket);
  const now = deps.now();
  await inTransaction(deps.database, async (tx) => {
    if (!(await takeTicket(tx, hashToken(ticket)))) throw setupOver();
    await tx
      .updateTable("users")
      .set({ password_hash: account.passwordHash, totp_secret: deps.secrets.encrypt(id, account.codeSecret) })
      .where("id", "=", id)
      .execute();
    await tx
      .updateTable("members")
      .set({ status: "ACTIVE", joined_at: now, administrator_since: sinceJoining(deps.clock.now()) })
      .where("user_id", "=", id)
      .where("status", "=", "INVITED")
      .where("accepted", "=", 1)
      .execute();
    await endSignIns(tx, id, now);
  });
}

/** Ends the sessions of a person, and every sign-in that has begun. */
async function endSignIns(tx: Kysely<Database>, userId: number, now: number): Promise<void> {
  await tx
    .updateTable("sessions")
    .set({ revoked_at: now })
    .where("user_id", "=", userId)
    .where("revoked_at", "is", null)
    .execute();
  await tx.deleteFrom("sign_in_tickets").where("user_id", "=", userId).execute();
  await tx.deleteFrom("device_grants").where("user_id", "=", userId).execute();
}

function setupOver(): BackendError {
  return new BackendError("unauthenticated", "This link has expired or was already used; ask for a new one");
}
