import type { Context } from "../../context.ts";
import { promptsAllowed } from "../../prompts/asking.ts";
import type { PurchasingClient, PurchasingTools } from "../../purchasing/tools.ts";
import { clean } from "../../render/clean.ts";
import type { GlobalOptions } from "./globals.ts";
import { note } from "./output.ts";
import { withSpinner } from "./spinner.ts";

const APPROVAL_WAIT_SECONDS = 300;

/** What waiting for an approval was told. */
export interface WaitOptions extends GlobalOptions {
  readonly waitSeconds: number | null;
  readonly open: boolean;
}

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
    showApproval: ({ nextAction }) => {
      if (nextAction === null) return;
      note(context, options, `The payment needs your approval: ${clean(nextAction.url)}`);
      if (isPersonThere && options.open && isTrustedPage(nextAction.url, client.origin))
        context.openUrl(nextAction.url);
    },
  };
}

/**
 * Whether a URL from a backend may be opened in a browser: https, or loopback http, and on the backend's own origin or
 * Stripe's hosted pages (security.md, Hostile input).
 */
export function isTrustedPage(text: string, backendOrigin: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  if (url.username || url.password) return false;
  // The client has already made sure that its own origin is https or loopback.
  if (url.origin === backendOrigin) return true;
  return url.protocol === "https:" && (url.hostname === "stripe.com" || url.hostname.endsWith(".stripe.com"));
}
