import type { Argument, Command, Option } from "commander";
import { isGlobalOption, parserOf } from "../kit/command.ts";
import { isProfileName, profileName, scopeList } from "../kit/values.ts";
import { HELP_TOPIC_NAMES } from "./page.ts";

/** A completion of a word. */
export interface Candidate {
  readonly value: string;
  /** A description in one line; may be empty. */
  readonly meaning: string;
}

/** The completions of a word. The shell itself finds files and directories. */
export type Completion = readonly Candidate[] | "files" | "directories";

/** Reads the names of the profiles; called only if one is expected. */
export type ProfileNames = () => Promise<readonly string[]>;

/** The kind of value by the name of a placeholder. */
const KINDS: Readonly<Record<string, "files" | "directories">> = { file: "files", csv: "files", dir: "directories" };

/**
 * Completes the last word from the definitions of the commands: commands, flags, choices of flags and arguments, profiles.
 * Does not filter by the word: each shell does that in its own way.
 *
 * @param words the words after the program's name; the last one may be empty
 */
export async function complete(
  program: Command,
  words: readonly string[],
  profileNames: ProfileNames,
): Promise<Completion> {
  const word = words.at(-1) ?? "";
  const place = findPlace(program, words.slice(0, -1));
  const { command, waiting } = place;
  if (waiting) return await valuesOf(waiting, word, profileNames);
  if (word.startsWith("-") && !place.onlyArguments) {
    const [name = "", ...value] = word.split("=");
    if (value.length === 0) return flagsOf(place);
    const flag = flagOf(command, name);
    return flag?.required ? await afterFlag(name, flag, value.join("="), profileNames) : [];
  }
  if (command.name() === "help") return topicsOf(program, place.values);
  if (command.commands.length > 0) return place.values.length === 0 ? commandsOf(command) : [];
  if (command.name() === "api" && place.values.length === 1) return await pathsOf(place.values);
  const { registeredArguments } = command;
  const last = registeredArguments.at(-1);
  const argument = registeredArguments[place.values.length] ?? (last?.variadic ? last : undefined);
  const values = argument ? await valuesOf(argument, word, profileNames) : [];
  return values.length > 0 || word !== "" || place.onlyArguments ? values : ownFlagsOf(place);
}

/** Completes `--profile=work`, which is one word for a shell. */
async function afterFlag(name: string, flag: Option, value: string, profileNames: ProfileNames): Promise<Completion> {
  const values = await valuesOf(flag, value, profileNames);
  if (typeof values === "string") return values;
  return values.map((candidate) => ({ ...candidate, value: `${name}=${candidate.value}` }));
}

async function valuesOf(taker: Option | Argument, word: string, profileNames: ProfileNames): Promise<Completion> {
  const { argChoices } = taker;
  const parse = parserOf(taker);
  if (argChoices) {
    const before = parse === scopeList ? word.slice(0, word.lastIndexOf(",") + 1) : "";
    const left = argChoices.filter((choice) => !before.split(",").includes(choice));
    return left.map((choice) => ({ value: `${before}${choice}`, meaning: "" }));
  }
  if (parse === profileName)
    return (await profileNames()).filter(isProfileName).map((value) => ({ value, meaning: "" }));
  const name = "flags" in taker ? (/[<[](.*)[>\]]/.exec(taker.flags)?.[1] ?? "") : taker.name();
  return KINDS[name] ?? [];
}

function commandsOf(command: Command): Candidate[] {
  const helper = command.createHelp();
  return helper
    .visibleCommands(command)
    .map((below) => ({ value: below.name(), meaning: helper.subcommandDescription(below) }));
}

/** Completes `help`: the subcommands of the named command; for the first word, also the topics. */
function topicsOf(program: Command, words: readonly string[]): Candidate[] {
  const [first, ...rest] = words;
  if (first === "schema") return schemasOf(program, rest);
  const command = namedBy(program, words);
  if (!command) return [];
  const topics = words.length === 0 ? HELP_TOPIC_NAMES : [];
  return [...commandsOf(command), ...topics.map((value) => ({ value, meaning: "" }))];
}

