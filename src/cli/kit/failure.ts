import { Command, CommanderError } from "commander";
import type { Context } from "../context.ts";
import { type CliError, reportOf, usageError } from "../errors.ts";
import { label } from "./color.ts";
import { commandOf } from "./command.ts";
import { toJson } from "./output.ts";
import { clean, MAX_TEXT, shorten } from "./text.ts";
import { textWidth } from "./width.ts";
import { wrap } from "./wrap.ts";

const MOST_PROBLEMS = 100;

/**
 * Tells a failure on stderr: what is wrong with an input file line by line, what happened and what to do next, or under
 * `--json` one JSON document and nothing else (cli.md, Output). An interruption without last words is silent, and
 * canceling is no error.
 *
 * @param argv read here once more, because a failure may come before the flags were understood
 * @returns the exit code
 */
export function reportFailure(error: unknown, argv: readonly string[], context: Context): number {
  const report = reportOf(error, Boolean(context.env.SECUREFLAG_API_TOKEN));
  const { code, exitCode, requestId } = report;
  const isJson = argv.includes("--json");
  const message = sentence(report.message, isJson ? Number.POSITIVE_INFINITY : MAX_TEXT);
  // A hint may hold an address beside our own words.
  const hint = report.hint === null ? null : sentence(report.hint, isJson ? Number.POSITIVE_INFINITY : 2 * MAX_TEXT);
  const problems = report.problems.slice(0, MOST_PROBLEMS);
  if (isJson) {
    const told = { code, message: message || "Interrupted.", hint, exitCode, requestId };
    context.io.note(`${toJson({ error: { ...told, ...(problems.length > 0 && { problems }) } })}\n`, true);
  } else if (message !== "") {
    const isAnnotated = context.io.workflowCommand("error", [message, hint].filter(Boolean).join(" "));
    const isCanceled = code === "declined_by_person" || code === "interrupted";
    const choice = {
      env: context.env,
      isTerminal: context.io.stderrIsTerminal,
      color: !argv.includes("--no-color"),
    };
    const error = isAnnotated ? [] : [isCanceled ? message : `${label("Error", choice)} ${message}`, hint ?? ""];
    const lines = [...error, requestId === null ? "" : `Request: ${clean(requestId)}`];
    const width = textWidth(context, "stderr");
    const told = lines.filter((line) => line !== "").map((line) => wrap(line, width));
    const more = report.problems.length - problems.length;
    const list = problems.map((problem) => `line ${problem.line}: ${clean(problem.message)}`);
    const all = [...list, ...(more > 0 ? [`and ${more.toLocaleString("en-US")} more`] : []), ...told];
    if (all.length > 0) context.io.note(`${all.join("\n")}\n`);
  }
  if (argv.some((argument) => argument === "-v" || argument === "--verbose")) context.io.note(`${traceOf(error)}\n`);
  return exitCode;
}

function sentence(text: string, longest: number): string {
  const cleaned = clean(text, { longest }).trim();
  return cleaned === "" || /[.!?…]$/.test(cleaned) ? cleaned : `${cleaned}.`;
}

/** The stack, and those of its causes. */
function traceOf(error: unknown): string {
  if (!(error instanceof Error)) return clean(String(error));
  const own = (error.stack ?? error.message)
    .split("\n")
    .map((line) => clean(line))
    .join("\n");
  return error.cause instanceof Error ? `${own}\nCaused by: ${traceOf(error.cause)}` : own;
}

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
