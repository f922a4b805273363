import { type Command, Help } from "commander";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import { shorten } from "../render/shorten.ts";
import { addCommand } from "./shared/command.ts";
import { readGlobals } from "./shared/globals.ts";
import { HELP_TOPICS, isHelpTopic } from "./shared/helpTopics.ts";
import { printResult } from "./shared/output.ts";

const TOPICS = Object.keys(HELP_TOPICS).join(", ");

/** Registers `help [command]` and the topics that are no command. */
export function register(program: Command, context: Context): void {
  program.helpCommand(false);
  addCommand(program, {
    name: "help",
    description: `Show the help of a command, or on ${TOPICS}`,
    examples: ["help buy", "help exit-codes"],
  })
    .argument("[topic...]", `a command, or ${TOPICS}`)
    .action(async (topic: string[], _flags: unknown, command: Command) => {
      const [name = ""] = topic;
      const options = readGlobals(command);
      if (topic.length === 1 && isHelpTopic(name)) {
        const { data, render } = HELP_TOPICS[name];
        await printResult(context, options, "help", data, render);
        return;
      }
      const text = helpOf(find(program, topic)).trimEnd();
      await printResult(context, options, "help", { topic: topic.join(" ") || null, text }, () => text);
    });
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
      `There is on: ${known.join(", ")}, ${TOPICS}.`,
    );
  }, program);
}
