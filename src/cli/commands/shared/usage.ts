import type { Command, CommanderError } from "commander";
import { type CliError, usageError } from "../../errors.ts";
import { shorten } from "../../render/shorten.ts";

const HELP = "Run it with --help to see what it takes.";

/** Commander's words, told as ours. Its suggestion of the nearest name becomes the hint. */
export function asUsageError(error: CommanderError, argv: readonly string[], program: Command): CliError {
  if (error.code === "commander.help")
    return usageError(`\`${groupOf(program, argv)}\` needs one of its commands`, HELP);
  const [message = "", suggestion] = shortened(error.message.replace(/^error: /, ""), argv).split(
    /\n\(?(?=Did you mean)/,
  );
  return usageError(capitalized(plain(message.trim())), suggestion?.trim().replace(/\)$/, "") ?? HELP);
}

/** The group of commands that the arguments name, without any flags. */
function groupOf(program: Command, argv: readonly string[]): string {
  const below = argv.map((name) => program.commands.find((command) => command.name() === name)).find(Boolean);
  return below ? `${program.name()} ${groupOf(below, argv.slice(argv.indexOf(below.name()) + 1))}` : program.name();
}

const INVALID =
  /^(?:option '(?<option>.*?)' argument|command-argument value) (?<value>'.*') is invalid(?: for argument '(?<argument>.*?)')?\. (?<reason>.*)$/s;

/** A value that is not valid, in words that need no knowledge of parsers. */
function plain(message: string): string {
  const { option, argument, value, reason } = INVALID.exec(message)?.groups ?? {};
  if (reason === undefined) return message;
  const name = option?.match(/--[\w-]+/)?.[0] ?? `<${argument}>`;
  return `${name} cannot be ${value}. ${reason}`;
}

function shortened(message: string, argv: readonly string[]): string {
  const values = argv.flatMap((argument) => [argument, argument.slice(argument.indexOf("=") + 1)]);
  return values.reduce((text, value) => text.replaceAll(value || "''", shorten(value) || "''"), message);
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
