import type { Context } from "../context.ts";
import { type CliError, usageError } from "../errors.ts";
import { suggestion } from "../kit/failure.ts";
import { type OutputOptions, printJson, printResult } from "../kit/output.ts";
import { shorten } from "../kit/text.ts";
import { outputSchema, SCHEMA_NAMES, schemaId } from "../outputSchemas.ts";

/**
 * Prints the JSON Schema of what a command prints with `--json`, the same document with and without the flag; without a
 * command, the list of all that have one.
 *
 * @param words the words of a command, or `error`
 * @throws CliError `invalid_usage` for anything else
 */
export async function runSchema(words: readonly string[], options: OutputOptions, context: Context): Promise<void> {
  if (words.length === 0) return await printList(options, context);
  const schema = outputSchema(words.join(" "));
  if (schema === null) throw unknown(words);
  await printJson(context, schema);
}

async function printList(options: OutputOptions, context: Context): Promise<void> {
  const list = SCHEMA_NAMES.map((command) => ({ command, id: schemaId(command) }));
  await printResult<"help">(context, options, list, () => SCHEMA_NAMES.join("\n"));
}

function unknown(words: readonly string[]): CliError {
  const name = words.join(" ");
  return usageError(
    `No JSON Schema for "${shorten(name)}"`,
    below(name) ?? nearest(name) ?? "Run `secureflag-licenses help schema` for a list.",
  );
}

/** The commands of a group, which prints nothing itself. */
function below(name: string): string | null {
  const commands = SCHEMA_NAMES.filter((command) => command.startsWith(`${name} `));
  return commands.length > 0 ? `Choose one of ${commands.join(", ")}.` : null;
}

/** Names are compared in one word each, because that is what a suggestion is made of. */
function nearest(name: string): string | null {
  const oneWord = (text: string) => text.replaceAll(" ", "-");
  const known = new Map(SCHEMA_NAMES.map((command) => [oneWord(command), command]));
  const found = suggestion(oneWord(name.toLowerCase()), [...known.keys()]);
  return found?.replace(/[\w-]+/g, (word) => known.get(word) ?? word) ?? null;
}
