import { SCRIPTS } from "../../completion/scripts.ts";
import type { Context } from "../../context.ts";
import type { CompletionOptions } from "../completion.ts";
import { printResult } from "../shared/output.ts";

/** Prints the script that makes a shell complete the command line. */
export async function run(options: CompletionOptions, context: Context): Promise<void> {
  const { shell } = options;
  const script = SCRIPTS[shell];
  await printResult(context, options, "completion", { shell, script }, () => script.trimEnd());
}
