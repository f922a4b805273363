import type { Context } from "../../context.ts";
import { CliError, codeOf } from "../../errors.ts";
import { assertConsent, confirmOrCancel } from "../../prompts/asking.ts";
import { shorten } from "../../render/shorten.ts";
import type { CredentialStore } from "../../session/credentials.ts";
import type { ProfileSettings } from "../../session/settings.ts";
import type { ProfileOptions, RemoveProfileOptions } from "../profiles.ts";
import { endSignIn } from "../shared/endSignIn.ts";
import type { GlobalOptions } from "../shared/globals.ts";
import { note, printResult, warn } from "../shared/output.ts";

/** One profile, as `profiles list --json` prints it. */
export interface Profile extends ProfileSettings {
  readonly name: string;
  /** Whether it is used unless another is named. */
  readonly active: boolean;
  /** Whether a sign-in is kept for it. */
  readonly signedIn: boolean;
}

/** Prints every profile, the oldest first. */
export async function list(options: GlobalOptions, context: Context): Promise<void> {
  const settings = await context.settings();
  const [active, known, store] = [
    await settings.activeProfile(),
    await settings.profiles(),
    await context.credentials(),
  ];
  const profiles: Profile[] = [];
  for (const [name, { apiUrl, organizationId, email }] of known) {
    const signedIn = await hasSignIn(store, name);
    profiles.push({ name, active: name === active, apiUrl, organizationId, email, signedIn });
  }
  await printResult(context, options, "profiles list", profiles, async (view) => {
    const { renderProfiles } = await import("../../render/profiles.ts");
    return renderProfiles(profiles, view);
  });
}

/**
 * Makes a profile the one that is used unless another is named.
 *
 * @throws CliError `profile_unknown`
 */
export async function use(options: ProfileOptions, context: Context): Promise<void> {
  const { name } = options;
  await assertKnown(name, context);
  await (await context.settings()).activateProfile(name);
  if (context.env.SECUREFLAG_PROFILE) warn(context, options, "SECUREFLAG_PROFILE is set and is used instead.");
  await printResult(
    context,
    options,
    "profiles use",
    { name, active: true },
    () => `The profile "${name}" is used from now on.`,
  );
}

/**
 * Signs a profile out, as `logout` does, and forgets it.
 *
 * @throws CliError `invalid_usage` where it cannot ask and `--yes` is missing, `profile_unknown`, `declined_by_person`
 */
export async function remove(options: RemoveProfileOptions, context: Context): Promise<void> {
  const { name } = options;
  assertConsent(context, options, "remove the profile");
  await assertKnown(name, context);
  if (!options.yes) await confirmOrCancel(context, options, `Sign out of the profile "${name}" and remove it?`);
  const settings = await context.settings();
  const wasActive = (await settings.activeProfile()) === name;
  const { revoked } = await endSignIn(options, context, name);
  await settings.removeProfile(name);
  if (wasActive && (await settings.profiles()).size > 0) {
    note(context, options, "It was in use. Choose another with `secureflag-licenses profiles use <name>`.");
  }
  await printResult(
    context,
    options,
    "profiles remove",
    { name, removed: true, revoked },
    () => `The profile "${name}" is gone.`,
  );
}

async function assertKnown(name: string, context: Context): Promise<void> {
  const known = await (await context.settings()).profiles();
  if (known.has(name)) return;
  throw new CliError("profile_unknown", `There is no profile "${shorten(name)}"`, {
    hint: known.size > 0 ? `There are: ${[...known.keys()].join(", ")}.` : "Make one with `secureflag-licenses login`.",
  });
}

async function hasSignIn(store: CredentialStore, name: string): Promise<boolean> {
  try {
    return (await store.read(name)) !== null;
  } catch (error) {
    if (codeOf(error) === "credentials_unreadable") return false;
    throw error;
  }
}
