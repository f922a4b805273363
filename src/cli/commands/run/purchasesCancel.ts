import type { Context } from "../../context.ts";
import { CliError, usageError } from "../../errors.ts";
import { openPrompter, promptsAllowed } from "../../prompts/asking.ts";
import { splitAnswer } from "../../purchasing/follow.ts";
import { cancel, rehearseCancel } from "../../purchasing/pay.ts";
import type { PurchasingTools } from "../../purchasing/tools.ts";
import { renderPurchase } from "../../render/purchase.ts";
import { licenses } from "../../render/words.ts";
import type { CancelOptions } from "../purchases.ts";
import { concludePurchase } from "../shared/conclude.ts";
import { connectToOrganization } from "../shared/connect.ts";
import { viewOf } from "../shared/output.ts";
import { purchasingTools } from "../shared/purchasingTools.ts";
import { withSpinner } from "../shared/spinner.ts";

/**
 * Cancels a purchase that waits for approval and prints it.
 *
 * @throws CliError `invalid_usage` before any request where nobody can be asked and `--yes` is missing;
 *   `declined_by_person`; `not_cancelable` and what else refused it
 */
export async function run(options: CancelOptions, context: Context): Promise<void> {
  if (!options.yes && !options.dryRun && !promptsAllowed(context, options)) {
    throw usageError("Nobody can be asked to confirm the cancellation", "Say --yes to cancel without asking.");
  }
  const { client, organizationId } = await connectToOrganization(context, options);
  const waiting = { ...options, waitSeconds: 0, open: false };
  const tools = await purchasingTools(context, waiting, { client, organizationId });
  if (!options.yes && !options.dryRun) await confirm(options, tools, context);
  await concludePurchase(
    "purchases cancel",
    await (options.dryRun ? rehearseCancel : cancel)(options.purchaseId, tools),
    tools,
    options,
    context,
  );
}

/** Shows the purchase and asks; the default answer is No. */
async function confirm(
  options: CancelOptions,
  { client, organizationId }: PurchasingTools,
  context: Context,
): Promise<void> {
  const reading = client.purchase(organizationId, options.purchaseId);
  const { purchase } = splitAnswer(await withSpinner(context, options, "Reading the purchase", reading));
  context.io.note(`${renderPurchase(purchase, await viewOf(context, options, "stderr"))}\n\n`);
  const prompter = await openPrompter(context, options);
  if (!(await prompter.confirm(`Cancel this purchase of ${licenses(purchase.licenses)}?`))) {
    throw new CliError("declined_by_person", "Nothing was canceled");
  }
}
