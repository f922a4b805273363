import type { Command } from "commander";

/** What a command's help says of it. */
export interface CommandHelp {
  readonly name: string;
  readonly description: string;
  /** Two lines as they would be typed, without the program's name. */
  readonly examples: readonly [string, string];
}

/** Adds a command with two examples in its help. */
export function addCommand(parent: Command, { name, description, examples }: CommandHelp): Command {
  return parent.command(name).description(description).addHelpText("after", examplesText(examples));
}

/** The examples as help shows them. */
export function examplesText(examples: readonly string[]): string {
  return `\nExamples:\n${examples.map((example) => `  $ secureflag-licenses ${example}`).join("\n")}`;
}
