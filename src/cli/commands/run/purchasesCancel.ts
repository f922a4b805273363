import type { Context } from "../../context.ts";
import { assertConsent, confirmOrCancel } from "../../prompts/asking.ts";
import { splitAnswer } from "../../purchasing/follow.ts";
import { cancel, readCancelable, rehearsed } from "../../purchasing/pay.ts";
import { renderPurchase } from "../../render/purchase.ts";
import { licenses } from "../../render/words.ts";
import type { CancelOptions } from "../purchases.ts";
import { concludePurchase } from "../shared/conclude.ts";
import { connectToOrganization } from "../shared/connect.ts";
import { viewOf } from "../shared/output.ts";
import { purchasingTools } from "../shared/purchasingTools.ts";

/**
 * Cancels a purchase that waits for approval and prints it.
 *
 * @throws CliError `invalid_usage` before any request where it cannot ask and `--yes` is missing; `declined_by_person`;
 *   `not_cancelable` and what else refused it
 */
export async function run(options: CancelOptions, context: Context): Promise<void> {
  assertConsent(context, options, "cancel the purchase");
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const waiting = { ...options, waitSeconds: 0, open: false };
  const tools = await purchasingTools(context, waiting, { client, organizationId });
  const found = options.yes && !options.dryRun ? null : await readCancelable(options.purchaseId, tools);
  if (found?.status === "requires_approval" && !options.dryRun) {
    const { purchase } = splitAnswer(found);
    context.io.note(`${renderPurchase(purchase, await viewOf(context, options, "stderr"))}\n\n`);
    await confirmOrCancel(context, options, `Cancel this purchase of ${licenses(purchase.licenses)}?`);
  }
  const ended = found !== null && options.dryRun ? rehearsed(found) : await cancel(options.purchaseId, tools);
  await concludePurchase("purchases cancel", ended, tools, options, context);
}
