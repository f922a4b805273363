import { Command, CommanderError, Option } from "commander";
import type { Context } from "../context.ts";
import { type CliError, reportOf, usageError } from "../errors.ts";
import { tokenVariable } from "../io.ts";
import { label } from "./color.ts";
import { commandOf, InvalidValueError } from "./command.ts";
import { indentOf, toJson } from "./output.ts";
import { clean, MAX_TEXT, shorten } from "./text.ts";
import { textWidth } from "./width.ts";
import { wrap } from "./wrap.ts";

const MAX_PROBLEMS = 100;

/**
 * Reports a failure on stderr: the problems of an input file line by line, what failed and what to do next; or under
 * `--json` one JSON document and nothing else (src/cli/README.md, Output). An interruption without a message is silent,
 * and canceling is not an error.
 *
 * @param argv read here again, because a failure may come before the flags were parsed
 * @returns the exit code
 */
export function reportFailure(error: unknown, argv: readonly string[], context: Context): number {
  const report = reportOf(error, tokenVariable(context.env));
  const { code, exitCode, requestId } = report;
  const isJson = argv.includes("--json");
  const message = sentence(report.message, isJson ? Number.POSITIVE_INFINITY : MAX_TEXT);
  // A hint may hold an address beside our own words.
  const hint = report.hint === null ? null : sentence(report.hint, isJson ? Number.POSITIVE_INFINITY : 2 * MAX_TEXT);
  const problems = report.problems.slice(0, MAX_PROBLEMS);
  if (isJson) {
    const document = { code, message: message || "Interrupted.", hint, exitCode, requestId };
    const error = { ...document, ...(problems.length > 0 && { problems }) };
    context.io.note(`${toJson({ error }, indentOf(context.io.stderrIsTerminal))}\n`, true);
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
    const wrapped = lines.filter((line) => line !== "").map((line) => wrap(line, width));
    const more = report.problems.length - problems.length;
    const list = problems.map((problem) => `line ${problem.line}: ${clean(problem.message)}`);
    const all = [...list, ...(more > 0 ? [`and ${more.toLocaleString("en-US")} more`] : []), ...wrapped];
    if (all.length > 0) context.io.note(`${all.join("\n")}\n`);
  }
  if (argv.some((argument) => argument === "-v" || argument === "--verbose")) context.io.note(`${traceOf(error)}\n`);
  return exitCode;
}

/** Cleans a text and ends it like a sentence. */
export function sentence(text: string, longest = MAX_TEXT): string {
  const cleaned = clean(text, { longest }).trim();
  return cleaned === "" || /[.!?…]$/.test(cleaned) ? cleaned : `${cleaned}.`;
}

/** The stack, and those of its causes. */
export function traceOf(error: unknown): string {
  if (!(error instanceof Error)) return clean(String(error));
  const own = (error.stack ?? error.message)
    .split("\n")
    .map((line) => clean(line))
    .join("\n");
  return error.cause instanceof Error ? `${own}\nCaused by: ${traceOf(error.cause)}` : own;
}

/** An error of commander as a usage error. The nearest name, flag or value becomes the hint. */
export function asUsageError(error: CommanderError, argv: readonly string[], program: Command): CliError {
  const command = commandOf(program, argv);
  const { message, hint } =
    error instanceof InvalidValueError ? invalidValue(error) : explained(error, argv, flagsOf(command), command);
  return usageError(message, hint ?? `Run \`${wordsOf(command)} --help\` to see its arguments and flags.`);
}

interface Explanation {
  readonly message: string;
  readonly hint: string | null;
}

function invalidValue({ parameter, value, message }: InvalidValueError): Explanation {
  const name = parameter instanceof Option ? parameter.long : `<${parameter.name()}>`;
  const { argChoices: choices } = parameter;
  return {
    message: `${name} cannot be '${shorten(value)}'. ${message}`,
    hint: choices ? suggestion(value.toLowerCase(), choices) : null,
  };
}

/** Commander's errors by their code. The names that they are about are in quotes, the first one up to the last. */
function explained(error: CommanderError, argv: readonly string[], flags: string[], command: Command): Explanation {
  const [, name = ""] = /'(.*)'/s.exec(error.message) ?? [];
  switch (error.code) {
    case "commander.help":
      return { message: `\`${wordsOf(command)}\` needs one of its commands`, hint: null };
    case "commander.missingArgument":
      return { message: `Missing argument: <${name}>`, hint: null };
    case "commander.missingMandatoryOptionValue":
      return { message: `Missing flag: ${name}`, hint: misspelledFlag(argv, flags) };
    case "commander.optionMissingArgument":
      return { message: `Missing value: ${name}`, hint: null };
    case "commander.conflictingOption":
      return { message: name.replace(/' .* '/, " cannot be used with "), hint: null };
    case "commander.unknownOption": {
      const flag = name.toLowerCase().replace(/^-*/, "--");
      return { message: `Unknown flag: ${shorten(name)}`, hint: suggestionIn(error) ?? suggestion(flag, flags) };
    }
    case "commander.unknownCommand": {
      const names = command.commands.map((below) => below.name());
      const hint = suggestionIn(error) ?? suggestion(name.toLowerCase(), names);
      return { message: `Unknown command: ${shorten(name)}`, hint };
    }
    case "commander.excessArguments":
      return { message: `Too many arguments for \`${wordsOf(command)}\``, hint: null };
    default:
      return { message: error.message.replace(/^error: /, ""), hint: null };
  }
}

/** A flag that is missing may have been misspelled. */
function misspelledFlag(argv: readonly string[], flags: readonly string[]): string | null {
  const typed = argv.map((argument) => argument.replace(/=.*$/s, ""));
  const unknown = typed.find((flag) => flag.startsWith("--") && flag !== "--" && !flags.includes(flag));
  return unknown === undefined ? null : suggestion(unknown, flags);
}

function flagsOf(command: Command): string[] {
  return command.options.filter(({ hidden }) => !hidden).map(({ long }) => long ?? "");
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

function wordsOf(command: Command): string {
  return command.parent ? `${wordsOf(command.parent)} ${command.name()}` : command.name();
}
