import { timingSafeEqual } from "node:crypto";
import type { SessionTokens } from "../../contract/identity.ts";
import { SCOPES } from "../../contract/scopes.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../problem.ts";
import { findSession, findSessionById, revokeSession, rotateSession, saveSession } from "../store/identities.ts";
import type { SessionRow } from "../store/schema.ts";
import { hashToken } from "./secrets.ts";

const ACCESS_MS = 15 * 60_000;
const REFRESH_MS = 30 * 86_400_000;
/** How long the refresh token before the last works once more, for a client that was killed before it saved (C4). */
const GRACE_MS = 60_000;

type SessionDeps = Pick<BackendDeps, "database" | "now" | "random">;

/**
 * Starts a session for a user who has proved who they are.
 *
 * @param mfaAt when they gave a one-time code, machine milliseconds; `null` where they have none
 */
export async function startSession(deps: SessionDeps, userId: number, mfaAt: number | null): Promise<SessionTokens> {
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
  return pair.tokens;
}

/**
 * Exchanges a refresh token for a new pair. An old one that comes again ends the whole session, but for the one before
 * the last within a minute, once (security.md, Signing in).
 *
 * @throws ProblemError `unauthenticated`
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
  // Another process exchanged the same token in between: for it this one is now the token before the last.
  return refreshSession(deps, refreshToken);
}

/** Ends the session that a token (access or refresh) belongs to; an unknown token is no error (RFC 7009, 2.2). */
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

/** Refresh tokens are `sfr_<session>_<secret>`, so that an old one still tells which session to end. */
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
  return refreshToken.split("_")[1] ?? "";
}

function sameHash(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

function refused(): ProblemError {
  return new ProblemError("unauthenticated", "The sign-in has ended");
}
