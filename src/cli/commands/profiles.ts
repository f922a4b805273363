import { Argument, type Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";
import { profileName } from "./shared/values.ts";

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
export function register(program: Command, context: Context, runs: ProfilesRuns = load): void {
  const group = addCommand(program, {
    name: "profiles",
    group: "Sign-in",
    description: "List, choose and remove profiles: a backend, an organization, a sign-in",
    summary: "List, choose and remove profiles",
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

const load: ProfilesRuns = {
  list: async (options, context) => (await import("./run/profiles.ts")).list(options, context),
  use: async (options, context) => (await import("./run/profiles.ts")).use(options, context),
  remove: async (options, context) => (await import("./run/profiles.ts")).remove(options, context),
};
