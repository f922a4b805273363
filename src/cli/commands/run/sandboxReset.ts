import type { Context } from "../../context.ts";
import { CliError, usageError } from "../../errors.ts";
import { openPrompter, promptsAllowed } from "../../prompts/asking.ts";
import type { ResetOptions } from "../sandbox.ts";
import { dataDirectory } from "../shared/dataDirectory.ts";
import { printResult } from "../shared/output.ts";

/**
 * Empties a stopped sandbox's data.
 *
 * @throws CliError `invalid_usage` where nobody can be asked and `--yes` is missing, `declined_by_person`;
 *   SandboxError where the data are in use or not a sandbox's
 */
export async function run(options: ResetOptions, context: Context): Promise<void> {
  const dataDir = dataDirectory(options.data, context);
  if (!options.yes) {
    if (!promptsAllowed(context, options)) {
      throw usageError("Nobody can be asked to confirm the reset", "Say --yes to empty the data without asking.");
    }
    const question = `Remove everything that the sandbox keeps in ${dataDir}?`;
    if (!(await (await openPrompter(context, options)).confirm(question))) {
      throw new CliError("declined_by_person", "Nothing was removed");
    }
  }
  const { resetSandbox } = await import("../../../backend/sandbox/server.ts");
  await resetSandbox(dataDir);
  await printResult(
    context,
    options,
    "sandbox reset",
    { dataDir, reset: true },
    () => `The sandbox in ${dataDir} is empty.`,
  );
}
