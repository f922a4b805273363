import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";

/** Registers `whoami`. */
export function register(program: Command, context: Context, run: Run<GlobalOptions> = load): void {
  addCommand(program, {
    name: "whoami",
    group: "Sign-in",
    description: "Show who is signed in, where, and with what token",
    examples: ["whoami", "whoami --json"],
  }).action((_flags: unknown, command: Command) => interruptible(context, () => run(readGlobals(command), context)));
}

const load: Run<GlobalOptions> = async (options, context) => (await import("./run/whoami.ts")).run(options, context);
