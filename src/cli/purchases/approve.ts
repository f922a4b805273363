import type { Command } from "commander";
import { knownMe } from "../../client/missing.ts";
import { approveQuestion, renderPayment } from "../buying/approver.ts";
import { concludePurchase, purchasingTools } from "../buying/buying.ts";
import { approve, isApproved, readApprovable } from "../buying/engine/decide.ts";
import { assertMayDecide } from "../buying/engine/guards.ts";
import { rehearsed } from "../buying/engine/pay.ts";
import { addWaitOptions, buyerName, readWait, type WaitFlags, type WaitOptions } from "../buying/options.ts";
import { connectToOrganization } from "../connection/connect.ts";
import { readTotp, totpOption } from "../connection/oneTimeCode.ts";
import type { Context } from "../context.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { viewOf } from "../kit/output.ts";
import { assertConsent, confirmOrCancel } from "../kit/prompt.ts";
import { type PurchaseOptions, purchaseArgument } from "./show.ts";

/** The options of `purchases approve`. */
export interface ApproveOptions extends PurchaseOptions, WaitOptions {
  readonly yes: boolean;
  readonly totp: string | null;
  readonly dryRun: boolean;
}

interface ApproveFlags extends WaitFlags {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly totp?: string;
}

/** Registers `purchases approve`. */
export function registerApprove(group: Command, context: Context, run: Run<ApproveOptions>): void {
  const command = addCommand(group, {
    name: "approve",
    description: "Approve a purchase of another administrator, which charges it",
    examples: ["purchases approve pur_4f8c21d9", "purchases approve pur_4f8c21d9 --yes --json"],
  }).addArgument(purchaseArgument());
  addWaitOptions(command)
    .option("--yes", "approve without a prompt")
    .option("--dry-run", "show what would be approved without approving it")
    .addOption(totpOption())
    .action((purchaseId: string, flags: ApproveFlags, command: Command) => {
      const { yes = false, dryRun = false, totp } = flags;
      const options = { ...readGlobals(command), purchaseId, ...readWait(flags), yes, dryRun, totp: readTotp(totp) };
      return interruptible(context, () => run(options, context));
    });
}

/**
 * Approves a purchase of another administrator after showing what it charges and who bought it, and prints it, even if its
 * payment failed.
 *
 * @throws CliError `invalid_usage` before any request if it cannot prompt and `--yes` is missing; `declined_by_person`;
 *   `not_approvable`, `forbidden` and other refusals; the failure of the purchase, after it was printed
 */
export async function runApprove(options: ApproveOptions, context: Context): Promise<void> {
  assertConsent(context, options, "approve the purchase");
  const { connection, client, organizationId } = await connectToOrganization(context, options, "billing");
  const tools = await purchasingTools(context, options, { client, organizationId });
  const purchase = await readApprovable(options.purchaseId, tools);
  if (!options.yes && !options.dryRun && !isApproved(purchase)) {
    const asking = Promise.all([client.subscription(organizationId), knownMe(client)]);
    const [subscription, me] = await tools.busy("Reading the payment method", asking);
    assertMayDecide(me);
    const setting = { apiUrl: client.apiUrl, signedInAs: buyerName(me, connection), target: null };
    const view = await viewOf(context, options, "stderr");
    context.io.note(`${renderPayment(purchase, subscription, setting, view)}\n`);
    await confirmOrCancel(context, options, approveQuestion(purchase));
  }
  const ended = options.dryRun ? rehearsed(purchase) : await approve(purchase, tools);
  await concludePurchase("purchases approve", ended, tools, options, context, {
    licensesAfter: ended.licensesAfter ?? null,
  });
}
