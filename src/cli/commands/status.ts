import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";
import { wholeNumber } from "./shared/values.ts";

/** What `status` was told. */
export interface StatusOptions extends GlobalOptions {
  readonly failIfAvailableBelow: number | null;
}

/** Registers `status`. */
export function register(program: Command, context: Context, run: Run<StatusOptions> = load): void {
  addCommand(program, {
    name: "status",
    group: "Licenses",
    description: "Show the subscription, its licenses and its renewal",
    examples: ["status", "status --json --fail-if-available-below 3"],
  })
    .option("--fail-if-available-below <n>", "exit 7 when fewer licenses are available", wholeNumber(0))
    .action((flags: { failIfAvailableBelow?: number }, command: Command) => {
      const options = { ...readGlobals(command), failIfAvailableBelow: flags.failIfAvailableBelow ?? null };
      return interruptible(context, () => run(options, context));
    });
}

const load: Run<StatusOptions> = async (options, context) => (await import("./run/status.ts")).run(options, context);
