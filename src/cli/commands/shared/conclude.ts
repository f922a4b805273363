import type { Context } from "../../context.ts";
import type { Concluded, PurchasingTools } from "../../purchasing/tools.ts";
import { forgetAtExit } from "./forget.ts";
import { summarize } from "./jobSummary.ts";
import { type OutputOptions, printResult } from "./output.ts";

/**
 * Prints the purchase that a command ended with, and forgets one that was begun here and has ended.
 *
 * @throws CliError `output_not_written`; the purchase's failure, after it was printed
 */
export async function conclude(
  { result, endedKey, failure }: Concluded,
  { client, journal }: Pick<PurchasingTools, "client" | "journal">,
  options: OutputOptions,
  context: Context,
): Promise<void> {
  if (result.purchase !== null && failure !== null) await summarize(context, options, client.origin, [result.purchase]);
  const wasTaken = await printResult(context, options, result, async (view) => {
    const { renderBuyResult } = await import("../../render/purchase.ts");
    return renderBuyResult(result, view);
  });
  if (wasTaken && endedKey !== null) forgetAtExit(context, journal, [endedKey]);
  if (failure) throw failure;
}
