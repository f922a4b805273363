import { resolve } from "node:path";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";

/**
 * Finds the directory of a sandbox's data: the one given with `--data`, relative to the current one, else the default.
 *
 * @throws CliError `sandbox_data_unusable` where there is no default, or no current directory
 */
export function dataDirectory(given: string | null, context: Pick<Context, "sandboxDirectory">): string {
  const directory = given ?? context.sandboxDirectory;
  if (directory === null) {
    throw unusable("Cannot find a place for the sandbox's data: this user has no home directory");
  }
  try {
    return resolve(directory);
  } catch (cause) {
    throw unusable("Cannot resolve --data: the current directory does not exist", cause);
  }
}

function unusable(message: string, cause?: unknown): CliError {
  return new CliError("sandbox_data_unusable", message, { hint: "Pass --data with an absolute path.", cause });
}
