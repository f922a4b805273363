import { type Command, Help } from "commander";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import { toJson } from "../render/json.ts";
import { shorten } from "../render/shorten.ts";
import { addCommand } from "./shared/command.ts";
import { readGlobals } from "./shared/globals.ts";

/** The table of `help exit-codes` (cli.md, Exit codes). */
export const EXIT_CODE_MEANINGS: readonly (readonly [code: number, meaning: string])[] = [
  [0, "done, or nothing needed doing"],
  [1, "a defect or an answer that makes no sense"],
  [2, "wrong usage: arguments, flags, configuration, input file"],
  [3, "the person said no"],
  [4, "not signed in, or the sign-in was refused or has expired"],
  [5, "signed in, but not allowed: role, scope, or a token's spending limit"],
  [6, "the payment was declined or failed"],
  [7, "stopped by a guard: over --max-total, --if-purchased not met, price check failed"],
  [8, "the payment waits for a person's approval; the URL is in the output; `purchases resume` goes on later"],
  [9, "changed meanwhile: the quote went stale or another purchase came first, and it was not safe to go on alone"],
  [10, "backend unreachable, overloaded or outcome unknown; running the same command again is safe"],
  [130, "interrupted"],
];

/** Registers `help [command]` and `help exit-codes`. */
export function register(program: Command, context: Context): void {
  program.helpCommand(false);
  addCommand(program, {
    name: "help",
    description: "Show the help of a command, or `help exit-codes`",
    examples: ["help buy", "help exit-codes"],
  })
    .argument("[topic...]", "a command, or exit-codes")
    .action(async (topic: string[], _flags: unknown, command: Command) => {
      if (topic[0] === "exit-codes") await printExitCodes(context, readGlobals(command).json);
      else await context.io.print(helpOf(find(program, topic)));
    });
}

/** A command's help with its examples, which commander adds only where it prints by itself. */
function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  return text;
}

function find(program: Command, topic: readonly string[]): Command {
  return topic.reduce((command, name) => {
    const found = command.commands.find((candidate) => candidate.name() === name);
    if (found) return found;
    const known = new Help().visibleCommands(command).map((candidate) => candidate.name());
    throw usageError(
      `There is no help on "${shorten(topic.join(" "))}"`,
      `There is on: ${known.join(", ")}, exit-codes.`,
    );
  }, program);
}

async function printExitCodes(context: Context, json: boolean): Promise<void> {
  if (json) {
    await context.io.print(`${toJson(EXIT_CODE_MEANINGS.map(([code, meaning]) => ({ code, meaning })))}\n`);
    return;
  }
  const [{ columns }, { createStyle }] = await Promise.all([
    import("../render/table.ts"),
    import("../render/style.ts"),
  ]);
  const view = { width: 60, style: createStyle({ env: {}, isTerminal: false, color: false }) };
  const rows = EXIT_CODE_MEANINGS.map(([code, meaning]) => [String(code), meaning]);
  await context.io.print(`${columns(["code", "meaning"], rows, [4, 54], view)}\n`);
}
