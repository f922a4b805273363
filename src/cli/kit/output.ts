import { Chalk, type ChalkInstance } from "chalk";
import type { Context } from "../context.ts";
import { CliError, codeOf } from "../errors.ts";
import { isOnGithub, withoutCommands } from "../io.ts";
import type { Output, OutputName } from "../outputs.ts";
import { toAscii } from "./ascii.ts";
import { type ColorChoice, colorLevel, label } from "./color.ts";
import type { GlobalOptions } from "./command.ts";
import { isPlain } from "./plain.ts";
import { clean, MAX_TEXT } from "./text.ts";
import { terminalColumns, textWidth } from "./width.ts";
import { wrap } from "./wrap.ts";

/** A note may hold two texts of a backend and our own words. */
const MAX_NOTE = 3 * MAX_TEXT;

/** What decides how a command speaks. */
export type OutputOptions = Pick<GlobalOptions, "json" | "color" | "quiet" | "verbose"> & {
  /** Whether the renderer gives CSV, which a program reads. */
  readonly csv?: boolean;
};

/**
 * Prints a command's result on stdout: the data as one JSON document, or what the renderer makes of them. Where the
 * renderer fails, the data are printed as JSON all the same: what was done must be seen, and the exit code stays.
 *
 * @typeParam Name the command, whose output has this shape
 * @returns whether it was taken: a reader that went away is no error, but has not seen it
 */
export async function printResult<Name extends OutputName>(
  context: Context,
  options: OutputOptions,
  data: Output<Name>,
  render: (view: View) => string | Promise<string>,
): Promise<boolean> {
  if (options.json) return await printJson(context, data);
  const text = await rendered(context, options, data, render);
  return await context.io.print(`${isOnGithub(context.env) ? withoutCommands(text) : text}\n`);
}

/**
 * Prints one JSON document on stdout, laid out as `indentOf` says.
 *
 * @returns whether it was taken, as `printResult`
 */
export async function printJson({ io }: Pick<Context, "io">, data: unknown): Promise<boolean> {
  return await io.print(`${toJson(data, indentOf(io.stdoutIsTerminal))}\n`);
}

/** How far a JSON document is indented: by two spaces on a terminal, where a person reads it; elsewhere it is one line. */
export function indentOf(isTerminal: boolean): number {
  return isTerminal ? 2 : 0;
}

async function rendered(
  context: Context,
  options: OutputOptions,
  data: unknown,
  render: (view: View) => string | Promise<string>,
): Promise<string> {
  try {
    const view = await viewOf(context, options, "stdout");
    const text = await render(view);
    return options.csv ? text : (view.inCharset?.(text) ?? text);
  } catch (error) {
    if (options.csv) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    warn(context, options, `Failed to format the result as text (${reason}). It is printed as JSON.`);
    return toJson(data, indentOf(context.io.stdoutIsTerminal));
  }
}

/**
 * Waits for the result of a change to be printed. The change stays done even if that fails.
 *
 * @param done what was done, a sentence without its end
 * @throws CliError that says so with the printing's code
 */
export async function awaitPrinting<Printed>(printing: Promise<Printed>, done: string, hint: string): Promise<Printed> {
  try {
    return await printing;
  } catch (cause) {
    const code = codeOf(cause);
    if (code !== "output_not_written" && code !== "result_not_printed") throw cause;
    throw new CliError(code, `${done}, but the result could not be printed`, { hint, cause });
  }
}

/** How wide and with what style a stream is written to. */
export async function viewOf(context: Context, options: OutputOptions, stream: "stdout" | "stderr"): Promise<View> {
  const { io, env } = context;
  const isTerminal = stream === "stdout" ? io.stdoutIsTerminal : io.stderrIsTerminal;
  return {
    width: textWidth(context, stream),
    ...(isTerminal && { columns: terminalColumns(context) }),
    style: createStyle({ env, isTerminal, color: options.color }),
    ...(isTerminal && io.isAscii && { inCharset: toAscii }),
    ...(isPlain(env) && { isPlain: true as const }),
  };
}

/** Warns on stderr of something to act on: labeled, or as an annotation of GitHub Actions. Silent where `note` is. */
export function warn(context: Context, options: OutputOptions, text: string): void {
  if (options.quiet || options.json) return;
  const { io, env } = context;
  const cleaned = clean(text, { longest: MAX_NOTE });
  if (io.workflowCommand("warning", cleaned)) return;
  const prefix = label("Warning", { env, isTerminal: io.stderrIsTerminal, color: options.color });
  io.note(`${wrap(`${prefix} ${cleaned}`, textWidth(context, "stderr"))}\n`);
}

/** Tells a person something on stderr. Silent with `--quiet` and with `--json`, whose stderr may only hold the error. */
export function note(context: Context, options: OutputOptions, text: string): void {
  if (options.quiet || options.json) return;
  context.io.note(`${wrap(clean(text, { longest: MAX_NOTE }), textWidth(context, "stderr"))}\n`);
}

/** What a renderer knows of where its text goes. */
export interface View {
  /** The width of text in columns, at most 100; infinite off a terminal, where nothing is wrapped or cut. */
  readonly width: number;
  /** The width of the whole terminal, which a list may use; the width of text if left out. */
  readonly columns?: number;
  readonly style: Style;
  /** Writes a text in the characters that a terminal shows; left out where it shows all. */
  readonly inCharset?: (text: string) => string;
  /** Whether words are shown instead of bars; left out where bars are. */
  readonly isPlain?: true;
}

/**
 * Serializes one JSON document, on one line unless it is indented. What a terminal would act on is escaped as `\uXXXX`, and
 * so is what GitHub Actions would take for a command in the middle of a line.
 */
export function toJson(data: unknown, indent = 0): string {
  return JSON.stringify(data, null, indent).replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|(?<=##)\[/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** How texts are set apart. With level 0 every function returns its text as it is. */
export type Style = Pick<ChalkInstance, "bold" | "dim" | "green" | "yellow" | "red" | "cyan">;

/** The style of a stream. */
export function createStyle(choice: ColorChoice): Style {
  return new Chalk({ level: colorLevel(choice) });
}
