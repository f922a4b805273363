import type { Context } from "../../context.ts";
import { resume } from "../../purchasing/resume.ts";
import { connectToOrganization } from "../shared/connect.ts";
import { forgetAtExit } from "../shared/forget.ts";
import { summarize } from "../shared/jobSummary.ts";
import { printResult } from "../shared/output.ts";
import { purchasingTools } from "../shared/purchasingTools.ts";
import type { WaitOptions } from "../shared/waitOptions.ts";

/**
 * Follows what was begun, prints how it ended, and forgets what ended.
 *
 * @throws CliError of the worst end after everything was printed (details.md, 8)
 */
export async function run(options: WaitOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const tools = await purchasingTools(context, options, { client, organizationId });
  const ended = await resume(client, tools);
  await summarize(context, options, client.origin, ended.result.resumed);
  const wasTaken = await printResult(context, options, "purchases resume", ended.result, async (view) => {
    const { renderResumeResult } = await import("../../render/purchase.ts");
    return renderResumeResult(ended.result, ended.endedKeys, view);
  });
  if (wasTaken) forgetAtExit(context, tools.journal, ended.endedKeys);
  if (ended.failure) throw ended.failure;
}
