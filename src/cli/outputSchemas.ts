import * as z from "zod";
import { errorOutput, outputs } from "./outputs.ts";

/**
 * The JSON Schemas (draft 2020-12) of everything that the commands print under `--json`, by file name: the words of the
 * command joined by `-`, and `error` for what goes to stderr. Objects are open: later versions may add fields.
 */
export function outputSchemas(): Record<string, unknown> {
  const all = { ...outputs, error: errorOutput };
  return Object.fromEntries(
    Object.entries(all).map(([command, schema]) => [
      `${command.replaceAll(" ", "-")}.json`,
      { title: `secureflag-licenses ${command} --json`, ...z.toJSONSchema(schema, { io: "input" }) },
    ]),
  );
}
