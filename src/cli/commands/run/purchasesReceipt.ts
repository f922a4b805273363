import type { Context } from "../../context.ts";
import type { PurchaseOptions } from "../purchases.ts";
import { connect } from "../shared/connect.ts";
import { printResult } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";

/** Prints the receipt of a purchase. */
export async function run(options: PurchaseOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connect(context, options);
  const reading = organizationId().then((id) => client.receipt(id, options.purchaseId));
  const receipt = await withSpinner(context, options, "Reading the receipt", reading);
  await printResult(context, options, receipt, async (view) => {
    const { renderReceipt } = await import("../../render/receipt.ts");
    return renderReceipt(receipt, view);
  });
}
