import { Argument, type Command } from "commander";
import type { CredentialStore } from "../connection/credentials.ts";
import type { ProfileSettings } from "../connection/settings.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { note, printResult, type View, warn } from "../kit/output.ts";
import { assertConsent, confirmOrCancel } from "../kit/prompt.ts";
import { fields } from "../kit/table.ts";
import { clean, shorten } from "../kit/text.ts";
import { profileName } from "../kit/values.ts";
import { endSignIn } from "./endSignIn.ts";

/** What `profiles use` was told. */
export interface ProfileOptions extends GlobalOptions {
  readonly name: string;
}

/** What `profiles remove` was told. */
export interface RemoveProfileOptions extends ProfileOptions {
  readonly yes: boolean;
}

/** What the commands of the group do. */
export interface ProfilesRuns {
  readonly list: Run<GlobalOptions>;
  readonly use: Run<ProfileOptions>;
  readonly remove: Run<RemoveProfileOptions>;
}

/** Registers `profiles list`, `use` and `remove`. */
export function register(program: Command, context: Context, runs: ProfilesRuns = RUNS): void {
  const group = addCommand(program, {
    name: "profiles",
    description: "List, choose and remove profiles: a backend, an organization, a sign-in",
    examples: ["profiles list", "profiles use work"],
  });
  addCommand(group, {
    name: "list",
    description: "List the profiles that login made",
    examples: ["profiles list", "profiles list --json"],
  }).action((_flags: unknown, command: Command) =>
    interruptible(context, () => runs.list(readGlobals(command), context)),
  );
  addCommand(group, {
    name: "use",
    description: "Use a profile from now on unless another is named",
    examples: ["profiles use work", "profiles use default"],
  })
    .addArgument(profileArgument())
    .action((name: string, _flags: unknown, command: Command) =>
      interruptible(context, () => runs.use({ ...readGlobals(command), name }, context)),
    );
  addCommand(group, {
    name: "remove",
    description: "Sign a profile out and forget it",
    examples: ["profiles remove work", "profiles remove work --yes"],
  })
    .addArgument(profileArgument())
    .option("--yes", "remove without a prompt")
    .action((name: string, { yes = false }: { yes?: boolean }, command: Command) =>
      interruptible(context, () => runs.remove({ ...readGlobals(command), name, yes }, context)),
    );
}

function profileArgument(): Argument {
  return new Argument("<name>", "the profile").argParser(profileName);
}

const RUNS: ProfilesRuns = { list: listProfiles, use: useProfile, remove: removeProfile };

/** One profile, as `profiles list --json` prints it. */
export interface Profile extends ProfileSettings {
  readonly name: string;
  /** Whether it is used unless another is named. */
  readonly active: boolean;
  /** Whether a sign-in is kept for it. */
  readonly signedIn: boolean;
}

/** Prints every profile, the oldest first. */
export async function listProfiles(options: GlobalOptions, context: Context): Promise<void> {
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
  await printResult<"profiles list">(context, options, profiles, (view) => renderProfiles(profiles, view));
}

/**
 * Makes a profile the one that is used unless another is named.
 *
 * @throws CliError `profile_unknown`
 */
export async function useProfile(options: ProfileOptions, context: Context): Promise<void> {
  const { name } = options;
  await assertKnown(name, context);
  await (await context.settings()).activateProfile(name);
  if (context.env.SECUREFLAG_PROFILE) warn(context, options, "SECUREFLAG_PROFILE is set and is used instead.");
  await printResult<"profiles use">(
    context,
    options,
    { name, active: true },
    () => `The profile "${name}" is used from now on.`,
  );
}

/**
 * Signs a profile out, as `logout` does, and forgets it.
 *
 * @throws CliError `invalid_usage` where it cannot ask and `--yes` is missing, `profile_unknown`, `declined_by_person`
 */
export async function removeProfile(options: RemoveProfileOptions, context: Context): Promise<void> {
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
  await printResult<"profiles remove">(
    context,
    options,
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

/** Every profile with its backend, organization and sign-in. */
export function renderProfiles(profiles: readonly Profile[], view: View): string {
  if (profiles.length === 0) return "There is no profile yet; `secureflag-licenses login` makes one.";
  return profiles.map((profile) => renderProfile(profile, view)).join("\n\n");
}

function renderProfile({ name, active, apiUrl, organizationId, email, signedIn }: Profile, view: View): string {
  return fields(
    [
      ["Profile", `${view.style.bold(clean(name))}${active ? " (in use)" : ""}`],
      ["Backend", clean(apiUrl)],
      ["Organization", organizationId === null ? "none set" : String(organizationId)],
      ["Signed in", signedIn ? (email === null ? "yes" : clean(email)) : "no"],
    ],
    view,
  );
}
