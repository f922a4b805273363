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

/** What `login` was told. */
export interface LoginOptions extends GlobalOptions {
  readonly email: string | null;
  readonly passwordStdin: boolean;
  readonly totp: string | null;
  readonly insecureStorage: boolean;
  /** In the browser, also where nobody could be asked here. */
  readonly web: boolean;
  /** False with `--no-open`: the approval page is not opened in a browser. */
  readonly open: boolean;
  /** The token itself comes on stdin. */
  readonly withToken: boolean;
}

/**
 * Signs in with email, password and, where the user has one, a one-time code.
 *
 * @throws CliError `unauthenticated` for a wrong email or password, `mfa_required` where nobody gives a code;
 *   ClientError `mfa_invalid` after the last one
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

/** Finishes with a one-time code; a wrong one leaves the challenge usable (details.md, 15). */
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
  return new CliError("mfa_required", "This user signs in with a one-time code", {
    hint: "Nothing was stored. Say the code of your authenticator app with --totp <code>.",
  });
}

/** Only the backend's own words are about the password; a proxy refuses in others. */
function isWrongPassword(error: unknown): boolean {
  const isInOwnWords = error instanceof Error && "problem" in error && error.problem !== undefined;
  return codeOf(error) === "unauthenticated" && isInOwnWords;
}

function wrongPassword(cause: unknown): CliError {
  return new CliError("unauthenticated", "The email or the password is wrong", {
    hint: "Nothing was stored. Try again; after several wrong tries sign-in is paused for 15 minutes.",
    cause,
  });
}

/** How often is asked where the backend does not say (RFC 8628, section 3.2). */
const DEFAULT_INTERVAL_SECONDS = 5;

/** What `slow_down` adds, for good (RFC 8628, section 3.5). */
const SLOWER_MS = 5_000;

const LONGEST_PAUSE_MS = 60_000;

/** Whatever a backend asks for, the person who has approved is not kept waiting longer. */
const LONGEST_INTERVAL_SECONDS = 60;

const LONGEST_RETRY_AFTER_MS = 300_000;

/** Whatever a backend says, nobody is waited for longer; timers overflow at 25 days. */
const LONGEST_WAIT_MS = 3_600_000;

const WIDTH = 60;

/**
 * Signs in with a browser (RFC 8628): shows where and with which code, opens the page, and asks the backend until the
 * person has decided, through whatever trouble the network has.
 *
 * @throws CliError `access_denied`, `expired_token`; ClientError `sign_in_not_offered` and what refuses the request
 */
export async function webCredential(
  options: LoginOptions,
  context: Context,
  apiUrl: string,
): Promise<StoredCredential> {
  const client = await createTargetClient(context, options, apiUrl, null);
  const began = context.clock.monotonic();
  const grant = await withSpinner(context, options, "Asking for a code", client.authorizeDevice());
  showPage(grant, client.origin, options, context);
  const polling = poll(grant, began, client, context);
  const tokens = await withSpinner(context, options, "Waiting for the browser", polling);
  return sessionCredential(tokens, { apiUrl, email: null, now: context.clock.now() });
}

/** Shown whatever `--quiet` and `--json` say, because nothing can go on without it. */
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
      : [wrap(`That is not a page of ${origin}, so it is not opened. Type no password there.`, WIDTH)]),
    ...(opened ? ["Your browser opens it now. Approve only if it shows that code."] : []),
  ];
  context.io.note(`${lines.join("\n")}\n`);
  if (opened) context.openUrl(opened);
}

async function poll(
  grant: DeviceAuthorization,
  began: number,
  client: Pick<Client, "deviceTokens">,
  { clock }: Context,
): Promise<TokenAnswer> {
  const end = began + Math.min(grant.expires_in * 1000, LONGEST_WAIT_MS);
  let interval = Math.min(grant.interval ?? DEFAULT_INTERVAL_SECONDS, LONGEST_INTERVAL_SECONDS) * 1000;
  let pause = interval;
  for (;;) {
    const left = end - clock.monotonic();
    if (left <= 0) throw expired();
    await clock.sleep(Math.min(pause, left));
    try {
      return await client.deviceTokens(grant.device_code);
    } catch (error) {
      const code = codeOf(error);
      if (code === "slow_down") interval += SLOWER_MS;
      if (code === "authorization_pending" || code === "slow_down") pause = interval;
      else if (isTrouble(error)) pause = afterTrouble(error, pause);
      else throw code === "access_denied" ? denied(error) : code === "expired_token" ? expired(error) : error;
    }
  }
}

/**
 * Trouble that may pass: the network's, or a backend that is down. The code stays good meanwhile. A bad request stays
 * one: whatever else it is called, asking on is no use (RFC 8628, section 3.5).
 */
function isTrouble(error: unknown): boolean {
  const code = codeOf(error);
  if (code === "unexpected_answer") return !(error instanceof Error && "status" in error && error.status === 400);
  return code !== null && ERRORS[code].isRetryable;
}

function afterTrouble(error: unknown, pause: number): number {
  const asked = error instanceof Error && "retryAfterMs" in error ? Number(error.retryAfterMs ?? 0) : 0;
  return Math.max(Math.min(asked, LONGEST_RETRY_AFTER_MS), Math.min(2 * pause, LONGEST_PAUSE_MS));
}

function denied(cause: unknown): CliError {
  return new CliError("access_denied", "The sign-in was denied in the browser", {
    hint: "Nothing was stored. Run the command again to try once more.",
    cause,
  });
}

function expired(cause?: unknown): CliError {
  return new CliError("expired_token", "Nobody approved the sign-in in time", {
    hint: "Nothing was stored. Run the command again for a new code.",
    cause,
  });
}
