import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";

/** Registers `logout`. */
export function register(program: Command, context: Context, run: Run<GlobalOptions> = load): void {
  addCommand(program, {
    name: "logout",
    group: "Sign-in",
    description: "Revoke and forget the stored sign-in",
    examples: ["logout", "logout --profile work"],
  }).action((_flags: unknown, command: Command) => interruptible(context, () => run(readGlobals(command), context)));
}

const load: Run<GlobalOptions> = async (options, context) => (await import("./run/logout.ts")).run(options, context);
