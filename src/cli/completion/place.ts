import type { Command, Option } from "commander";

/** Where on the command line the next word stands. */
export interface Place {
  readonly command: Command;
  /** The arguments of the command that are there already. */
  readonly values: readonly string[];
  /** The flags that are there already, of the command and of those above it. */
  readonly given: readonly Option[];
  /** The flag whose value comes next. */
  readonly waiting: Option | null;
  /** Whether `--` has ended the flags. */
  readonly onlyArguments: boolean;
}

/** Follows the words as commander does, past what it would refuse. */
export function findPlace(program: Command, words: readonly string[]): Place {
  let place: Place = { command: program, values: [], given: [], waiting: null, onlyArguments: false };
  for (const word of words) place = after(place, word);
  return place;
}

/** The flag of a command by its name, `--quiet` or `-q`. */
export function flagOf(command: Command, name: string): Option | undefined {
  return command
    .createHelp()
    .visibleOptions(command)
    .find(({ long, short }) => name === long || name === short);
}

function after(place: Place, word: string): Place {
  const { command, values, given } = place;
  if (place.waiting) return { ...place, waiting: null };
  if (!place.onlyArguments && word === "--") return { ...place, onlyArguments: true };
  if (!place.onlyArguments && word.startsWith("-")) {
    const [name = "", ...value] = word.split("=");
    const flag = flagOf(command, name);
    if (!flag) return place;
    return { ...place, given: [...given, flag], waiting: flag.required && value.length === 0 ? flag : null };
  }
  const below = values.length === 0 ? command.commands.find((candidate) => candidate.name() === word) : undefined;
  return below ? { ...place, command: below } : { ...place, values: [...values, word] };
}
