import type { Client } from "../../client/client.ts";
import type { TokenAnswer } from "../../client/identity.ts";
import type { DeviceAuthorization, SessionTokens } from "../../contract/identity.ts";
import { createTargetClient } from "../connection/client.ts";
import type { StoredCredential } from "../connection/credentials.ts";
import { oneTimeCodes } from "../connection/oneTimeCode.ts";
import { expiryOf, sessionCredential } from "../connection/signIn.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf, ERRORS } from "../errors.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { addressText, trustedPage } from "../kit/links.ts";
import { promptsAllowed } from "../kit/prompt.ts";
import { withSpinner } from "../kit/spinner.ts";
import { clean } from "../kit/text.ts";
import { wrap } from "../kit/wrap.ts";

/** Options of `login`. */
export interface LoginOptions extends GlobalOptions {
  readonly email: string | null;
  readonly passwordStdin: boolean;
  readonly totp: string | null;
  readonly insecureStorage: boolean;
  /** Sign in with a browser, even without a prompt here. */
  readonly web: boolean;
  /** False with `--no-open`: the approval page is not opened in a browser. */
  readonly open: boolean;
  /** Read a token from stdin. */
  readonly withToken: boolean;
}

/**
 * Signs in with email, password and, if the user has one, a one-time code.
 *
 * @throws CliError `unauthenticated` for an incorrect email or password, `mfa_required` without a code; ClientError
 *   `mfa_invalid` after the last code
 */
export async function passwordCredential(
  options: LoginOptions,
  context: Context,
  apiUrl: string,
  { email, password }: { email: string; password: string },
): Promise<StoredCredential> {
  const client = await createTargetClient(context, options, apiUrl, null);
  const answer = await withSpinner(context, options, "Signing in", client.login({ email, password })).catch(
    (error: unknown) => {
      throw isWrongPassword(error) ? wrongPassword(error) : error;
    },
  );
  const session = answer.status === "signed_in" ? answer : await withCode(options, context, client, answer.challenge);
  const accessExpiresAt = expiryOf(session.expiresIn, context.clock.now());
  const { accessToken, refreshToken, scopes } = session;
  return { apiUrl, email, accessToken, accessExpiresAt, refreshToken, scopes };
}

/** Finishes with a one-time code. The challenge stays usable after an incorrect one (src/backend/README.md, Sign-in). */
async function withCode(
  options: LoginOptions,
  context: Context,
  client: Pick<Client, "mfa">,
  challenge: string,
): Promise<SessionTokens> {
  const nextCode = oneTimeCodes(context, options);
  let refusal: Error | null = null;
  for (;;) {
    const code = await nextCode(refusal);
    if (code === null) throw refusal ?? codeMissing();
    try {
      return await withSpinner(context, options, "Signing in", client.mfa(challenge, code));
    } catch (error) {
      if (!(error instanceof Error) || codeOf(error) !== "mfa_invalid") throw error;
      refusal = error;
    }
  }
}

function codeMissing(): CliError {
  return new CliError("mfa_required", "A one-time code is required", {
    hint: "Nothing was stored. Pass the code of your authenticator app with --totp <code>.",
  });
}

/** Reports whether the backend itself refused the password: a proxy answers without a problem. */
function isWrongPassword(error: unknown): boolean {
  const isProblem = error instanceof Error && "problem" in error && error.problem !== undefined;
  return codeOf(error) === "unauthenticated" && isProblem;
}

function wrongPassword(cause: unknown): CliError {
  return new CliError("unauthenticated", "The email or password is incorrect", {
    hint: "Nothing was stored. Try again; repeated failures lock sign-in for 15 minutes.",
    cause,
  });
}

/** The polling interval unless the backend sets one (RFC 8628, section 3.2). */
const DEFAULT_INTERVAL_SECONDS = 5;

/** Added to the interval by `slow_down`, for good (RFC 8628, section 3.5). */
const SLOW_DOWN_MS = 5_000;

const MAX_PAUSE_MS = 60_000;

/** Upper limit of the interval, so that a person who has approved does not wait longer. */
const MAX_INTERVAL_SECONDS = 60;

const MAX_RETRY_AFTER_MS = 300_000;

