import type { Context } from "../../context.ts";
import { type EndedSignIn, endSignIn } from "../shared/endSignIn.ts";
import type { GlobalOptions } from "../shared/globals.ts";
import { printResult, warn } from "../shared/output.ts";
import { resolveTarget } from "../shared/target.ts";

/** What `logout --json` prints. */
export interface LogoutResult extends EndedSignIn {
  readonly profile: string;
}

/** Revokes the stored sign-in at the backend that it belongs to, and forgets it even where that fails. */
export async function run(options: GlobalOptions, context: Context): Promise<void> {
  const { profileName } = await resolveTarget(context, { ...options, apiUrl: null });
  const result: LogoutResult = { profile: profileName, ...(await endSignIn(options, context, profileName)) };
  if (context.env.SECUREFLAG_API_TOKEN) warn(context, options, "SECUREFLAG_API_TOKEN is still set and still used.");
  await printResult(context, options, "logout", result, () =>
    result.removed ? "Signed out." : "There was no sign-in to forget.",
  );
}
