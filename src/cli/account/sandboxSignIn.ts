import { isLoopbackHost } from "../../client/address.ts";
import { createTargetClient } from "../connection/client.ts";
import { resolveTarget } from "../connection/target.ts";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { note } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { findRunning } from "../sandbox/running.ts";
import type { LoginOptions } from "./signIn.ts";
import { type Stored, signInAndStore } from "./signInAndStore.ts";

const PROFILE = "sandbox";

/**
 * Signs in to the sandbox that runs on this machine, as its administrator, and uses its profile from now on: a purchase
 * that is meant to be a trial must not reach another backend.
 *
 * @throws CliError `invalid_usage` if none runs, or if the profile is one of another backend; `not_a_sandbox`; as
 *   `signInAndStore`
 */
export async function signInToSandbox(options: LoginOptions, context: Context): Promise<Stored> {
  const { url, admin } = await findRunning(options.apiUrl, context);
  const profile = options.profile ?? (context.env.SECUREFLAG_PROFILE || PROFILE);
  const own: LoginOptions = { ...options, apiUrl: url, profile, email: admin.email };
  await assertOwnProfile(profile, context);
  await assertSandbox(own, context);
  const settings = await context.settings();
  const before = await settings.activeProfile();
  const hasBefore = (await settings.profile(before)) !== null;
  const stored = await signInAndStore(own, context, admin.password);
  await settings.activateProfile(stored.target.profileName);
  if (hasBefore && before !== profile) {
    note(
      context,
      options,
      `Switched to profile ${profile}. Go back with \`secureflag-licenses profiles use ${before}\`.`,
    );
  }
  return stored;
}

/** The sign-in of a real backend is never replaced. */
async function assertOwnProfile(name: string, context: Context): Promise<void> {
  const there = await (await context.settings()).profile(name);
  if (there === null || isLoopback(there.apiUrl)) return;
  throw usageError(`The profile ${name} is for ${there.apiUrl}`, "Pass another name with --profile.");
}

function isLoopback(url: string): boolean {
  return URL.canParse(url) && isLoopbackHost(new URL(url).hostname);
}

/** Asks before the password is sent. */
async function assertSandbox(options: LoginOptions, context: Context): Promise<void> {
  const { apiUrl } = await resolveTarget(context, options, true);
  const client = await createTargetClient(context, options, apiUrl, null);
  const isSandbox = client.isLoopback && (await withSpinner(context, options, "Finding the sandbox", answers(client)));
  if (isSandbox) return;
  throw new CliError("not_a_sandbox", `${client.origin} is not a sandbox on this machine; nothing was sent`, {
    hint: "Run `secureflag-licenses sandbox` in another terminal.",
  });
}

async function answers(client: { sandboxState(): Promise<unknown> }): Promise<boolean> {
  return await client.sandboxState().then(
    () => true,
    () => false,
  );
}
