import type { Context } from "../../context.ts";
import { assertConsent, confirmOrCancel } from "../../prompts/asking.ts";
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
  assertConsent(context, options, "delete the data");
  const { assertResettable, resetSandbox } = await import("../../../backend/sandbox/server.ts");
  if (!options.yes) {
    await assertResettable(dataDir);
    await confirmOrCancel(context, options, `Delete all data of the sandbox in ${dataDir}?`);
  }
  await resetSandbox(dataDir);
  await printResult(
    context,
    options,
    "sandbox reset",
    { dataDir, reset: true },
    () => `The sandbox in ${dataDir} is empty.`,
  );
}