/** Upper limit of the whole wait; timers overflow at 25 days. */
const MAX_WAIT_MS = 3_600_000;

const WIDTH = 60;

/**
 * Signs in with a browser (RFC 8628): shows the address and the code, opens the page, and polls the backend until the
 * person has decided, through temporary failures of the network.
 *
 * @throws CliError `access_denied`, `expired_token`; ClientError `sign_in_not_offered` and refusals of the request
 */
export async function webCredential(
  options: LoginOptions,
  context: Context,
  apiUrl: string,
): Promise<StoredCredential> {
  const client = await createTargetClient(context, options, apiUrl, null);
  const began = context.clock.monotonic();
  const grant = await withSpinner(context, options, "Requesting a code", client.authorizeDevice());
  showPage(grant, client.origin, options, context);
  const polling = pollForTokens(grant, began, client, context);
  const tokens = await withSpinner(context, options, "Waiting for approval in the browser", polling);
  return sessionCredential(tokens, { apiUrl, email: null, now: context.clock.now() });
}

/** Shows the page, even with `--quiet` and `--json`: signing in cannot continue without it. */
function showPage(grant: DeviceAuthorization, origin: string, options: LoginOptions, context: Context): void {
  const { verification_uri: page, verification_uri_complete: complete = page } = grant;
  const isTrusted = [page, complete].every((url) => trustedPage(url, origin) !== null);
  const opened = isTrusted && options.open && promptsAllowed(context, options) ? trustedPage(complete, origin) : null;
  const lines = [
    `Sign in at ${addressText(page)}`,
    `with the code ${clean(grant.user_code)}`,
    ...(complete === page ? [] : [`or open ${addressText(complete)}`]),
    ...(isTrusted
      ? []
      : [wrap(`That page is not on ${origin}, so it is not opened. Do not enter a password there.`, WIDTH)]),
    ...(opened ? ["Opening it in your browser. Approve only if it shows this code."] : []),
  ];
  context.io.note(`${lines.join("\n")}\n`);
  if (opened) context.openUrl(opened);
}

async function pollForTokens(
  grant: DeviceAuthorization,
  began: number,
  client: Pick<Client, "deviceTokens">,
  { clock }: Context,
): Promise<TokenAnswer> {
  const end = began + Math.min(grant.expires_in * 1000, MAX_WAIT_MS);
  let interval = Math.min(grant.interval ?? DEFAULT_INTERVAL_SECONDS, MAX_INTERVAL_SECONDS) * 1000;
  let pause = interval;
  for (;;) {
    const left = end - clock.monotonic();
    if (left <= 0) throw expired();
    await clock.sleep(Math.min(pause, left));
    try {
      return await client.deviceTokens(grant.device_code);
    } catch (error) {
      const code = codeOf(error);
      if (code === "slow_down") interval += SLOW_DOWN_MS;
      if (code === "authorization_pending" || code === "slow_down") pause = interval;
      else if (isTransient(error)) pause = pauseAfter(error, pause);
      else throw code === "access_denied" ? denied(error) : code === "expired_token" ? expired(error) : error;
    }
  }
}

/**
 * Reports whether a failure may be temporary: of the network, or of a backend that is down. The code stays valid. A bad
 * request is final, whatever its error code (RFC 8628, section 3.5).
 */
function isTransient(error: unknown): boolean {
  const code = codeOf(error);
  if (code === "unexpected_answer") return !(error instanceof Error && "status" in error && error.status === 400);
  return code !== null && ERRORS[code].isRetryable;
}

function pauseAfter(error: unknown, pause: number): number {
  const asked = error instanceof Error && "retryAfterMs" in error ? Number(error.retryAfterMs ?? 0) : 0;
  return Math.max(Math.min(asked, MAX_RETRY_AFTER_MS), Math.min(2 * pause, MAX_PAUSE_MS));
}

function denied(cause: unknown): CliError {
  return new CliError("access_denied", "The sign-in was denied in the browser", {
    hint: "Nothing was stored. Run the command again to retry.",
    cause,
  });
}

function expired(cause?: unknown): CliError {
  return new CliError("expired_token", "The sign-in was not approved in time", {
    hint: "Nothing was stored. Run the command again for a new code.",
    cause,
  });
}
