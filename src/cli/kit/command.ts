import { type Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { profileName, trimmedText, wholeNumber } from "./values.ts";

/** The help of a command. */
export interface CommandHelp {
  readonly name: string;
  /** Defaults to the catalogue's summary. */
  readonly description?: string;
  /** A shorter text for the help of the command above it. */
  readonly summary?: string;
  /** Two command lines without the program's name. */
  readonly examples: readonly [string, string];
}

/** A command that knows its examples. */
export class ExampledCommand extends Command {
  constructor(
    name: string,
    readonly examples: readonly string[],
  ) {
    super(name);
  }
}

/** Adds a command with two examples in its help. */
export function addCommand(parent: Command, help: CommandHelp): Command {
  const { name, description = "", summary = "", examples } = help;
  const command = new ExampledCommand(name, examples).copyInheritedSettings(parent);
  // `help` is a command of the program alone.
  command.description(description).summary(summary).helpCommand(false);
  parent.addCommand(command);
  return command;
}

/** The examples of a command, as they would be typed, without the program's name. */
export function examplesOf(command: Command): readonly string[] {
  return command instanceof ExampledCommand ? command.examples : [];
}

/** What a command does: prints its result, or throws a typed error. */
export type Run<Options> = (options: Options, context: Context) => Promise<void>;

/**
 * Runs a command until it ends or a person interrupts it. What still runs then is stopped at once: it sends nothing, asks
 * nothing and writes nothing any more.
 *
 * @throws CliError `interrupted` with the interruption's message
 */
export async function interruptible(context: Context, work: () => Promise<void>): Promise<void> {
  let interrupt: (reason: CliError) => void = () => {};
  const interrupted = new Promise<never>((_, reject) => {
    interrupt = reject;
  });
  const stopListening = context.onSignal("SIGINT", () => {
    const note = context.interruption;
    interrupt(new CliError("interrupted", note?.message ?? "", { hint: note?.hint }));
    void context.stop();
  });
  try {
    await Promise.race([work(), interrupted]);
  } finally {
    stopListening();
  }
}

/** The flags of every command. */
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

const GROUP = "Global flags:";

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
    new Option("--org <id>", "organization ID").argParser((text) => wholeNumber(0)(text.trim())),
    new Option("--api-url <url>", "URL of the backend").argParser(trimmedText),
    new Option("--json", "print one JSON document"),
    new Option("--no-input", "never prompt"),
    new Option("--no-color", "disable color"),
    new Option("-q, --quiet", "suppress informational output"),
    new Option("-v, --verbose", "show requests and timings on stderr"),
    new Option("--timeout <seconds>", `limit for one request (default: ${DEFAULT_TIMEOUT_SECONDS})`).argParser(
      wholeNumber(1, 3600),
    ),
  ];
  for (const flag of flags) command.addOption(flag);
  command.version(version, "-V, --version", "show the version").helpOption("-h, --help", "show this help");
  for (const [name, instead] of Object.entries(NEVER_IN_ARGUMENTS)) refuseSecret(command, name, instead);
  for (const parameter of [...command.options, ...command.registeredArguments]) keepInvalidValue(parameter);
  for (const below of command.commands) if (isLoaded(below)) addGlobalOptions(below, version);
}

/** A value that a flag or an argument does not take; the message says what it takes. */
export class InvalidValueError extends CommanderError {
  constructor(
    readonly parameter: Option | Argument,
    readonly value: string,
    reason: string,
  ) {
    super(1, "invalidValue", reason);
  }
}

/** Makes the parser of a flag or an argument throw InvalidValueError, where commander would throw a sentence. */
function keepInvalidValue(parameter: Option | Argument): void {
  const { parseArg: parser } = parameter;
  if (parser === undefined) return;
  const keeping = (value: string, previous: unknown): unknown => {
    try {
      return parser(value, previous);
    } catch (error) {
      throw error instanceof InvalidArgumentError ? new InvalidValueError(parameter, value, error.message) : error;
    }
  };
  parameter.argParser(Object.assign(keeping, { parser }));
}

/** The parser that a flag or an argument was registered with. */
export function parserOf({ parseArg }: Option | Argument): unknown {
  return parseArg !== undefined && "parser" in parseArg ? parseArg.parser : parseArg;
}

/** A command that is only named by the help does nothing, and has no flags. */
function isLoaded(command: Command): boolean {
  return examplesOf(command).length > 0;
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

/** A secret in the arguments is visible to every process and kept in the shell's history. */
function refuseSecret(command: Command, name: string, instead: string): void {
  command.addOption(new Option(`--${name} [value]`).hideHelp());
  command.on(`option:${name}`, () => {
    throw usageError(`--${name} is not allowed: other processes could read it`, instead);
  });
}

/**
 * Makes sure that no flag stands where the value of another belongs: `--max-total --no-input` has lost its amount, and
 * would take away a flag in silence. A value that begins so is written with `=`, `--note=--draft`.
 *
 * @throws CliError `invalid_usage`, which names the flag without a value
 */
export function assertOptionValues(program: Command, argv: readonly string[]): void {
  let command = program;
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? "";
    if (word === "--") return;
    const option = flagNamed(word, command);
    if (option === undefined) {
      command = command.commands.find((below) => below.name() === word) ?? command;
    } else if (option.required) {
      at += 1;
      const value = argv[at];
      if (value === undefined || !isFlag(value, command)) continue;
      const [name = ""] = /<.*>/.exec(option.flags) ?? [];
      throw usageError(
        `${word} needs its ${name}, and \`${value}\` is a flag`,
        `Write a value that begins with a dash as ${option.long ?? word}=<value>.`,
      );
    }
  }
}

function flagNamed(word: string, command: Command): Option | undefined {
  return command.options.find(({ short, long }) => word === long || word === short);
}

function isFlag(value: string, command: Command): boolean {
  return value.startsWith("--") || flagNamed(value, command) !== undefined;
}

/** The command that the arguments name, without any flags. The value of a flag names none. */
export function commandOf(command: Command, argv: readonly string[]): Command {
  for (const [index, name] of argv.entries()) {
    if (index > 0 && flagNamed(argv[index - 1] ?? "", command)?.required) continue;
    const below = command.commands.find((candidate) => candidate.name() === name);
    if (below) return commandOf(below, argv.slice(index + 1));
  }
  return command;
}

/** The flag of a list that can be printed as CSV. */
export function csvOption(description: string): Option {
  return new Option("--csv", description);
}

/**
 * Reads that flag.
 *
 * @throws CliError `invalid_usage` where JSON is to be printed, too
 */
export function readCsv({ csv = false }: { readonly csv?: boolean }, { json }: Pick<GlobalOptions, "json">): boolean {
  if (csv && json) throw usageError("--csv cannot be used with --json", "Pass one of them.");
  return csv;
}
