import { knownMe } from "../../client/missing.ts";
import type { Me } from "../../contract/identity.ts";
import { buyerName } from "../commands/shared/buyer.ts";
import type { BuyingOptions } from "../commands/shared/buyOptions.ts";
import type { Connection } from "../commands/shared/connect.ts";
import { viewOf } from "../commands/shared/output.ts";
import { withSpinner } from "../commands/shared/spinner.ts";
import type { Context } from "../context.ts";
import { assertTokenAllows } from "../purchasing/tokenLimit.ts";
import type { Approver } from "../purchasing/tools.ts";
import type { LicenseTarget } from "../purchasing/wanted.ts";
import { buyAgainQuestion, buyQuestion, renderChange, renderConfirmation } from "../render/confirmation.ts";
import { failureCost, failureReason } from "../render/failure.ts";
import { wrap } from "../render/wrap.ts";
import { confirmOrCancel, openPrompter } from "./asking.ts";

/**
 * Asks the person at the terminal; the default answer is No (cli.md, Prompts). Everything is shown on stderr.
 *
 * @param target of a top-up
 */
export function personApprover(
  options: BuyingOptions,
  context: Context,
  connection: Connection,
  target: LicenseTarget | null,
): Approver {
  const { apiUrl, isLoopback: isSandbox } = connection.client;
  let known: { readonly me: Me | null } | null = null;
  return {
    async approve(offer, before) {
      const view = await viewOf(context, options, "stderr");
      if (before) context.io.note(`${renderChange(offer, before, view)}\n`);
      known ??= { me: await withSpinner(context, options, "Asking who you are", knownMe(connection.client)) };
      assertTokenAllows(known.me, offer);
      const signedInAs = buyerName(known.me, connection);
      context.io.note(`${renderConfirmation(offer, { apiUrl, isSandbox, signedInAs, target }, view)}\n`);
      await confirmOrCancel(context, options, buyQuestion(offer), "Nothing was bought");
    },
    async buyAgain(purchase) {
      context.io.note(`${buyAgainQuestion(purchase).context}\n`);
      return (await openPrompter(context, options)).confirm(buyAgainQuestion(purchase).question);
    },
    async tryAnotherCard(purchase) {
      const view = await viewOf(context, options, "stderr");
      context.io.note(`${wrap(`${failureReason(purchase.failure)} ${failureCost(purchase)}`, view.width)}\n`);
      return (await openPrompter(context, options)).confirm("Try another card in the browser?");
    },
  };
}
