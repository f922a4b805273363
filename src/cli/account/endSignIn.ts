import { createTargetClient } from "../connection/client.ts";
import type { CredentialStore, StoredCredential } from "../connection/credentials.ts";
import type { Context } from "../context.ts";
import { codeOf } from "../errors.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { warn } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";

/** What became of a stored sign-in. */
export interface EndedSignIn {
  /** Whether there was one, which is forgotten now. */
  readonly removed: boolean;
  /** Whether the backend confirmed that it is worth nothing any more. */
  readonly revoked: boolean;
}

/**
 * Revokes a profile's sign-in at the backend that it belongs to, and forgets it even where that fails. Another command
 * that is just renewing it is waited for, so that it does not come back.
 *
 * @throws CliError
 */
export async function endSignIn(options: GlobalOptions, context: Context, profileName: string): Promise<EndedSignIn> {
  const store = await context.credentials();
  return await store.exclusively(profileName, () => end(options, context, profileName, store));
}

async function end(
  options: GlobalOptions,
  context: Context,
  profileName: string,
  store: CredentialStore,
): Promise<EndedSignIn> {
  const found = await store.read(profileName).catch((error: unknown) => {
    // What cannot be read can still be forgotten.
    if (codeOf(error) === "credentials_unreadable") return null;
    throw error;
  });
  // An API token that was stored by `login --with-token` has no refresh token and lives on for whoever else uses it.
  const isSession = found !== null && found.credential.refreshToken !== null;
  const revoked = isSession && (await revoke(options, context, found.credential));
  const removed = await store.remove(profileName);
  if (isSession && !revoked) {
    warn(context, options, "The backend could not be told; the sign-in was forgotten here and expires by itself.");
  }
  return { removed, revoked };
}

async function revoke(options: GlobalOptions, context: Context, credential: StoredCredential): Promise<boolean> {
  try {
    const client = await createTargetClient(context, options, credential.apiUrl, null);
    const token = credential.refreshToken ?? credential.accessToken;
    await withSpinner(context, options, "Signing out", client.revoke(token));
    return true;
  } catch {
    return false;
  }
}
