import type { Command } from "commander";
import { purchasingTools } from "../buying/buying.ts";
import { forgetAtExit } from "../buying/engine/journal.ts";
import { resume } from "../buying/engine/resume.ts";
import { summarize } from "../buying/jobSummary.ts";
import { addWaitOptions, readWait, type WaitFlags, type WaitOptions } from "../buying/options.ts";
import { renderResumeResult } from "../buying/purchaseView.ts";
import { connectToOrganization } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { printResult } from "../kit/output.ts";

/** Registers `purchases resume`. */
export function registerResume(group: Command, context: Context, run: Run<WaitOptions>): void {
  const command = addCommand(group, {
    name: "resume",
    description: "Follow every purchase that was begun to its end; begins none",
    examples: ["purchases resume", "purchases resume --wait 120 --json"],
  });
  addWaitOptions(command).action((flags: WaitFlags, command: Command) =>
    interruptible(context, () => run({ ...readGlobals(command), ...readWait(flags) }, context)),
  );
}

/**
 * Follows what was begun, prints how it ended, and forgets what ended.
 *
 * @throws CliError of the worst end after everything was printed (details.md, 8)
 */
export async function runResume(options: WaitOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const tools = await purchasingTools(context, options, { client, organizationId });
  const ended = await resume(client, tools);
  await summarize(context, options, client.origin, ended.result.resumed);
  const wasTaken = await printResult<"purchases resume">(context, options, ended.result, (view) =>
    renderResumeResult(ended.result, ended.endedKeys, view),
  );
  if (wasTaken) forgetAtExit(context, tools.journal, ended.endedKeys);
  if (ended.failure) throw ended.failure;
}
