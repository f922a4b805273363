import type { z } from "zod";
import { emailKey } from "../../contract/email.ts";
import { CLIENT_ID, type loginAnswerSchema, type SessionTokens, tokenRequestSchema } from "../../contract/identity.ts";
import type { UserRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../errors.ts";
import { findUser } from "./memberships.ts";
import type { Passwords } from "./secrets.ts";
import { attempt, forgetAttempts, startSession } from "./sessions.ts";
import { codeForTicket, issueTicket } from "./tickets.ts";

/** Each waits its turn for a third of a second of work, two at a time. */
const MOST_WAITING = 30;

/** What sign-in needs beside the backend's own: `passwordHashOf` waits for a seed's hash that is still being made. */
export interface SignInDeps extends Pick<BackendDeps, "database" | "now" | "random"> {
  readonly passwords: Passwords;
  passwordHashOf(user: UserRow): Promise<string | null>;
}

/** What a person types to sign in. */
export interface Credentials {
  readonly email: string;
  readonly password: string;
}

/**
 * Finds the user of an email and a password. Unknown user, wrong password and locked user get the same answer after the
 * same work; the lock is per account and address (security.md, Signing in). The right password makes earlier failures
 * forgotten only where no one-time code is asked for after it.
 *
 * @param address where the request came from
 * @throws ProblemError `unauthenticated`, `rate_limited`
 */
export async function checkPassword(
  deps: SignInDeps,
  { email, password }: Credentials,
  address: string,
): Promise<UserRow> {
  if (deps.passwords.waiting() > MOST_WAITING) {
    throw new ProblemError("rate_limited", "Too many people sign in at once", {}, { "Retry-After": "5" });
  }
  const place = { account: emailKey(email), address };
  const found = await findUser(deps.database, email);
  const hash = found ? await deps.passwordHashOf(found) : null;
  // The attempt begins with its turn: many who sign in rightly at once are not taken for guesses of one another.
  const user = await deps.passwords.inTurn(() =>
    attempt(deps, place, async () => ((await deps.passwords.verify(password, hash)) && found) || null),
  );
  if (user === null) {
    throw new ProblemError(
      "unauthenticated",
      "The email or the password is not right, or sign-in is paused for 15 minutes after repeated failures",
    );
  }
  if (user.totp_secret === null) await forgetAttempts(deps.database, place);
  return user;
}

/**
 * Signs a person in with email and password, or asks for the one-time code of a user who has them.
 *
 * @param address where the request came from
 * @throws ProblemError `unauthenticated`, `rate_limited`
 */
export async function signIn(
  deps: SignInDeps,
  credentials: Credentials,
  address: string,
): Promise<z.infer<typeof loginAnswerSchema>> {
  const user = await checkPassword(deps, credentials, address);
  if (user.totp_secret === null) return startSession(deps, user.id, null);
  return { status: "mfa_required", challenge: await issueTicket(deps, user.id, "mfa", null), methods: ["totp"] };
}

/**
 * Finishes signing in with a one-time code: 5 tries within 5 minutes (details.md, 15).
 *
 * @param address where the request came from
 * @throws ProblemError `mfa_invalid`, `unauthenticated`
 */
export async function signInWithCode(
  deps: SignInDeps,
  answer: { challenge: string; code: string },
  address: string,
): Promise<SessionTokens> {
  const { user, mfaAt } = await codeForTicket(deps, answer, address);
  return startSession(deps, user.id, mfaAt);
}

/** The errors of RFC 6749, section 5.2, and RFC 8628, section 3.5, that the backend answers itself. */
type OauthCode =
  | "invalid_client"
  | "invalid_grant"
  | "authorization_pending"
  | "slow_down"
  | "access_denied"
  | "expired_token";

/** A refusal under `/oauth`, which travels as the RFCs' error object with status 400 (details.md, 16). */
export class OauthError extends Error {
  override readonly name = "OauthError";

  constructor(
    readonly code: OauthCode,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Refuses a client that nobody knows: only this package's command line asks for tokens.
 *
 * @throws OauthError `invalid_client`
 */
export function assertKnownClient(clientId: string): void {
  if (clientId !== CLIENT_ID) throw new OauthError("invalid_client", "This client is not known here");
}

/**
 * The RFCs' error object for what went wrong under `/oauth`.
 *
 * @param body of the request, as it was read
 */
export function oauthErrorBody(error: OauthError | ProblemError, body: unknown): Record<string, string> {
  const code = error instanceof OauthError ? error.code : oauthCode(error, body);
  return { error: code, error_description: describable(error.message) };
}

function oauthCode(problem: ProblemError, body: unknown): string {
  if (problem.status >= 500) return "server_error";
  if (problem.code === "unauthenticated") return "invalid_grant";
  const grant = (body as { grant_type?: unknown } | null | undefined)?.grant_type;
  const isKnown = tokenRequestSchema.options.some(({ shape }) => shape.grant_type.value === grant);
  return grant === undefined || isKnown ? "invalid_request" : "unsupported_grant_type";
}

/** RFC 6749, section 5.2, leaves `"`, `\` and what is beyond ASCII out of descriptions. */
function describable(message: string): string {
  return message.replaceAll('"', "'").replace(/[^\x20-\x5b\x5d-\x7e]/g, "?");
}
