import { createTargetClient } from "../connection/client.ts";
import type { CredentialStore, StoredCredential } from "../connection/credentials.ts";
import type { Context } from "../context.ts";
import { codeOf } from "../errors.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { warn } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";

/** The result of ending a stored sign-in. */
export interface EndedSignIn {
  /** Whether there was a sign-in, which is now deleted. */
  readonly removed: boolean;
  /** Whether the backend confirmed the revocation. */
  readonly revoked: boolean;
}

/**
 * Revokes a profile's sign-in at its backend, and deletes it even if that fails. Waits for another command that renews it,
 * so that it does not come back.
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
    // A sign-in that cannot be read can still be deleted.
    if (codeOf(error) === "credentials_unreadable") return null;
    throw error;
  });
  // An API token stored by `login --with-token` has no refresh token, and stays valid for its other uses.
  const isSession = found !== null && found.credential.refreshToken !== null;
  const revoked = isSession && (await revoke(options, context, found.credential));
  const removed = await store.remove(profileName);
  if (isSession && !revoked) {
    warn(context, options, "Failed to revoke the sign-in at the backend. It was deleted here and will expire.");
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
