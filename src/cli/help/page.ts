import type { Argument, Command, Help, Option } from "commander";
import { examplesOf, isGlobalOption, readGlobals } from "../kit/command.ts";

/** The topics of `help` that are not commands. */
export const HELP_TOPIC_NAMES = ["exit-codes", "environment", "ci", "schema"] as const;

/** The width of help that is not written to a terminal. */
const DEFAULT_WIDTH = 80;

type Row = readonly [term: string, description: string];

/**
 * Renders a command's help: description, usage, two examples, then arguments, flags and subcommands in the order in which
 * they were registered. A group only names the global flags.
 */
export function helpPage(command: Command, helper: Help): string {
  const title = (text: string) => (readGlobals(command).color ? helper.styleTitle(text) : text);
  const width = helper.helpWidth ?? DEFAULT_WIDTH;
  const lists = listsOf(command, helper);
  const termWidth = Math.max(0, ...lists.flatMap(([, rows]) => rows.map(([term]) => term.length)));
  const sections = [
    helper.boxWrap(command.description(), width),
    usageText(`${title("Usage:")} ${usageOf(command)}`, `Usage: ${usageOf(command)}`.length, width),
    [title("Examples:"), ...examplesOf(command).map((example) => exampleText(example, width))].join("\n"),
    ...lists.map(([heading, rows]) => {
      const items = rows.map(([term, text]) => helper.formatItem(term, termWidth, text, helper));
      return [title(heading), ...items].join("\n");
    }),
  ];
  if (isGroup(command)) sections.push(`${title("Global flags:")}\n${flagNames(command, helper, width)}`);
  return `${sections.join("\n\n")}\n`;
}

/** The usage of a command, `secureflag-licenses buy [licenses] [flags]`. */
function usageOf(command: Command): string {
  const above = command.parent ? `${usageOf(command.parent).split(/ [<[]/)[0]} ` : "";
  const below = command.commands.length === 0 ? "" : isGroup(command) ? " <command>" : " [command]";
  return `${above}${termOf(command)}${below} [flags]`;
}

/** Renders the end of a page, with further topics; a line never breaks within one. */
export function seeAlso(command: Command, width: number): string {
  const topics = [...(command.parent ? [] : ["<command>"]), ...HELP_TOPIC_NAMES].map((topic) => `help ${topic}`);
  const lines = topics.reduce<string[]>((before, topic) => {
    const line = before.at(-1);
    if (line === undefined) return [`See also: ${topic}`];
    const longer = `${line}, ${topic}`;
    return longer.length < width ? [...before.slice(0, -1), longer] : [...before.slice(0, -1), `${line},`, topic];
  }, []);
  return `\n${lines.join("\n")}`;
}

/** The description of an argument or a flag, with its choices. */
export function meaningOf({ description, argChoices }: Pick<Option, "description" | "argChoices">): string {
  return argChoices ? `${description} (${argChoices.join(", ")})` : description;
}

/** A command with its arguments, `revoke <id>`. */
export function termOf(command: Command): string {
  const argument = (argument: Argument) => {
    const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
    return argument.required ? `<${name}>` : `[${name}]`;
  };
  return [command.name(), ...command.registeredArguments.map(argument)].join(" ");
}

/** Reports whether a command only has subcommands, and does nothing itself: each of its examples calls one of them. */
function isGroup(command: Command): boolean {
  const names = command.commands.map((below) => below.name());
  const depth = depthOf(command);
  return names.length > 0 && examplesOf(command).every((example) => names.includes(example.split(" ")[depth] ?? ""));
}

/** How many words call a command, after the program's name. */
function depthOf({ parent }: Command): number {
  return parent === null ? 0 : depthOf(parent) + 1;
}

/** The lists of a page by heading. */
function listsOf(command: Command, helper: Help): [heading: string, rows: Row[]][] {
  const flags = helper.visibleOptions(command);
  const rowOf = (flag: Option): Row => [flag.flags, meaningOf(flag)];
  const lists = new Map<string, Row[]>([
    ["Arguments:", command.registeredArguments.map((argument) => [argument.name(), meaningOf(argument)])],
    ["Flags:", flags.filter((flag) => !isGlobalOption(flag)).map(rowOf)],
  ]);
  for (const below of helper.visibleCommands(command)) {
    const heading = below.helpGroup() || "Commands:";
    const term = command.parent ? termOf(below) : below.name();
    lists.set(heading, [...(lists.get(heading) ?? []), [term, helper.subcommandDescription(below)]]);
  }
  if (!isGroup(command)) lists.set("Global flags:", flags.filter(isGlobalOption).map(rowOf));
  return [...lists].filter(([, rows]) => rows.length > 0);
}

function flagNames(command: Command, helper: Help, width: number): string {
  const names = helper.visibleOptions(command).map(({ long }) => long);
  return indented(helper.boxWrap(names.join(", "), width - 2));
}

/** Breaks a usage line before the arguments that do not fit. */
function usageText(usage: string, length: number, width: number): string {
  return length <= width ? usage : usage.replace(/ (?=[<[])/, "\n      ");
}

/** Breaks an example before the flags and arguments that do not fit. */
function exampleText(example: string, width: number): string {
  const lines: string[] = [];
  const parts = `  $ secureflag-licenses ${example}`.split(/ (?=--)/);
  for (const part of parts.flatMap((each) => (each.length <= width ? [each] : each.split(/ (?=\S+$)/)))) {
    const line = lines.at(-1);
    if (line !== undefined && `${line} ${part} \\`.length <= width) lines[lines.length - 1] = `${line} ${part}`;
    else lines.push(line === undefined ? part : `      ${part}`);
  }
  return lines.join(" \\\n");
}

function indented(text: string): string {
  return text.replace(/^/gm, "  ");
}

/** The supported shells. */
export const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;

/** One of the shells. */
export type Shell = (typeof SHELLS)[number];
