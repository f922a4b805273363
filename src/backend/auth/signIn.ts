import type { SessionTokens } from "../../contract/identity.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../problem.ts";
import { findUser, forgetSignInAttempts, noteSignInAttempt } from "../store/identities.ts";
import type { UserRow } from "../store/schema.ts";
import type { Passwords } from "./passwords.ts";
import { startSession } from "./sessions.ts";

const WINDOW_MS = 15 * 60_000;
const ATTEMPTS_OF_ACCOUNT = 5;
const ATTEMPTS_FROM_ADDRESS = 50;
/** Each waits its turn for a third of a second of work, two at a time. */
const MOST_WAITING = 30;

/** What sign-in needs beside the backend's own: `passwordHashOf` waits for a seed's hash that is still being made. */
export interface SignInDeps extends Pick<BackendDeps, "database" | "now" | "random"> {
  readonly passwords: Passwords;
  passwordHashOf(user: UserRow): Promise<string | null>;
}

/**
 * Signs a person in with email and password. Unknown user, wrong password and locked user get the same answer after the
 * same work; the lock is per account and address (security.md, Signing in).
 *
 * @param address where the request came from
 * @throws ProblemError `unauthenticated`, `mfa_required`
 */
export async function signIn(
  deps: SignInDeps,
  credentials: { email: string; password: string },
  address: string,
): Promise<SessionTokens> {
  const { email, password } = credentials;
  const now = deps.now();
  if (deps.passwords.waiting() > MOST_WAITING) {
    throw new ProblemError("rate_limited", "Too many people sign in at once; try again", {}, { "Retry-After": "5" });
  }
  const others = await noteSignInAttempt(deps.database, { email, address, at: now }, now - WINDOW_MS);
  const locked = others.account >= ATTEMPTS_OF_ACCOUNT || others.address >= ATTEMPTS_FROM_ADDRESS;
  const user = await findUser(deps.database, email);
  const right = await deps.passwords.verify(password, user ? await deps.passwordHashOf(user) : null);
  if (!user || !right || locked) {
    throw new ProblemError(
      "unauthenticated",
      "The email or the password is not right, or sign-in is paused for 15 minutes after repeated failures",
    );
  }
  await forgetSignInAttempts(deps.database, { email, address });
  if (user.totp_secret) {
    throw new ProblemError(
      "mfa_required",
      "This account signs in with a one-time code, which this version does not support yet; use an API token",
    );
  }
  return startSession(deps, user.id);
}
