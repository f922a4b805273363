import type { Context } from "../../context.ts";
import { resume } from "../../purchasing/resume.ts";
import { connect } from "../shared/connect.ts";
import { forgetAtExit } from "../shared/forget.ts";
import { printResult } from "../shared/output.ts";
import { purchasingTools, type WaitOptions } from "../shared/purchasingTools.ts";
import { withSpinner } from "../shared/spinner.ts";

/**
 * Follows what was begun, prints how it ended, and forgets what ended.
 *
 * @throws CliError of the worst end after everything was printed (details.md, 8)
 */
export async function run(options: WaitOptions, context: Context): Promise<void> {
  const connection = await connect(context, options);
  const { client } = connection;
  const organizationId = await withSpinner(context, options, "Finding the organization", connection.organizationId());
  const tools = await purchasingTools(context, options, { client, organizationId });
  const ended = await resume(client, tools);
  const wasTaken = await printResult(context, options, ended.result, async (view) => {
    const { renderResumeResult } = await import("../../render/purchase.ts");
    return renderResumeResult(ended.result, ended.endedKeys, view);
  });
  if (wasTaken) forgetAtExit(context, tools.journal, ended.endedKeys);
  if (ended.failure) throw ended.failure;
}
