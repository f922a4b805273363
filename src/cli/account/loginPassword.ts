import type { Client } from "../../client/client.ts";
import type { SessionTokens } from "../../contract/identity.ts";
import { createTargetClient } from "../connection/connect.ts";
import type { StoredCredential } from "../connection/credentials.ts";
import { oneTimeCodes } from "../connection/oneTimeCode.ts";
import { expiryOf } from "../connection/signIn.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf } from "../errors.ts";
import { withSpinner } from "../kit/spinner.ts";
import type { LoginOptions } from "./login.ts";

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
