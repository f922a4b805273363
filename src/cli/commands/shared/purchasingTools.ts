import type { Context } from "../../context.ts";
import { promptsAllowed } from "../../prompts/asking.ts";
import type { PurchasingClient, PurchasingTools } from "../../purchasing/tools.ts";
import { failureReason, pageInvitation } from "../../render/failure.ts";
import { addressText } from "../../render/pageAddress.ts";
import { note } from "./output.ts";
import { withSpinner } from "./spinner.ts";
import { trustedPage } from "./trustedPage.ts";
import type { WaitOptions } from "./waitOptions.ts";

const APPROVAL_WAIT_SECONDS = 300;

/** The tools of buying and resuming, made of the context. */
export async function purchasingTools(
  context: Context,
  options: WaitOptions,
  { client, organizationId }: { client: PurchasingClient; organizationId: number },
): Promise<PurchasingTools> {
  const isPersonThere = promptsAllowed(context, options);
  return {
    client,
    journal: await context.journal(),
    organizationId,
    clock: context.clock,
    waitSeconds: options.waitSeconds ?? (isPersonThere ? APPROVAL_WAIT_SECONDS : 0),
    say: (text) => note(context, options, text),
    busy: (text, work) => withSpinner(context, options, text, work),
    setInterruption: (words) => {
      context.interruption = words;
    },
    showPage: (purchase) => {
      const { id, status, failure, nextAction } = purchase;
      if (nextAction === null) return;
      const page = trustedPage(nextAction.url, client.origin);
      const reason = status === "failed" ? `${failureReason(failure)} ` : "";
      const warning = page ? "" : `It is not a page of ${client.origin}, so it was not opened. `;
      // Nothing goes on without it, so that --quiet does not silence it.
      const shown = { ...options, quiet: false };
      note(
        context,
        shown,
        `Purchase ${id}: ${reason}${warning}${pageInvitation(purchase)} ${addressText(nextAction.url)}`,
      );
      if (isPersonThere && options.open && page) context.openUrl(page);
    },
    reach: context.reach,
  };
}
