import type { Command, Option } from "commander";
import { createContext } from "../context.ts";
import { examplesOf, isGlobalOption } from "../kit/command.ts";
import { createProgram } from "../main.ts";
import { HELP_TOPICS } from "./help.ts";
import { meaningOf, termOf } from "./page.ts";

const DESCRIPTION =
  "See your subscription, get a quote prorated to the renewal date, confirm, and purchase exactly once, in a terminal " +
  "and in CI. `secureflag-licenses help <command>` shows the flags of a command and two examples.";

/** The directories. */
const FILES: readonly (readonly [path: string, meaning: string])[] = [
  ["~/.config/secureflag-licenses", "settings, the journal of purchases, and sign-ins that are not in the keyring"],
  ["~/Library/Preferences/secureflag-licenses", "the same on macOS"],
  ["~/.local/share/secureflag-licenses/sandbox", "data of the sandbox"],
  ["~/Library/Application Support/secureflag-licenses/sandbox", "the same on macOS"],
];

/** Generates the manual page in roff from the definitions of the commands. The build adds it to the package. */
export async function manPage(): Promise<string> {
  const { "exit-codes": exitCodes, environment, ci } = HELP_TOPICS;
  const context = createContext();
  const program = await createProgram(context, () => {});
  const name = program.name();
  const lines = [
    `.TH ${roff(name.toUpperCase())} 1 "" "${roff(`${name} ${context.version}`)}" "User Commands"`,
    // Do not hyphenate words or stretch spaces: most of the words are for typing.
    ".nh",
    ".ad l",
    ".SH NAME",
    `${roff(name)} \\- ${roff(program.description())}`,
    ".SH SYNOPSIS",
    usage(`${name} <command> [flags]`),
    ".SH DESCRIPTION",
    prose(DESCRIPTION),
    ".SH COMMANDS",
    ...groupsOf(program),
    ".SH GLOBAL FLAGS",
    ...flagsOf(program, isGlobalOption).map(flagItem),
    ".SH EXIT STATUS",
    ...exitCodes.data.map(({ code, meaning }) => item(bold(String(code)), meaning)),
    ".SH ENVIRONMENT",
    ...environment.data.map((variable) => item(bold(variable.name), variable.meaning)),
    ".SH FILES",
    ...FILES.map(([path, meaning]) => item(roff(path), meaning)),
    ".SH CI",
    literal(ci.data.text),
    ".SH EXAMPLES",
    ...visible(program).map(exampleItem),
  ];
  return `${lines.join("\n")}\n`;
}

/** The commands under the headings of the program's help. */
function groupsOf(program: Command): string[] {
  let heading = "";
  return visible(program).flatMap((command) => {
    const isNew = command.helpGroup() !== heading;
    heading = command.helpGroup();
    return [...(isNew ? [`.SS ${roff(heading.replace(/:$/, ""))}`] : []), ...entriesOf(command, "")];
  });
}

/** A command with its own flags and the text after them, then its subcommands. */
function entriesOf(command: Command, above: string): string[] {
  const notes = notesOf(command);
  const own = flagsOf(command, (flag) => !isGlobalOption(flag)).map(flagItem);
  const more = notes === "" ? own : [...own, ".PP", literal(notes)];
  return [
    item(usage(`${above}${termOf(command)}`), command.description()),
    ...(more.length === 0 ? [] : [".RS", ...more, ".RE"]),
    ...visible(command).flatMap((below) => entriesOf(below, `${above}${command.name()} `)),
  ];
}

function flagItem(flag: Option): string {
  return item(usage(flag.flags), meaningOf(flag));
}

function flagsOf(command: Command, isMeant: (flag: Option) => boolean): Option[] {
  return command.createHelp().visibleOptions(command).filter(isMeant);
}

function visible(command: Command): Command[] {
  return command.createHelp().visibleCommands(command);
}

function exampleItem(command: Command): string {
  const lines = examplesOf(command).map((example) => `secureflag-licenses ${example}`);
  return [".TP", roff(command.description()), literal(lines.join("\n"))].join("\n");
}

/** The text after a command's lists. Commander keeps it as listeners, which are not in its types. */
function notesOf(command: Command): string {
  let notes = "";
  const write = (text: string) => {
    notes += text;
  };
  if ("emit" in command && typeof command.emit === "function") command.emit("afterHelp", { command, write });
  return notes.trim();
}

/** Characters that formatters of manual pages interpret, or print as characters that cannot be copied. */
const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\e",
  "-": "\\-",
  "'": "\\(aq",
  "`": "\\(ga",
  '"': "\\(dq",
  "^": "\\(ha",
  "~": "\\(ti",
};

/** Escapes a text, so that hyphens and quotes stay as they are and no line is a request. */
export function roff(text: string): string {
  return text
    .replace(/[\\'"`^~-]/g, (character) => ESCAPES[character] ?? character)
    .replace(/[^\n -~]/gu, (character) => `\\[u${codeOf(character)}]`)
    .replace(/^\./gm, "\\&.");
}

function codeOf(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
}

/** Sets a text in bold. */
export function bold(text: string): string {
  return text === "" ? "" : `\\fB${roff(text)}\\fR`;
}

/** Sets a sentence, with the text between backticks in bold. */
export function prose(text: string): string {
  return text
    .split("`")
    .map((part, index) => (index % 2 === 0 ? roff(part) : bold(part)))
    .join("");
}

/** Sets a usage such as `--from <file>`: literals in bold, placeholders in italics. */
export function usage(text: string): string {
  return text
    .split(/([<[][^>\]]*[>\]])/)
    .map((part, index) => (index % 2 === 0 ? bold(part) : `\\fI${roff(part)}\\fR`))
    .join("");
}

/** Sets a term, already in roff, with its meaning indented below it. */
export function item(term: string, meaning: string): string {
  return `.TP\n${term}\n${prose(meaning)}`;
}

/** Sets lines as they are. */
export function literal(text: string): string {
  return `.nf\n${roff(text)}\n.fi`;
}
