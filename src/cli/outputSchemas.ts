import * as z from "zod";
import { errorOutput, outputs } from "./outputs.ts";

/** The address under which the schemas are identified; nothing has to be there. */
const SCHEMAS_URL = "https://github.com/secureflag/secureflag-licenses/schemas/";

/** Everything with a schema: the outputs of the commands on stdout, and `error` on stderr. */
const documents: Readonly<Record<string, z.ZodType>> = { ...outputs, error: errorOutput };

/** The names of the schemas: the words of each command, and `error`. */
export const SCHEMA_NAMES: readonly string[] = Object.keys(documents);

/** A JSON Schema, with the fields that each one has here. */
export interface JsonSchema {
  readonly $schema: string;
  readonly $id: string;
  readonly title: string;
  readonly [keyword: string]: unknown;
}

/**
 * Generates the JSON Schema (draft 2020-12) of what a command prints with `--json`. Objects are open: later versions may
 * add fields.
 *
 * @param name one of SCHEMA_NAMES
 * @returns `null` for any other name
 */
export function outputSchema(name: string): JsonSchema | null {
  const schema = Object.hasOwn(documents, name) ? documents[name] : undefined;
  if (schema === undefined) return null;
  const { $schema = "", ...keywords } = z.toJSONSchema(schema, { io: "input" });
  return { $schema, $id: schemaId(name), title: `secureflag-licenses ${name} --json`, ...keywords };
}

/** The identifier of a schema, which ends with its file name. */
export function schemaId(name: string): string {
  return `${SCHEMAS_URL}${fileOf(name)}`;
}

function fileOf(name: string): string {
  return `${name.replaceAll(" ", "-")}.json`;
}

/** Generates all JSON Schemas by file name: the words of the command joined by `-`, and `error`. */
export function outputSchemas(): Record<string, JsonSchema | null> {
  return Object.fromEntries(SCHEMA_NAMES.map((name) => [fileOf(name), outputSchema(name)]));
}
