import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { printResult } from "../kit/output.ts";

/** Registers `version`. */
export function register(program: Command, context: Context, run: Run<GlobalOptions> = runVersion): void {
  addCommand(program, {
    name: "version",
    description: "Show the version; with --json, also what a bug report needs",
    examples: ["version", "version --json"],
  }).action((_flags: unknown, command: Command) => interruptible(context, () => run(readGlobals(command), context)));
}

/** Prints the version, as `--version` does; as JSON with what it runs on. */
export async function runVersion(options: GlobalOptions, context: Context): Promise<void> {
  const { version, platform, runtime } = context;
  const result = { version, node: runtime.node, platform, arch: runtime.arch };
  await printResult<"version">(context, options, result, () => version);
}
