import type { Context } from "../../context.ts";
import { isOnGithub, withoutCommands } from "../../github.ts";
import type { Output, OutputName } from "../../outputs.ts";
import { clean } from "../../render/clean.ts";
import { toJson } from "../../render/json.ts";
import type { View } from "../../render/view.ts";
import { wrap } from "../../render/wrap.ts";
import type { GlobalOptions } from "./globals.ts";

const WIDTH = 60;

/** What decides how a command speaks. */
export type OutputOptions = Pick<GlobalOptions, "json" | "color" | "quiet" | "verbose">;

/**
 * Prints a command's result on stdout: the data as one JSON document, or what the renderer makes of them.
 *
 * @param _name the command, whose output has this shape
 * @returns whether it was taken: a reader that went away is no error, but has not seen it
 */
export async function printResult<Name extends OutputName>(
  context: Context,
  options: OutputOptions,
  _name: Name,
  data: Output<Name>,
  render: (view: View) => string | Promise<string>,
): Promise<boolean> {
  if (options.json) return await context.io.print(`${toJson(data)}\n`);
  const text = await render(await viewOf(context, options, "stdout"));
  return await context.io.print(`${isOnGithub(context.env) ? withoutCommands(text) : text}\n`);
}

/** How wide and with what style a stream is written to. */
export async function viewOf(context: Context, options: OutputOptions, stream: "stdout" | "stderr"): Promise<View> {
  const { createStyle } = await import("../../render/style.ts");
  const { io, env } = context;
  const isTerminal = stream === "stdout" ? io.stdoutIsTerminal : io.stderrIsTerminal;
  return {
    width: Math.min(WIDTH, isTerminal ? (io.columns ?? WIDTH) : WIDTH),
    style: createStyle({ env, isTerminal, color: options.color }),
  };
}

/** Tells a person something on stderr. Silent with `--quiet` and with `--json`, whose stderr may only hold the error. */
export function note(context: Context, options: OutputOptions, text: string): void {
  if (!options.quiet && !options.json) context.io.note(`${wrap(clean(text), WIDTH)}\n`);
}
