import { Argument, type Command } from "commander";
import { splitAnswer } from "../buying/engine/follow.ts";
import { renderPurchase } from "../buying/purchaseView.ts";
import { connect } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { printResult } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { trimmedText } from "../kit/values.ts";

/** The options of `purchases show`. */
export interface PurchaseOptions extends GlobalOptions {
  readonly purchaseId: string;
}

/** The argument that names a purchase. */
export function purchaseArgument(): Argument {
  return new Argument("<id>", "ID, its first 8 digits, or receipt number").argParser(purchaseName);
}

/** Restores an omitted `pur_`. */
function purchaseName(text: string): string {
  const name = trimmedText(text);
  return /^[0-9a-f]{8,24}$/.test(name) ? `pur_${name}` : name;
}

/** Registers `purchases show`. */
export function registerShow(group: Command, context: Context, run: Run<PurchaseOptions>): void {
  addCommand(group, {
    name: "show",
    description: "Show one purchase",
    examples: ["purchases show pur_4f8c21d9", "purchases show 4201-000001 --json"],
  })
    .addArgument(purchaseArgument())
    .action((purchaseId: string, _flags: unknown, command: Command) =>
      interruptible(context, () => run({ ...readGlobals(command), purchaseId }, context)),
    );
}

/** Prints one purchase. */
export async function runShow(options: PurchaseOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connect(context, options, "billing");
  const id = await organizationId();
  const reading = client.purchase(id, options.purchaseId);
  const { purchase } = splitAnswer(await withSpinner(context, options, "Reading the purchase", reading));
  // Only the subscription has the deadline of its unpaid renewal.
  const isUnpaidRenewal = purchase.kind === "renewal" && purchase.nextAction !== null;
  const subscription = isUnpaidRenewal && !options.json ? await client.subscription(id) : null;
  await printResult<"purchases show">(context, options, purchase, (view) =>
    renderPurchase(purchase, view, subscription),
  );
}
