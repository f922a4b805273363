import { toDecimalString } from "../../../billing/money.ts";
import type { Context } from "../../context.ts";
import { reportOf } from "../../errors.ts";
import { stepOutputs } from "../../github.ts";
import type { Output } from "../../outputs.ts";
import type { Concluded, PurchasingTools } from "../../purchasing/tools.ts";
import { renderStoppedTopUp, renderTopUpSummary } from "../../render/jobSummary.ts";
import type { TopUpOptions } from "../topUp.ts";
import { addToJobSummary, appendForJob, summarize } from "./jobSummary.ts";

/** How a top-up ended, and with what it was made. */
export interface EndedTopUp extends Concluded {
  readonly topUp: Output<"top-up">;
  readonly tools: Pick<PurchasingTools, "client" | "journal">;
}

/**
 * Tells GitHub Actions, where a step of it runs, what a top-up did: its outputs for later steps, and the job's summary.
 * Failing to is told and is no failure of the command.
 *
 * @throws what the work throws
 */
export async function reportTopUp(
  options: TopUpOptions,
  context: Context,
  work: () => Promise<EndedTopUp>,
): Promise<EndedTopUp> {
  try {
    const ended = await work();
    const { topUp, tools } = ended;
    const delimiter = `ghadelimiter_${context.random.bytes(16).toString("hex")}`;
    await appendForJob(context, options, "GITHUB_OUTPUT", stepOutputs(outputsOf(topUp), delimiter));
    await addToJobSummary(context, options, renderTopUpSummary(topUp));
    if (topUp.purchase !== null && ended.failure !== null)
      await summarize(context, options, tools.client.origin, [topUp.purchase]);
    return ended;
  } catch (error) {
    await addToJobSummary(context, options, renderStoppedTopUp(options.target, reportOf(error)));
    throw error;
  }
}

/** The outputs of the action; empty where nothing was bought. */
function outputsOf({ bought, purchase, licenses, dryRun }: Output<"top-up">): Record<string, string> {
  const made = dryRun ? null : purchase;
  return {
    bought: String(bought),
    purchased: String(licenses.purchased),
    available: String(licenses.available),
    total: made === null ? "" : `${toDecimalString(made.total)} ${made.total.currency}`,
    "purchase-id": made?.id ?? "",
  };
}
