import { type Command, Help } from "commander";
import type { Context } from "../../context.ts";
import { usageError } from "../../errors.ts";
import { shorten } from "../../render/shorten.ts";
import type { HelpOptions } from "../help.ts";
import { HELP_TOPICS, isHelpTopic } from "../shared/helpTopics.ts";
import { printResult } from "../shared/output.ts";

/**
 * Prints a topic, or the help of a command of the program.
 *
 * @throws CliError `invalid_usage` for what there is no help on
 */
export async function run(options: HelpOptions, context: Context, program: Command): Promise<void> {
  const { topic } = options;
  const [name = ""] = topic;
  if (topic.length === 1 && isHelpTopic(name)) {
    const { data, render } = HELP_TOPICS[name];
    await printResult(context, options, "help", data, render);
    return;
  }
  const text = helpOf(find(program, topic)).trimEnd();
  await printResult(context, options, "help", { topic: topic.join(" ") || null, text }, () => text);
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
      `There is on: ${[...known, ...Object.keys(HELP_TOPICS)].join(", ")}.`,
    );
  }, program);
}
