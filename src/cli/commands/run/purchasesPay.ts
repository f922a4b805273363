import { knownMe } from "../../../client/missing.ts";
import type { Context } from "../../context.ts";
import { assertConsent, confirmOrCancel } from "../../prompts/asking.ts";
import { pay, readPayable, rehearsed } from "../../purchasing/pay.ts";
import { assertMayPurchase } from "../../purchasing/tokenLimit.ts";
import { payQuestion, renderPayment } from "../../render/confirmation.ts";
import type { PayOptions } from "../purchases.ts";
import { buyerName } from "../shared/buyer.ts";
import { concludePurchase } from "../shared/conclude.ts";
import { connectToOrganization } from "../shared/connect.ts";
import { viewOf } from "../shared/output.ts";
import { purchasingTools } from "../shared/purchasingTools.ts";

/**
 * Pays a declined purchase or a failed renewal after showing what it charges, and prints it, however it ended.
 *
 * @throws CliError `invalid_usage` before any request where it cannot ask and `--yes` is missing; `declined_by_person`;
 *   `not_payable` and what else refused it; the failure of the purchase that was printed
 */
export async function run(options: PayOptions, context: Context): Promise<void> {
  assertConsent(context, options, "pay");
  const { connection, client, organizationId } = await connectToOrganization(context, options, "billing");
  const tools = await purchasingTools(context, options, { client, organizationId });
  const purchase = await readPayable(options.purchaseId, tools);
  const isPaid = purchase.status === "succeeded";
  if (!options.yes && !options.dryRun && !isPaid) {
    const asking = Promise.all([client.subscription(organizationId), knownMe(client)]);
    const [subscription, me] = await tools.busy("Reading the payment method", asking);
    assertMayPurchase(me);
    const signedInAs = buyerName(me, connection);
    const { apiUrl, isLoopback: isSandbox } = client;
    const view = await viewOf(context, options, "stderr");
    const setting = { apiUrl, isSandbox, signedInAs, target: null };
    context.io.note(`${renderPayment(purchase, subscription, setting, view)}\n`);
    await confirmOrCancel(context, options, payQuestion(purchase));
  }
  const ended = options.dryRun ? rehearsed(purchase) : await pay(purchase, tools);
  await concludePurchase("purchases pay", ended, tools, options, context);
}
