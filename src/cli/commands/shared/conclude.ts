import type { Context } from "../../context.ts";
import { CliError, codeOf } from "../../errors.ts";
import type { Concluded, PurchasingTools } from "../../purchasing/tools.ts";
import type { PurchaseCommand } from "../../render/purchase.ts";
import type { View } from "../../render/view.ts";
import { forgetAtExit } from "./forget.ts";
import { summarize } from "./jobSummary.ts";
import { type OutputOptions, printResult } from "./output.ts";

/** What ending a command takes of how its purchase ended. `failure` may also be of what came after the purchase. */
interface Ending {
  readonly result: Pick<Concluded["result"], "purchase" | "dryRun">;
  readonly endedKey: string | null;
  readonly failure: Error | null;
}

/**
 * Ends a command that was about one purchase: prints its result, and forgets a purchase that was begun here and has
 * ended. One whose result could not be printed stays in the journal, so that running again shows it.
 *
 * @param print prints the result; gives whether it was taken
 * @throws CliError `output_not_written`, `result_not_printed`; the purchase's failure, after it was printed
 */
export async function conclude(
  ended: Ending,
  journal: PurchasingTools["journal"],
  context: Context,
  print: () => Promise<boolean>,
): Promise<void> {
  const wasTaken = await print().catch((cause: unknown) => {
    throw notPrinted(ended, cause);
  });
  const { endedKey, failure } = ended;
  if (wasTaken && endedKey !== null) forgetAtExit(context, journal, [endedKey]);
  if (failure) throw failure;
}

/** Ends a command that prints the purchase as it is; one that did not succeed goes into the job's summary. */
export async function concludePurchase(
  name: PurchaseCommand,
  ended: Concluded,
  { client, journal }: Pick<PurchasingTools, "client" | "journal">,
  options: OutputOptions,
  context: Context,
): Promise<void> {
  const { result, failure } = ended;
  if (result.purchase !== null && failure !== null) await summarize(context, options, client.origin, [result.purchase]);
  const render = async (view: View) => (await import("../../render/purchase.ts")).renderBuyResult(result, view, name);
  await conclude(ended, journal, context, () => printResult(context, options, name, result, render));
}

function notPrinted({ result: { purchase, dryRun }, failure }: Ending, cause: unknown): unknown {
  if (codeOf(cause) !== "output_not_written") return cause;
  if (failure) return failure;
  if (purchase === null || dryRun) return cause;
  // Ending as failed without a failure of the command: that was what the command is for.
  const done = purchase.status === "failed" ? "canceled" : "made";
  const message = `The purchase ${purchase.id} was ${done}, but its result could not be printed`;
  const hint = "Running the same command again is safe: it shows the purchase and buys nothing more.";
  return new CliError("result_not_printed", message, { hint, cause });
}
