import type { Command } from "commander";
import type { StoredPaymentMethod } from "../../contract/billing.ts";
import { connectToOrganization } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { addressText, trustedPage } from "../kit/links.ts";
import { note, printResult, type View, warn } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { fields } from "../kit/table.ts";
import { instant, paymentMethod } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";

/** Options of `organizations payment-method`. */
export interface PaymentMethodOptions extends GlobalOptions {
  /** Whether to open the page that changes it in a browser. */
  readonly open: boolean;
}

/** Registers `organizations payment-method`. */
export function registerPaymentMethod(group: Command, context: Context, run: Run<PaymentMethodOptions>): void {
  addCommand(group, {
    name: "payment-method",
    description: "Show the stored payment method and the page that changes it",
    examples: ["organizations payment-method", "organizations payment-method --open"],
  })
    .option("--open", "open the page in a browser")
    .addHelpText("after", HELP)
    .action(({ open = false }: { open?: boolean }, command: Command) =>
      interruptible(context, () => run({ ...readGlobals(command), open }, context)),
    );
}

const HELP = `
Purchases and renewals are charged to the stored payment
method. Anyone who has the address of the page can change it
for 24 hours, so that you can pass it on to the card's
holder. API tokens get the address only with the scope
billing:purchase.`;

/**
 * Prints the stored payment method and the page that changes it, and opens the page if asked to.
 *
 * @throws CliError `insufficient_scope` for `--open` with a token that gets no page; ClientError
 */
export async function runPaymentMethod(options: PaymentMethodOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const reading = client.paymentMethod(organizationId);
  const method = await withSpinner(context, options, "Reading the payment method", reading);
  const { url } = method;
  if (options.open && url === null) {
    throw new CliError("insufficient_scope", "The token cannot change the payment method", {
      hint: "Use a token with the scope billing:purchase, or sign in with `secureflag-licenses login`.",
    });
  }
  const result = { organizationId, ...method };
  await printResult<"organizations payment-method">(context, options, result, (view) =>
    renderPaymentMethod(method, view),
  );
  if (!options.open || url === null) return;
  const page = trustedPage(url, client.origin);
  if (page === null) return warn(context, options, `Not opened, as it is not a page of ${client.origin}.`);
  context.openUrl(page);
  note(context, options, "Opened the page in your browser.");
}

/** Renders a stored payment method, and the page that changes it on a line of its own, so that it can be copied. */
function renderPaymentMethod(method: StoredPaymentMethod, view: View): string {
  const { expires, url, urlExpiresAt } = method;
  const facts = fields(
    [
      ["Payment", paymentMethod(method.paymentMethod)],
      ["Valid to", expires],
    ],
    view,
  );
  if (url === null) return facts;
  const until = urlExpiresAt === null ? "" : ` (valid until ${instant(urlExpiresAt)})`;
  return `${facts}\n\n${wrap(`To change it, open this page${until}:`, view.width)}\n${addressText(url)}`;
}
