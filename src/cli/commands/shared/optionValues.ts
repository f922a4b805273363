import type { Command, Option } from "commander";
import { usageError } from "../../errors.ts";

/**
 * Makes sure that no flag stands where the value of another belongs: `--max-total --no-input` has lost its amount, and
 * would take away a flag in silence. A value that begins so is written with `=`, `--note=--draft`.
 *
 * @throws CliError `invalid_usage`, which names the flag without a value
 */
export function assertOptionValues(program: Command, argv: readonly string[]): void {
  let command = program;
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? "";
    if (word === "--") return;
    const option = flagNamed(word, command);
    if (option === undefined) {
      command = command.commands.find((below) => below.name() === word) ?? command;
    } else if (option.required) {
      at += 1;
      const value = argv[at];
      if (value === undefined || !isFlag(value, command)) continue;
      const [name = ""] = /<.*>/.exec(option.flags) ?? [];
      throw usageError(
        `${word} needs its ${name}, and \`${value}\` is a flag`,
        `Write a value that begins with a dash as ${option.long ?? word}=<value>.`,
      );
    }
  }
}

function flagNamed(word: string, command: Command): Option | undefined {
  return command.options.find(({ short, long }) => word === long || word === short);
}

function isFlag(value: string, command: Command): boolean {
  return value.startsWith("--") || flagNamed(value, command) !== undefined;
}
