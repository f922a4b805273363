import type { Command } from "commander";
import { knownMe } from "../../client/missing.ts";
import { concludePurchase, purchasingTools } from "../buying/buying.ts";
import { readRejectable, reject } from "../buying/engine/decide.ts";
import { awaitsAdministrator } from "../buying/engine/failureWords.ts";
import { splitAnswer } from "../buying/engine/follow.ts";
import { assertMayDecide } from "../buying/engine/guards.ts";
import { rehearsed } from "../buying/engine/pay.ts";
import { renderPurchase } from "../buying/purchaseView.ts";
import { connectToOrganization } from "../connection/connect.ts";
import { readTotp, totpOption } from "../connection/oneTimeCode.ts";
import type { Context } from "../context.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { viewOf } from "../kit/output.ts";
import { assertConsent, confirmOrCancel } from "../kit/prompt.ts";
import { shortText } from "../kit/values.ts";
import { licenses } from "../kit/words.ts";
import { type PurchaseOptions, purchaseArgument } from "./show.ts";

/** The options of `purchases reject`. */
export interface RejectOptions extends PurchaseOptions {
  readonly reason: string;
  readonly yes: boolean;
  readonly totp: string | null;
  readonly dryRun: boolean;
}

interface RejectFlags {
  readonly reason: string;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly totp?: string;
}

/** Registers `purchases reject`. */
export function registerReject(group: Command, context: Context, run: Run<RejectOptions>): void {
  addCommand(group, {
    name: "reject",
    description: "Reject a purchase of another administrator; nothing is charged",
    examples: [
      "purchases reject pur_4f8c21d9 --reason duplicate",
      "purchases reject pur_4f8c21d9 --reason duplicate --yes",
    ],
  })
    .addArgument(purchaseArgument())
    .requiredOption("--reason <text>", "reason, which the buyer sees", shortText(500))
    .option("--yes", "reject without a prompt")
    .option("--dry-run", "show what would be rejected without rejecting it")
    .addOption(totpOption())
    .action((purchaseId: string, flags: RejectFlags, command: Command) => {
      const { reason, yes = false, dryRun = false, totp } = flags;
      const options = { ...readGlobals(command), purchaseId, reason, yes, dryRun, totp: readTotp(totp) };
      return interruptible(context, () => run(options, context));
    });
}

/**
 * Rejects a purchase that waits for another administrator and prints it.
 *
 * @throws CliError `invalid_usage` before any request if it cannot prompt and `--yes` is missing; `declined_by_person`;
 *   `not_approvable`, `forbidden` and other refusals
 */
export async function runReject(options: RejectOptions, context: Context): Promise<void> {
  assertConsent(context, options, "reject the purchase");
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const waiting = { ...options, waitSeconds: 0, open: false };
  const tools = await purchasingTools(context, waiting, { client, organizationId });
  const found = await readRejectable(options.purchaseId, tools);
  if (awaitsAdministrator(found) && !options.yes && !options.dryRun) {
    const { purchase } = splitAnswer(found);
    assertMayDecide(await tools.busy("Asking who you are", knownMe(client)));
    context.io.note(`${renderPurchase(purchase, await viewOf(context, options, "stderr"))}\n\n`);
    await confirmOrCancel(context, options, `Reject this purchase of ${licenses(purchase.licenses)}?`);
  }
  const ended = options.dryRun ? rehearsed(found) : await reject(found.id, options.reason, tools);
  await concludePurchase("purchases reject", ended, tools, options, context);
}
