import type { Command } from "commander";
import type { Purchase } from "../../contract/billing.ts";
import { besideResult, purchasingTools } from "../buying/buying.ts";
import { forgetAtExit } from "../buying/engine/journal.ts";
import { resume } from "../buying/engine/resume.ts";
import { summarize } from "../buying/jobSummary.ts";
import { addWaitOptions, readWait, type WaitFlags, type WaitOptions } from "../buying/options.ts";
import { type ResultContext, renderResumeResult } from "../buying/purchaseView.ts";
import { connectToOrganization } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { printResult } from "../kit/output.ts";

/** Registers `purchases resume`. */
export function registerResume(group: Command, context: Context, run: Run<WaitOptions>): void {
  const command = addCommand(group, {
    name: "resume",
    description: "Follow every purchase that was started, without starting any",
    examples: ["purchases resume", "purchases resume --wait 120 --json"],
  });
  addWaitOptions(command).action((flags: WaitFlags, command: Command) =>
    interruptible(context, () => run({ ...readGlobals(command), ...readWait(flags) }, context)),
  );
}

/**
 * Follows what was started, prints how it ended, and removes the journal entries of what ended.
 *
 * @throws CliError the worst failure, after everything was printed
 */
export async function runResume(options: WaitOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const tools = await purchasingTools(context, options, { client, organizationId });
  const ended = await resume(client, tools);
  await summarize(context, options, client.origin, ended.result.resumed);
  const { failure, failed } = ended;
  const about = (purchase: Purchase): ResultContext => ({
    licensesAfter: ended.licensesAfter.get(purchase.id) ?? null,
    hasError: failed?.id === purchase.id,
    isPageOnScreen: tools.isPageOnScreen(purchase),
  });
  const wasTaken = await printResult<"purchases resume">(context, options, ended.result, (view) =>
    renderResumeResult(ended.result, { voidKeys: ended.endedKeys, about }, view),
  );
  if (wasTaken) forgetAtExit(context, tools.journal, ended.endedKeys);
  if (failure) throw besideResult(failure, failed, options, context);
}
