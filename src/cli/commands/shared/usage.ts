import { Command, CommanderError } from "commander";
import { type CliError, usageError } from "../../errors.ts";
import { shorten } from "../../render/shorten.ts";
import { commandOf } from "./helpPage.ts";

/** Commander's words, told as ours. Its suggestion of the nearest name becomes the hint. */
export function asUsageError(error: CommanderError, argv: readonly string[], program: Command): CliError {
  const command = commandOf(program, argv);
  const help = `Run \`${wordsOf(command)} --help\` to see what it takes.`;
  if (error.code === "commander.help") return usageError(`\`${wordsOf(command)}\` needs one of its commands`, help);
  const hint = suggestionIn(error) ?? otherSuggestion(error, argv, command) ?? help;
  const message = shortened(error.message.replace(/^error: /, "").replace(SUGGESTION, ""), argv);
  return usageError(capitalized(plain(message.trim())), hint);
}

/** What the nearest of some names is, `Did you mean status?`, as commander finds it; `null` where none is near. */
export function suggestion(word: string, names: readonly string[]): string | null {
  if (names.includes(word)) return `Did you mean ${word}?`;
  const program = new Command()
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .helpOption(false);
  program.helpCommand(false);
  for (const name of names) name.startsWith("--") ? program.option(name) : program.command(name);
  try {
    program.parse([word], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return suggestionIn(error);
    throw error;
  }
  return null;
}

const SUGGESTION = /\n\((Did you mean .*)\)$/;

function suggestionIn({ message }: CommanderError): string | null {
  return SUGGESTION.exec(message)?.[1] ?? null;
}

/** What commander itself does not suggest: a flag for `-yes` or for one that is missing, lower case, a value. */
function otherSuggestion({ code, message }: CommanderError, argv: readonly string[], command: Command): string | null {
  const flags = command.options.filter(({ hidden }) => !hidden).map(({ long }) => long ?? "");
  const [, kind, name = ""] = /^error: unknown (option|command) '(.*)'/s.exec(message) ?? [];
  if (kind === "option") return suggestion(name.toLowerCase().replace(/^-*/, "--"), flags);
  if (kind === "command") {
    const names = command.commands.map((below) => below.name());
    return suggestion(name.toLowerCase(), names);
  }
  if (code === "commander.missingMandatoryOptionValue") {
    const unknown = argv.map((argument) => argument.replace(/=.*$/s, "")).find((flag) => isUnknown(flag, flags));
    return unknown === undefined ? null : suggestion(unknown, flags);
  }
  const [, value = "", choices] = / '([^']*)' is invalid\..* Allowed choices are (.*)\.$/s.exec(message) ?? [];
  return choices === undefined ? null : suggestion(value.toLowerCase(), choices.split(", "));
}

function isUnknown(argument: string, flags: readonly string[]): boolean {
  return argument.startsWith("--") && argument !== "--" && !flags.includes(argument);
}

function wordsOf(command: Command): string {
  return command.parent ? `${wordsOf(command.parent)} ${command.name()}` : command.name();
}

const INVALID =
  /^(?:option '(?<option>.*?)' argument|command-argument value) (?<value>'.*') is invalid(?: for argument '(?<argument>.*?)')?\. (?<reason>.*)$/s;

/** Other words of commander, and ours for them. */
const PLAIN: readonly (readonly [RegExp, string])[] = [
  [/^missing required argument '(.*)'$/s, "<$1> is missing"],
  [/^required option '(.*)' not specified$/s, "$1 is missing"],
  [/^option '(\S+) (.*)' argument missing$/s, "$1 needs its $2"],
  [/^option '(.*?)' cannot be used with option '(.*?)'$/s, "$1 cannot be used with $2"],
  [/^unknown option /s, "unknown flag "],
];

/** What commander says, in words that need no knowledge of parsers. */
function plain(message: string): string {
  const { option, argument, value, reason } = INVALID.exec(message)?.groups ?? {};
  if (reason === undefined) return PLAIN.reduce((text, [words, ours]) => text.replace(words, ours), message);
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
