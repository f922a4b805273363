import type { Command } from "commander";
import { knownMe } from "../../client/missing.ts";
import { concludePurchase, purchasingTools } from "../buying/buying.ts";
import { splitAnswer } from "../buying/engine/follow.ts";
import { assertMayPurchase } from "../buying/engine/guards.ts";
import { cancel, readCancelable, rehearsed } from "../buying/engine/pay.ts";
import { renderPurchase } from "../buying/purchaseView.ts";
import { connectToOrganization } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { viewOf } from "../kit/output.ts";
import { assertConsent, confirmOrCancel } from "../kit/prompt.ts";
import { licenses } from "../kit/words.ts";
import { type PurchaseOptions, purchaseArgument } from "./show.ts";

/** The options of `purchases cancel`. */
export interface CancelOptions extends PurchaseOptions {
  readonly yes: boolean;
  readonly dryRun: boolean;
}

/** Registers `purchases cancel`. */
export function registerCancel(group: Command, context: Context, run: Run<CancelOptions>): void {
  addCommand(group, {
    name: "cancel",
    description: "Cancel a purchase that requires approval",
    examples: ["purchases cancel pur_4f8c21d9", "purchases cancel pur_4f8c21d9 --yes"],
  })
    .addArgument(purchaseArgument())
    .option("--yes", "cancel without a prompt")
    .option("--dry-run", "show what would be canceled without canceling it")
    .action(
      (purchaseId: string, { yes = false, dryRun = false }: { yes?: boolean; dryRun?: boolean }, command: Command) =>
        interruptible(context, () => run({ ...readGlobals(command), purchaseId, yes, dryRun }, context)),
    );
}

/** A shortened ID, as lists show it, or a receipt number: only reading requests accept them. */
const NEEDS_LOOKUP = /^(pur_[0-9a-f]{8,24}|pur_\d+_[0-9a-f]{8,23}|\d+-\d{6,})$/;

/**
 * Cancels a purchase that requires approval and prints it.
 *
 * @throws CliError `invalid_usage` before any request if it cannot prompt and `--yes` is missing; `declined_by_person`;
 *   `not_cancelable` and other refusals
 */
export async function runCancel(options: CancelOptions, context: Context): Promise<void> {
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
