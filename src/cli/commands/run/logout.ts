import type { Context } from "../../context.ts";
import { codeOf } from "../../errors.ts";
import type { StoredCredential } from "../../session/credentials.ts";
import { createTargetClient } from "../shared/connect.ts";
import type { GlobalOptions } from "../shared/globals.ts";
import { note, printResult } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";
import { resolveTarget } from "../shared/target.ts";

/** What `logout --json` prints. */
export interface LogoutResult {
  readonly profile: string;
  /** Whether there was a sign-in, which is forgotten now. */
  readonly removed: boolean;
  /** Whether the backend confirmed that the sign-in is worth nothing any more. */
  readonly revoked: boolean;
}

/** Revokes the stored sign-in at the backend that it belongs to, and forgets it even where that fails. */
export async function run(options: GlobalOptions, context: Context): Promise<void> {
  const { profileName } = await resolveTarget(context, { ...options, apiUrl: null });
  const store = await context.credentials();
  const found = await store.read(profileName).catch((error: unknown) => {
    // What cannot be read can still be forgotten.
    if (codeOf(error) === "credentials_unreadable") return null;
    throw error;
  });
  // An API token that was stored by `login --with-token` has no refresh token and lives on for whoever else uses it.
  const isSession = found !== null && found.credential.refreshToken !== null;
  const revoked = isSession && (await revoke(options, context, found.credential));
  const result: LogoutResult = { profile: profileName, removed: await store.remove(profileName), revoked };
  if (isSession && !revoked) {
    note(context, options, "The backend could not be told; the sign-in was forgotten here and expires by itself.");
  }
  if (context.env.SECUREFLAG_API_TOKEN) note(context, options, "SECUREFLAG_API_TOKEN is still set and still used.");
  await printResult(context, options, result, () =>
    result.removed ? "Signed out." : "There was no sign-in to forget.",
  );
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
