import type { Context } from "../../context.ts";
import { pay, rehearsePay } from "../../purchasing/pay.ts";
import type { PayOptions } from "../purchases.ts";
import { concludePurchase } from "../shared/conclude.ts";
import { connectToOrganization } from "../shared/connect.ts";
import { purchasingTools } from "../shared/purchasingTools.ts";

/**
 * Tries to pay a declined purchase again and prints it, however it ended.
 *
 * @throws CliError `not_payable` and what else refused it; the failure of the purchase that was printed
 */
export async function run(options: PayOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connectToOrganization(context, options);
  const tools = await purchasingTools(context, options, { client, organizationId });
  await concludePurchase(
    "purchases pay",
    await (options.dryRun ? rehearsePay : pay)(options.purchaseId, tools),
    tools,
    options,
    context,
  );
}
