import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand } from "./shared/command.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";

/** What `help` was told: the words of a command, a topic, or nothing for the program's own help. */
export interface HelpOptions extends GlobalOptions {
  readonly topic: readonly string[];
}

/** The topics that are no command. */
export const HELP_TOPIC_NAMES = ["exit-codes", "environment", "ci"] as const;

/** Registers `help [command]` and the topics that are no command. */
export function register(program: Command, context: Context): void {
  const topics = HELP_TOPIC_NAMES.join(", ");
  addCommand(program, {
    name: "help",
    group: "Help",
    description: `Show the help of a command, or on ${topics}`,
    summary: "Show the help of a command or a topic",
    examples: ["help buy", "help exit-codes"],
  })
    .argument("[topic...]", `a command, or ${topics}`)
    .action(async (topic: string[], _flags: unknown, command: Command) => {
      const { run } = await import("./run/help.ts");
      await run({ ...readGlobals(command), topic }, context, program);
    });
}
