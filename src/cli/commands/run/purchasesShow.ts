import type { Context } from "../../context.ts";
import { splitAnswer } from "../../purchasing/follow.ts";
import type { PurchaseOptions } from "../purchases.ts";
import { connect } from "../shared/connect.ts";
import { printResult } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";

/** Prints one purchase. */
export async function run(options: PurchaseOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connect(context, options, "billing");
  const id = await organizationId();
  const reading = client.purchase(id, options.purchaseId);
  const { purchase } = splitAnswer(await withSpinner(context, options, "Reading the purchase", reading));
  // Only the subscription has the deadline of its unpaid renewal as a date.
  const isUnpaidRenewal = purchase.kind === "renewal" && purchase.nextAction !== null;
  const subscription = isUnpaidRenewal && !options.json ? await client.subscription(id) : null;
  await printResult(context, options, "purchases show", purchase, async (view) => {
    const { renderPurchase } = await import("../../render/purchase.ts");
    return renderPurchase(purchase, view, subscription);
  });
}