/** Completes the path of `api`; the calls are loaded only here. */
async function pathsOf([method = ""]: readonly string[]): Promise<Candidate[]> {
  const { callsOf } = await import("../api/operation.ts");
  return callsOf(method.toUpperCase()).map(([value, meaning]) => ({ value, meaning }));
}

/** Completes `help schema`: commands that print JSON, and `error`. */
function schemasOf(program: Command, words: readonly string[]): Candidate[] {
  const command = namedBy(program, words);
  if (!command) return [];
  const commands = commandsOf(command).filter(({ value }) => !WITHOUT_JSON.includes(value));
  return words.length === 0 ? [...commands, { value: "error", meaning: "What every command reports" }] : commands;
}

/** Commands that speak a protocol instead. */
const WITHOUT_JSON = ["mcp"];

/** Finds a command by the words that call it. */
function namedBy(program: Command, words: readonly string[]): Command | undefined {
  let command: Command | undefined = program;
  for (const word of words) command = command?.commands.find((below) => below.name() === word);
  return command;
}

/** The flags that may follow: not given yet, and not in conflict with a given one. */
function flagsOf({ command, given }: Place, isMeant: (flag: Option) => boolean = () => true): Candidate[] {
  const flags = command.createHelp().visibleOptions(command);
  const excludes = (one: Option, other: Option) => conflictsOf(one).includes(other.attributeName());
  return flags
    .filter((flag) => isMeant(flag) && !given.some((other) => other.long === flag.long))
    .filter((flag) => !given.some((other) => excludes(flag, other) || excludes(other, flag)))
    .map(({ long, description }) => ({ value: long ?? "", meaning: description }));
}

/** A command's own flags, or the global ones if none is left. */
function ownFlagsOf(place: Place): Candidate[] {
  const own = flagsOf(place, (flag) => !isGlobalOption(flag));
  return own.length > 0 ? own : flagsOf(place);
}

/** The conflicts of a flag, which are not in the types of Commander. */
function conflictsOf(flag: Option): readonly string[] {
  return "conflictsWith" in flag && Array.isArray(flag.conflictsWith) ? flag.conflictsWith : [];
}

/** The position of the next word on the command line. */
interface Place {
  readonly command: Command;
  /** The arguments given so far. */
  readonly values: readonly string[];
  /** The flags given so far, to the command and its parents. */
  readonly given: readonly Option[];
  /** The flag whose value is next. */
  readonly waiting: Option | null;
  /** Whether `--` ended the flags. */
  readonly onlyArguments: boolean;
}

/** Follows the words as Commander does, and ignores what it would refuse. */
function findPlace(program: Command, words: readonly string[]): Place {
  let place: Place = { command: program, values: [], given: [], waiting: null, onlyArguments: false };
  for (const word of words) place = after(place, word);
  return place;
}

/** Finds a flag of a command by its name, `--quiet` or `-q`. */
function flagOf(command: Command, name: string): Option | undefined {
  return command
    .createHelp()
    .visibleOptions(command)
    .find(({ long, short }) => name === long || name === short);
}

function after(place: Place, word: string): Place {
  const { command, values, given } = place;
  if (place.waiting) return { ...place, waiting: null };
  if (!place.onlyArguments && word === "--") return { ...place, onlyArguments: true };
  if (!place.onlyArguments && word.startsWith("-")) {
    const [name = "", ...value] = word.split("=");
    const flag = flagOf(command, name);
    if (!flag) return place;
    return { ...place, given: [...given, flag], waiting: flag.required && value.length === 0 ? flag : null };
  }
  const below = values.length === 0 ? command.commands.find((candidate) => candidate.name() === word) : undefined;
  return below ? { ...place, command: below } : { ...place, values: [...values, word] };
}
