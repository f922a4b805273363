import { type Command, Option } from "commander";
import { usageError } from "../../errors.ts";
import { profileName, trimmedText, wholeNumber } from "./values.ts";

/** The flags that every command takes (cli.md, Flags everywhere). */
export interface GlobalOptions {
  readonly profile: string | null;
  readonly organizationId: number | null;
  readonly apiUrl: string | null;
  readonly json: boolean;
  /** False with `--no-input`: never prompt. */
  readonly input: boolean;
  readonly color: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** How long one request may take, in milliseconds. */
  readonly timeoutMs: number;
}

const GROUP = "Flags everywhere:";
const DEFAULT_TIMEOUT_SECONDS = 30;
const NEVER_IN_ARGUMENTS: Readonly<Record<string, string>> = {
  token: "Set SECUREFLAG_API_TOKEN, or pipe the token into `secureflag-licenses login --with-token`.",
  password: "Pipe the password into `secureflag-licenses login --email <email> --password-stdin`.",
};

/** Adds the flags that every command takes to a command and all below it; its own come first in the help. */
export function addGlobalOptions(command: Command, version: string): void {
  command.optionsGroup(GROUP);
  const flags = [
    new Option("--profile <name>", "settings and sign-in to use").argParser(profileName),
    new Option("--org <id>", "the organization").argParser((text) => wholeNumber(0)(text.trim())),
    new Option("--api-url <url>", "the backend").argParser(trimmedText),
    new Option("--json", "print one JSON document"),
    new Option("--no-input", "never prompt"),
    new Option("--no-color", "no color"),
    new Option("-q, --quiet", "no notes"),
    new Option("-v, --verbose", "requests and timings on stderr"),
    new Option("--timeout <seconds>", `for one request (default: ${DEFAULT_TIMEOUT_SECONDS})`).argParser(
      wholeNumber(1, 3600),
    ),
  ];
  for (const flag of flags) command.addOption(flag);
  command.version(version, "-V, --version", "show the version").helpOption("-h, --help", "show this help");
  for (const [name, instead] of Object.entries(NEVER_IN_ARGUMENTS)) refuseSecret(command, name, instead);
  for (const below of command.commands) addGlobalOptions(below, version);
}

/** Whether a flag is one of those that every command takes. */
export function isGlobalOption(flag: Option): boolean {
  return flag.helpGroupHeading === GROUP;
}

/** The flags that every command takes, wherever on the line they were given. */
export function readGlobals(command: Command): GlobalOptions {
  const flags = command.optsWithGlobals();
  return {
    profile: flags.profile ?? null,
    organizationId: flags.org ?? null,
    apiUrl: flags.apiUrl ?? null,
    json: flags.json === true,
    input: everywhere(command, "input"),
    color: everywhere(command, "color"),
    quiet: flags.quiet === true,
    verbose: flags.verbose === true,
    timeoutMs: (flags.timeout ?? DEFAULT_TIMEOUT_SECONDS) * 1000,
  };
}

/** A `--no-…` flag has a default, so that "given anywhere" is asked of each level and not of the merged flags. */
function everywhere(command: Command, flag: "input" | "color"): boolean {
  return command.opts()[flag] !== false && (command.parent === null || everywhere(command.parent, flag));
}

/** A secret in the arguments is seen by every process and kept in the shell's history (security.md). */
function refuseSecret(command: Command, name: string, instead: string): void {
  command.addOption(new Option(`--${name} [value]`).hideHelp());
  command.on(`option:${name}`, () => {
    throw usageError(`There is no --${name}: other processes and the history would see it`, instead);
  });
}
