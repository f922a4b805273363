import { timingSafeEqual } from "node:crypto";
import type { Kysely } from "kysely";
import { SCOPES } from "../../contract/constants.ts";
import type { SessionTokens } from "../../contract/identity.ts";
import type { Database, SessionRow, TicketRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { findSession, findSessionById, noteSignIn, revokeSession, rotateSession, saveSession } from "./memberships.ts";
import { hashToken } from "./secrets.ts";

const ACCESS_MS = 15 * 60_000;

const REFRESH_MS = 30 * 86_400_000;

/** How long the previous refresh token works once more, for a client that was killed before it saved the new one. */
const GRACE_MS = 60_000;

type SessionDeps = Pick<BackendDeps, "database" | "now" | "random">;

/** What starting a session needs: sign-ins are noted by the billing clock. */
type StartDeps = SessionDeps & Pick<BackendDeps, "clock">;

/**
 * Starts a session for an authenticated user, and notes the sign-in in their memberships and in audit logs, in one
 * transaction.
 *
 * @param mfaAt when the user gave a one-time code, machine milliseconds; `null` for a user without
 */
export function startSession(deps: StartDeps, userId: number, mfaAt: number | null): Promise<SessionTokens> {
  return inTransaction(deps.database, (tx) => startSessionIn({ ...deps, database: tx }, userId, mfaAt));
}

/** Starts a session as `startSession` does, in a transaction of the caller. */
export async function startSessionIn(deps: StartDeps, userId: number, mfaAt: number | null): Promise<SessionTokens> {
  const id = deps.random(12).toString("hex");
  const pair = newPair(deps, id);
  await saveSession(deps.database, {
    id,
    user_id: userId,
    ...pair.stored,
    previous_refresh_hash: null,
    rotated_at: null,
    revoked_at: null,
    mfa_at: mfaAt,
  });
  await noteSignIn(deps.database, userId, deps.clock.now());
  return pair.tokens;
}

/**
 * Exchanges a refresh token for a new pair. A used one ends the whole session, except that the previous one works once
 * more within a minute (src/backend/README.md, Sign-in).
 *
 * @throws BackendError `unauthenticated`
 */
export async function refreshSession(deps: SessionDeps, refreshToken: string): Promise<SessionTokens> {
  const session = await findSessionById(deps.database, sessionIdOf(refreshToken));
  const now = deps.now();
  if (!session || session.refresh_expires_at <= now) throw refused();
  const presented = hashToken(refreshToken);
  const current = sameHash(presented, session.refresh_hash);
  if (!current && !isInGrace(session, presented, now)) {
    await revokeSession(deps.database, session.id, now);
    throw refused();
  }
  const pair = newPair(deps, session.id);
  const previous = { hash: current ? session.refresh_hash : null, now };
  if (await rotateSession(deps.database, session, pair.stored, previous)) return pair.tokens;
  // Another process exchanged the same token in between, so it is now the previous one.
  return refreshSession(deps, refreshToken);
}

/** Ends the session of an access or refresh token; an unknown token is no error (RFC 7009, section 2.2). */
export async function endSession(deps: SessionDeps, token: string): Promise<void> {
  const session =
    (await findSessionById(deps.database, sessionIdOf(token))) ??
    (await findSession(deps.database, hashToken(token), deps.now()));
  if (!session) return;
  const hashes = [session.access_hash, session.refresh_hash, session.previous_refresh_hash ?? ""];
  const known = hashes.some((hash) => sameHash(hash, hashToken(token)));
  if (known) await revokeSession(deps.database, session.id, deps.now());
}

function isInGrace(session: SessionRow, presented: string, now: number): boolean {
  const { previous_refresh_hash: previous, rotated_at: rotatedAt } = session;
  return previous !== null && rotatedAt !== null && now - rotatedAt <= GRACE_MS && sameHash(presented, previous);
}

/** Creates a pair of tokens. A refresh token is `sfr_<session>_<secret>`, so that a used one identifies its session. */
function newPair(deps: SessionDeps, sessionId: string) {
  const accessToken = `sfs_${deps.random(32).toString("base64url")}`;
  const refreshToken = `sfr_${sessionId}_${deps.random(32).toString("base64url")}`;
  const now = deps.now();
  const stored = {
    access_hash: hashToken(accessToken),
    access_expires_at: now + ACCESS_MS,
    refresh_hash: hashToken(refreshToken),
    refresh_expires_at: now + REFRESH_MS,
  };
  const tokens: SessionTokens = {
    status: "signed_in",
    accessToken,
    refreshToken,
    tokenType: "Bearer",
    expiresIn: ACCESS_MS / 1000,
    scopes: [...SCOPES],
  };
  return { stored, tokens };
}

function sessionIdOf(refreshToken: string): string {
  return /^sfr_([0-9a-f]+)_/.exec(refreshToken)?.[1] ?? "";
}

function sameHash(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

function refused(): BackendError {
  return new BackendError("unauthenticated", "The session has ended");
}

/** The account of a sign-in attempt, its email in lower case, and the network address of the attempt. */
export interface Place {
  readonly account: string;
  readonly address: string;
}

/**
 * Records an attempt before it is judged, so that parallel attempts count each other.
 *
 * @param attempt `at` in machine milliseconds
 * @param since machine milliseconds
 * @returns how many others there were since then, on the account from the address and on any account from it
 */
async function noteAttempt(
  database: Kysely<Database>,
  attempt: Place & { id: string; at: number },
  since: number,
): Promise<{ account: number; address: number }> {
  const { id, account, address, at } = attempt;
  await database.insertInto("sign_in_attempts").values({ id, email_key: account, address, at }).execute();
  const rows = await database
    .selectFrom("sign_in_attempts")
    .select("email_key")
    .where("address", "=", address)
    .where("at", ">=", since)
    .execute();
  return { account: rows.filter((row) => row.email_key === account).length - 1, address: rows.length - 1 };
}

/** Lets an attempt that was judged wrong count for the whole window. */
async function keepFailure(database: Kysely<Database>, id: string, at: number): Promise<void> {
  await database.updateTable("sign_in_attempts").set({ at }).where("id", "=", id).execute();
}

/** Deletes an attempt that was not a failure. */
async function takeBackAttempt(database: Kysely<Database>, id: string): Promise<void> {
  await database.deleteFrom("sign_in_attempts").where("id", "=", id).execute();
}

/** Deletes an account's failed attempts from an address, after a successful sign-in. */
export async function forgetAttempts(database: Kysely<Database>, { account, address }: Place): Promise<void> {
  await database
    .deleteFrom("sign_in_attempts")
    .where("address", "=", address)
    .where("email_key", "=", account)
    .execute();
}

/**
 * Uses up a user's one-time code of a time step; of parallel calls, one succeeds.
 *
 * @returns whether this call used the code
 */
export async function spendCode(database: Kysely<Database>, code: { userId: number; step: number }): Promise<boolean> {
  const spent = await database
    .insertInto("used_codes")
    .values({ user_id: code.userId, step: code.step })
    .onConflict((conflict) => conflict.columns(["user_id", "step"]).doNothing())
    .returning("step")
    .executeTakeFirst();
  return spent !== undefined;
}

/** Stores a ticket. */
export async function saveTicket(database: Kysely<Database>, ticket: TicketRow): Promise<void> {
  await database.insertInto("sign_in_tickets").values(ticket).execute();
}

/** Identifies a ticket; `now` in machine milliseconds. */
export interface TicketQuestion {
  readonly hash: string;
  readonly kind: TicketRow["kind"];
  readonly now: number;
}

/** Finds a ticket that has not expired. */
export async function findTicket(
  database: Kysely<Database>,
  { hash, kind, now }: TicketQuestion,
): Promise<TicketRow | undefined> {
  return database
    .selectFrom("sign_in_tickets")
    .selectAll()
    .where("ticket_hash", "=", hash)
    .where("kind", "=", kind)
    .where("expires_at", ">", now)
    .executeTakeFirst();
}

/** Counts a try at a ticket; returns nothing if it has expired or had `maxTries` tries already. */
export async function countTry(
  database: Kysely<Database>,
  { hash, kind, now }: TicketQuestion,
  maxTries: number,
): Promise<TicketRow | undefined> {
  return database
    .updateTable("sign_in_tickets")
    .set((expression) => ({ tries: expression("tries", "+", 1) }))
    .where("ticket_hash", "=", hash)
    .where("kind", "=", kind)
    .where("expires_at", ">", now)
    .where("tries", "<", maxTries)
    .returningAll()
    .executeTakeFirst();
}

/** Uses up a ticket; of parallel calls, one succeeds. */
export async function takeTicket(database: Kysely<Database>, hash: string): Promise<boolean> {
  const result = await database.deleteFrom("sign_in_tickets").where("ticket_hash", "=", hash).executeTakeFirst();
  return Number(result.numDeletedRows) === 1;
}

/** How long a failure counts. */
export const ATTEMPT_WINDOW_MS = 15 * 60_000;

/** How long an attempt counts that was never judged, because the process ended: longer than judging takes. */
const JUDGING_MS = 60_000;

const MAX_PER_ACCOUNT = 5;

const MAX_PER_ADDRESS = 50;

/**
 * Judges an attempt to prove a secret, and locks guessing: after 5 failures of an account from one address, or 50 from the
 * address, within 15 minutes, every attempt is refused. An attempt is counted before it is judged, so that parallel guesses
 * count each other, and deleted unless it was judged wrong. If the process ends meanwhile it counts for a minute only: a
 * backend that crashes again and again locks nobody out.
 *
 * @param judge returns the proof, or `null`; also called while locked, so that the time does not reveal the lock
 * @returns the proof; `null` for a wrong attempt, and for any while locked
 */
export async function attempt<Proof>(
  deps: Pick<BackendDeps, "database" | "now" | "random">,
  place: Place,
  judge: (isLocked: boolean) => Promise<Proof | null>,
): Promise<Proof | null> {
  const id = deps.random(12).toString("hex");
  const now = deps.now();
  const start = now - ATTEMPT_WINDOW_MS;
  const others = await noteAttempt(deps.database, { ...place, id, at: start + JUDGING_MS }, start);
  const isLocked = others.account >= MAX_PER_ACCOUNT || others.address >= MAX_PER_ADDRESS;
  if (isLocked) await takeBackAttempt(deps.database, id);
  const proof = await judge(isLocked);
  if (isLocked) return null;
  await (proof === null ? keepFailure(deps.database, id, now) : takeBackAttempt(deps.database, id));
  return proof;
}
