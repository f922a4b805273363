import type { Command } from "commander";
import { knownMe } from "../../client/missing.ts";
import type { Purchase } from "../../contract/billing.ts";
import { payQuestion, renderPayment } from "../buying/approver.ts";
import { concludePurchase, purchasingTools } from "../buying/buying.ts";
import { assertMayPurchase } from "../buying/engine/guards.ts";
import { pay, readPayable, rehearsed } from "../buying/engine/pay.ts";
import type { PurchasingTools } from "../buying/engine/tools.ts";
import { addWaitOptions, buyerName, readWait, type WaitFlags, type WaitOptions } from "../buying/options.ts";
import { missedWords } from "../buying/purchaseView.ts";
import { connectToOrganization } from "../connection/connect.ts";
import { readTotp, totpOption } from "../connection/oneTimeCode.ts";
import type { Context } from "../context.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { note, viewOf } from "../kit/output.ts";
import { assertConsent, confirmOrCancel } from "../kit/prompt.ts";
import { type PurchaseOptions, purchaseArgument } from "./show.ts";

/** The options of `purchases pay`. */
export interface PayOptions extends PurchaseOptions, WaitOptions {
  readonly yes: boolean;
  readonly totp: string | null;
  readonly dryRun: boolean;
}

interface PayFlags extends WaitFlags {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly totp?: string;
}

/** Registers `purchases pay`. */
export function registerPay(group: Command, context: Context, run: Run<PayOptions>): void {
  const command = addCommand(group, {
    name: "pay",
    description: "Pay a declined purchase or a failed renewal, with the same card or another",
    examples: ["purchases pay pur_4f8c21d9", "purchases pay pur_4f8c21d9 --yes --json"],
  }).addArgument(purchaseArgument());
  addWaitOptions(command)
    .option("--yes", "pay without a prompt")
    .option("--dry-run", "show what would be paid without paying it")
    .addOption(totpOption())
    .action((purchaseId: string, flags: PayFlags, command: Command) => {
      const { yes = false, dryRun = false, totp } = flags;
      const options = { ...readGlobals(command), purchaseId, ...readWait(flags), yes, dryRun, totp: readTotp(totp) };
      return interruptible(context, () => run(options, context));
    });
}

/**
 * Pays a declined purchase or a failed renewal after showing what it charges, and prints it, even if payment failed.
 *
 * @throws CliError `invalid_usage` before any request if it cannot prompt and `--yes` is missing; `declined_by_person`;
 *   `not_payable` and other refusals; the failure of the purchase, after it was printed
 */
export async function runPay(options: PayOptions, context: Context): Promise<void> {
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
    const { apiUrl } = client;
    const view = await viewOf(context, options, "stderr");
    const setting = { apiUrl, signedInAs, target: null };
    context.io.note(`${renderPayment(purchase, subscription, setting, view)}\n`);
    await confirmOrCancel(context, options, payQuestion(purchase));
  }
  if (purchase.kind === "renewal" && options.yes && !isPaid) await noteMissed(purchase, options, context, tools);
  const ended = options.dryRun ? rehearsed(purchase) : await pay(purchase, tools);
  await concludePurchase("purchases pay", ended, tools, options, context, {
    wasPaid: isPaid,
    licensesAfter: ended.licensesAfter ?? null,
  });
}

/** Says on stderr which renewals are charged as well, where no prompt shows it. */
async function noteMissed(
  { id }: Pick<Purchase, "id">,
  options: PayOptions,
  context: Context,
  { client, organizationId, busy }: PurchasingTools,
): Promise<void> {
  const { unpaid, taxRate } = await busy("Reading the subscription", client.subscription(organizationId));
  if (unpaid?.purchaseId !== id || unpaid.missed === null) return;
  note(context, options, `Once it is paid, ${missedWords(unpaid.missed, taxRate)}, will be charged.`);
}
