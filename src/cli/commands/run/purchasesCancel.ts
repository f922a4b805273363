import { knownMe } from "../../../client/missing.ts";
import type { Context } from "../../context.ts";
import { assertConsent, confirmOrCancel } from "../../prompts/asking.ts";
import { splitAnswer } from "../../purchasing/follow.ts";
import { cancel, readCancelable, rehearsed } from "../../purchasing/pay.ts";
import { assertMayPurchase } from "../../purchasing/tokenLimit.ts";
import { renderPurchase } from "../../render/purchase.ts";
import { licenses } from "../../render/words.ts";
import type { CancelOptions } from "../purchases.ts";
import { concludePurchase } from "../shared/conclude.ts";
import { connectToOrganization } from "../shared/connect.ts";
import { viewOf } from "../shared/output.ts";
import { purchasingTools } from "../shared/purchasingTools.ts";

/** The beginning of an id, as lists show it, or a receipt number: names that only the reading calls know. */
const NEEDS_LOOKUP = /^(pur_[0-9a-f]{8,23}|\d+-\d{6,})$/;

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
  const isDecided = options.yes && !options.dryRun && !NEEDS_LOOKUP.test(options.purchaseId);
  const found = isDecided ? null : await readCancelable(options.purchaseId, tools);
  if (found?.status === "requires_approval" && !options.yes && !options.dryRun) {
    const { purchase } = splitAnswer(found);
    assertMayPurchase(await tools.busy("Asking who you are", knownMe(client)));
    context.io.note(`${renderPurchase(purchase, await viewOf(context, options, "stderr"))}\n\n`);
    await confirmOrCancel(context, options, `Cancel this purchase of ${licenses(purchase.licenses)}?`);
  }
  const ended =
    found !== null && options.dryRun ? rehearsed(found) : await cancel(found?.id ?? options.purchaseId, tools);
  await concludePurchase("purchases cancel", ended, tools, options, context);
}
