import type { z } from "zod";
import { emailKey } from "../../contract/email.ts";
import { CLIENT_ID, type loginAnswerSchema, type SessionTokens, tokenRequestSchema } from "../../contract/identity.ts";
import type { UserRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { recordFailure } from "./failures.ts";
import { findUser } from "./memberships.ts";
import type { Passwords } from "./secrets.ts";
import { attempt, forgetAttempts, startSession } from "./sessions.ts";
import { codeForTicket, issueTicket } from "./tickets.ts";

/** How many sign-ins may wait: each takes a third of a second, two at a time. */
const MAX_WAITING = 30;

/** The dependencies of sign-in. `passwordHashOf` waits for a seed's hash that is still being computed. */
export interface SignInDeps extends Pick<BackendDeps, "database" | "now" | "clock" | "random" | "secrets" | "log"> {
  readonly passwords: Passwords;
  passwordHashOf(user: UserRow): Promise<string | null>;
}

/** An email and a password, as typed. */
export interface Credentials {
  readonly email: string;
  readonly password: string;
}

/**
 * Returns the user of an email and a password. An unknown user, a wrong password and a lock give the same answer after the
 * same work (src/backend/README.md, Sign-in). The right password clears earlier failures only if no one-time code is
 * required after it.
 *
 * @param address the network address of the request
 * @throws BackendError `unauthenticated`, `rate_limited`
 */
export async function checkPassword(
  deps: SignInDeps,
  { email, password }: Credentials,
  address: string,
): Promise<UserRow> {
  if (deps.passwords.waiting() > MAX_WAITING) {
    throw new BackendError("rate_limited", "Too many sign-ins at once; try again", {}, { "Retry-After": "5" });
  }
  const place = { account: emailKey(email), address };
  const found = await findUser(deps.database, email);
  const hash = found ? await deps.passwordHashOf(found) : null;
  // The attempt starts with its turn, so that parallel correct sign-ins do not count as each other's guesses.
  const user = await deps.passwords.inTurn(() =>
    attempt(deps, place, async () => ((await deps.passwords.verify(password, hash)) && found) || null),
  );
  if (user === null) {
    if (found) recordFailure(deps, found);
    throw new BackendError(
      "unauthenticated",
      "The email or password is wrong, or sign-in is locked for 15 minutes after repeated failures",
    );
  }
  if (user.totp_secret === null) await forgetAttempts(deps.database, place);
  return user;
}

/**
 * Signs a person in with email and password, or requests a one-time code of a user who has them.
 *
 * @param address the network address of the request
 * @throws BackendError `unauthenticated`, `rate_limited`
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
 * Completes a sign-in with a one-time code: 5 tries within 5 minutes (src/backend/README.md, Sign-in).
 *
 * @param address the network address of the request
 * @throws BackendError `mfa_invalid`, `unauthenticated`
 */
export async function signInWithCode(
  deps: SignInDeps,
  answer: { challenge: string; code: string },
  address: string,
): Promise<SessionTokens> {
  const { user, mfaAt } = await codeForTicket(deps, answer, address);
  return startSession(deps, user.id, mfaAt);
}

/** The errors of RFC 6749, section 5.2, and RFC 8628, section 3.5, that the backend returns. */
type OauthCode =
  | "invalid_client"
  | "invalid_grant"
  | "authorization_pending"
  | "slow_down"
  | "access_denied"
  | "expired_token";

/** A refusal under `/oauth`, sent as the error object of RFC 6749, section 5.2, with status 400. */
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
 * Refuses any client but this package's command line.
 *
 * @throws OauthError `invalid_client`
 */
export function assertKnownClient(clientId: string): void {
  if (clientId !== CLIENT_ID) throw new OauthError("invalid_client", "Unknown client");
}

/**
 * Returns the error object of RFC 6749, section 5.2, for a failure under `/oauth`.
 *
 * @param body the parsed body of the request
 */
export function oauthErrorBody(error: OauthError | BackendError, body: unknown): Record<string, string> {
  const code = error instanceof OauthError ? error.code : oauthCode(error, body);
  return { error: code, error_description: describable(error.message) };
}

function oauthCode(problem: BackendError, body: unknown): string {
  if (problem.status >= 500) return "server_error";
  if (problem.code === "rate_limited") return "temporarily_unavailable";
  if (problem.code === "unauthenticated") return "invalid_grant";
  const grant = (body as { grant_type?: unknown } | null | undefined)?.grant_type;
  const isKnown = tokenRequestSchema.options.some(({ shape }) => shape.grant_type.value === grant);
  return grant === undefined || isKnown ? "invalid_request" : "unsupported_grant_type";
}

/** RFC 6749, section 5.2, allows neither `"`, `\` nor characters beyond ASCII in descriptions. */
function describable(message: string): string {
  return message.replaceAll('"', "'").replace(/[^\x20-\x5b\x5d-\x7e]/g, "?");
}
