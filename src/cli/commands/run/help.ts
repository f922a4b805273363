import type { Command } from "commander";
import type { Context } from "../../context.ts";
import { usageError } from "../../errors.ts";
import { colorLevel } from "../../render/color.ts";
import { shorten } from "../../render/shorten.ts";
import { HELP_TOPIC_NAMES, type HelpOptions } from "../help.ts";
import { helpWidth } from "../shared/helpPage.ts";
import { HELP_TOPICS, isHelpTopic } from "../shared/helpTopics.ts";
import { printResult } from "../shared/output.ts";
import { suggestion } from "../shared/usage.ts";

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
    const width = helpWidth(context.io.columns);
    await printResult(context, options, "help", data, (view) => render({ ...view, width }));
    return;
  }
  const text = helpOf(find(program, topic), hasColors(options, context)).trimEnd();
  await printResult(context, options, "help", { topic: topic.join(" ") || null, text }, () => text);
}

/** A command's help with its examples, which commander adds only where it prints by itself. */
function helpOf(command: Command, hasColors: boolean): string {
  let text = "";
  command.configureOutput({ writeOut: (part) => (text += part), getOutHasColors: () => hasColors });
  command.outputHelp();
  return text;
}

function hasColors({ json, color }: HelpOptions, { io, env }: Context): boolean {
  return !json && colorLevel({ env, isTerminal: io.stdoutIsTerminal, color }) > 0;
}

function find(program: Command, topic: readonly string[]): Command {
  return topic.reduce((command, name) => {
    const found = command.commands.find((candidate) => candidate.name() === name);
    if (found) return found;
    const below = command.createHelp().visibleCommands(command);
    const known = [...below.map((each) => each.name()), ...(command === program ? HELP_TOPIC_NAMES : [])];
    throw usageError(
      `There is no help on "${shorten(topic.join(" "))}"`,
      suggestion(name, known) ?? otherHelp(command === program ? [] : known),
    );
  }, program);
}

function otherHelp(topics: readonly string[]): string {
  return topics.length > 0
    ? `There is on: ${topics.join(", ")}.`
    : "Run `secureflag-licenses help` to see what there is.";
}
