import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";

/** Registers `organizations list`. */
export function register(program: Command, context: Context, run: Run<GlobalOptions> = load): void {
  const group = addCommand(program, {
    name: "organizations",
    group: "Sign-in",
    description: "List the organizations that you belong to",
    examples: ["organizations list", "organizations list --json"],
  });
  addCommand(group, {
    name: "list",
    description: "List the organizations that you belong to",
    examples: ["organizations list", "organizations list --json"],
  }).action((_flags: unknown, command: Command) => interruptible(context, () => run(readGlobals(command), context)));
}

const load: Run<GlobalOptions> = async (options, context) =>
  (await import("./run/organizationsList.ts")).run(options, context);
