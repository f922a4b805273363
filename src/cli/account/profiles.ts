import { Argument, type Command } from "commander";
import type { ProfileSettings } from "../connection/settings.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { note, printResult, type View, warn } from "../kit/output.ts";
import { assertConsent, confirmOrCancel } from "../kit/prompt.ts";
import { fields } from "../kit/table.ts";
import { clean, shorten } from "../kit/text.ts";
import { profileName } from "../kit/values.ts";
import { endSignIn } from "./endSignIn.ts";

/** Options of `profiles use`. */
export interface ProfileOptions extends GlobalOptions {
  readonly name: string;
}

/** Options of `profiles remove`. */
export interface RemoveProfileOptions extends ProfileOptions {
  readonly yes: boolean;
}

/** The functions that run the commands of the group. */
export interface ProfilesRuns {
  readonly list: Run<GlobalOptions>;
  readonly use: Run<ProfileOptions>;
  readonly remove: Run<RemoveProfileOptions>;
}

/** Registers `profiles list`, `use` and `remove`. */
export function register(program: Command, context: Context, runs: ProfilesRuns = RUNS): void {
  const group = addCommand(program, {
    name: "profiles",
    description: "List, choose and remove profiles (a backend, an organization, a sign-in)",
    examples: ["profiles list", "profiles use work"],
  });
  addCommand(group, {
    name: "list",
    description: "List the profiles created by login",
    examples: ["profiles list", "profiles list --json"],
  }).action((_flags: unknown, command: Command) =>
    interruptible(context, () => runs.list(readGlobals(command), context)),
  );
  addCommand(group, {
    name: "use",
    description: "Set the profile to use by default",
    examples: ["profiles use work", "profiles use default"],
  })
    .addArgument(profileArgument())
    .action((name: string, _flags: unknown, command: Command) =>
      interruptible(context, () => runs.use({ ...readGlobals(command), name }, context)),
    );
  addCommand(group, {
    name: "remove",
    description: "Sign out of a profile and delete it",
    examples: ["profiles remove work", "profiles remove work --yes"],
  })
    .addArgument(profileArgument())
    .option("--yes", "remove without a prompt")
    .action((name: string, { yes = false }: { yes?: boolean }, command: Command) =>
      interruptible(context, () => runs.remove({ ...readGlobals(command), name, yes }, context)),
    );
}

function profileArgument(): Argument {
  return new Argument("<name>", "profile name").argParser(profileName);
}

const RUNS: ProfilesRuns = { list: listProfiles, use: useProfile, remove: removeProfile };

/** One profile, as `profiles list --json` prints it. */
export interface Profile extends ProfileSettings {
  readonly name: string;
  /** Whether it is used by default. */
  readonly active: boolean;
  /** Whether a sign-in is stored for it. */
  readonly signedIn: boolean;
}

/** Prints every profile, the oldest first. The keyring is not asked: it may be locked, or not answer. */
export async function listProfiles(options: GlobalOptions, context: Context): Promise<void> {
  const settings = await context.settings();
  const [active, known, store] = [
    await settings.activeProfile(),
    await settings.profiles(),
    await context.credentials(),
  ];
  const profiles: Profile[] = [];
  for (const [name, { apiUrl, organizationId, email }] of known) {
    const signedIn = (await store.place(name)) !== null;
    profiles.push({ name, active: name === active, apiUrl, organizationId, email, signedIn });
  }
  await printResult<"profiles list">(context, options, profiles, (view) => renderProfiles(profiles, view));
}

/**
 * Makes a profile the default.
 *
 * @throws CliError `profile_unknown`
 */
export async function useProfile(options: ProfileOptions, context: Context): Promise<void> {
  const { name } = options;
  await assertKnown(name, context);
  await (await context.settings()).activateProfile(name);
  if (context.env.SECUREFLAG_PROFILE) warn(context, options, "SECUREFLAG_PROFILE is set and takes precedence.");
  await printResult<"profiles use">(context, options, { name, active: true }, () => `Switched to profile ${name}.`);
}

/**
 * Signs out of a profile, as `logout` does, and deletes it.
 *
 * @throws CliError `invalid_usage` if there is no prompt and no `--yes`, `profile_unknown`, `declined_by_person`
 */
export async function removeProfile(options: RemoveProfileOptions, context: Context): Promise<void> {
  const { name } = options;
  assertConsent(context, options, "remove the profile");
  await assertKnown(name, context);
  if (!options.yes) await confirmOrCancel(context, options, `Sign out of profile ${name} and remove it?`);
  const settings = await context.settings();
  const wasActive = (await settings.activeProfile()) === name;
  const { revoked } = await endSignIn(options, context, name);
  await settings.removeProfile(name);
  if (wasActive && (await settings.profiles()).size > 0) {
    note(
      context,
      options,
      "The profile was in use. Choose another one with `secureflag-licenses profiles use <name>`.",
    );
  }
  await printResult<"profiles remove">(
    context,
    options,
    { name, removed: true, revoked },
    () => `Removed profile ${name}.`,
  );
}

async function assertKnown(name: string, context: Context): Promise<void> {
  const known = await (await context.settings()).profiles();
  if (known.has(name)) return;
  throw new CliError("profile_unknown", `Profile not found: ${shorten(name)}`, {
    hint:
      known.size > 0 ? `Profiles: ${[...known.keys()].join(", ")}.` : "Create one with `secureflag-licenses login`.",
  });
}

/** Renders every profile with its backend, organization and sign-in. */
export function renderProfiles(profiles: readonly Profile[], view: View): string {
  if (profiles.length === 0) return "No profiles. Create one with `secureflag-licenses login`.";
  return profiles.map((profile) => renderProfile(profile, view)).join("\n\n");
}

function renderProfile({ name, active, apiUrl, organizationId, email, signedIn }: Profile, view: View): string {
  return fields(
    [
      ["Profile", `${view.style.bold(clean(name))}${active ? " (in use)" : ""}`],
      ["Backend", clean(apiUrl)],
      ["Organization", organizationId === null ? "not set" : String(organizationId)],
      ["Signed in", signedIn ? (email === null ? "yes" : clean(email)) : "no"],
    ],
    view,
  );
}
