import { resolve } from "node:path";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { printResult } from "../kit/output.ts";
import { assertConsent, confirmOrCancel } from "../kit/prompt.ts";
import { someText } from "../kit/values.ts";

/** Options of `sandbox reset`. */
export interface ResetOptions extends GlobalOptions {
  readonly data: string | null;
  readonly yes: boolean;
}

/** Registers `sandbox reset`. */
export function registerReset(sandbox: Command, context: Context, run: Run<ResetOptions>): void {
  addCommand(sandbox, {
    name: "reset",
    description: "Delete the data of a stopped sandbox",
    examples: ["sandbox reset", "sandbox reset --data ./sandbox --yes"],
  })
    .option("--data <dir>", "directory of the data", someText)
    .option("--yes", "delete without a prompt")
    .action((flags: { yes?: boolean }, command: Command) => {
      // `--data` may also come before `reset`, as a flag of `sandbox`.
      const data: string | undefined = command.optsWithGlobals().data;
      const options = { ...readGlobals(command), data: data ?? null, yes: flags.yes === true };
      return interruptible(context, () => run(options, context));
    });
}

/**
 * Deletes the data of a stopped sandbox.
 *
 * @throws CliError `invalid_usage` if there is no prompt and no `--yes`, `declined_by_person`; BackendError if the data are
 *   in use or not a sandbox's
 */
export async function runReset(options: ResetOptions, context: Context): Promise<void> {
  const dataDir = dataDirectory(options.data, context);
  assertConsent(context, options, "delete the data");
  const { assertResettable, resetSandbox } = await import("../../backend/sandbox/dataFolder.ts");
  if (!options.yes) {
    await assertResettable(dataDir);
    await confirmOrCancel(context, options, `Delete all data of the sandbox in ${dataDir}?`);
  }
  await resetSandbox(dataDir);
  await printResult<"sandbox reset">(
    context,
    options,
    { dataDir, reset: true },
    () => `Deleted the data of the sandbox in ${dataDir}.`,
  );
}

/**
 * Finds the directory of a sandbox's data: the one given with `--data`, relative to the current one, else the default.
 *
 * @throws CliError `sandbox_data_unusable` if there is no default, or no current directory
 */
export function dataDirectory(given: string | null, context: Pick<Context, "sandboxDirectory">): string {
  const directory = given ?? context.sandboxDirectory;
  if (directory === null) {
    throw unusable("No directory for the sandbox's data: this user has no home directory");
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
