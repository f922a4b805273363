import { Command } from "commander";

/** The headings under which the program's help lists its commands. */
type HelpGroup = "Licenses" | "People" | "Sign-in" | "Try it" | "Help";

/** What a command's help says of it. */
export interface CommandHelp {
  readonly name: string;
  readonly description: string;
  /** What the command above says of it, where that is to be shorter. */
  readonly summary?: string;
  /** Two lines as they would be typed, without the program's name. */
  readonly examples: readonly [string, string];
  /** Where the program's help lists it; left out by a command that is below another. */
  readonly group?: HelpGroup;
}

/** A command that knows its examples. */
export class ExampledCommand extends Command {
  constructor(
    name: string,
    readonly examples: readonly string[],
  ) {
    super(name);
  }
}

/** Adds a command with two examples in its help. */
export function addCommand(parent: Command, help: CommandHelp): Command {
  const { name, description, summary = "", examples, group } = help;
  const command = new ExampledCommand(name, examples).copyInheritedSettings(parent);
  // `help` is a command of the program alone.
  command.description(description).summary(summary).helpCommand(false);
  if (group) command.helpGroup(`${group}:`);
  parent.addCommand(command);
  return command;
}

/** The examples of a command, as they would be typed, without the program's name. */
export function examplesOf(command: Command): readonly string[] {
  return command instanceof ExampledCommand ? command.examples : [];
}
