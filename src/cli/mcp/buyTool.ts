import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";
import { knownMe } from "../../client/missing.ts";
import { idSchema } from "../../contract/basics.ts";
import { buyAs, connectBuying } from "../buying/buying.ts";
import { assertMayPurchase } from "../buying/engine/guards.ts";
import type { Concluded, Guards } from "../buying/engine/tools.ts";
import type { BuyingOptions } from "../buying/options.ts";
import type { Connection } from "../connection/connect.ts";
import { CliError, codeOf, type ErrorCode } from "../errors.ts";
import { sentence } from "../kit/failure.ts";
import { clean, shorten } from "../kit/text.ts";
import { licenses, moneyText } from "../kit/words.ts";
import { outputs } from "../outputs.ts";
import { answer, BUY_AGAIN } from "./answer.ts";
import { type Call, type Tool, tool } from "./tools.ts";

/** Limits of each purchase that the operator of the server sets, beside those of the token. */
export type AgentGuards = Pick<Guards, "maxTotal" | "maxLicenses">;

/** Creates the tool that buys a quote. */
export function buyTool(guards: AgentGuards): Tool {
  return tool({
    name: "buy_licenses",
    title: "Buy a quote",
    description:
      "Buys the licenses of a quote from quote_licenses, for exactly its total, and charges the organization. A quote " +
      "is bought once, however often this is called. The purchase may wait for a person's approval.",
    input: { quoteId: idSchema.describe("`id` of the quote") },
    output: outputs.buy,
    buys: true,
    run: async ({ quoteId }, call) => await buyQuote(quoteId, guards, call),
  });
}

/**
 * Buys a quote under a key that is derived from it, so that it is bought once by whichever agent (src/cli/README.md, Agents).
 *
 * @throws CliError `spending_limit_required`, `quote_expired`, `subscription_changed`; what connecting and buying throw
 */
async function buyQuote(quoteId: string, guards: AgentGuards, call: Call): Promise<CallToolResult> {
  const order = { purchaseOrder: null, note: null, explicitKey: `mcp-${quoteId}`, dryRun: false };
  const options: BuyingOptions = {
    ...{ ...call.options, ...order, ...guards, ifPurchased: null },
    ...{ yes: true, waitSeconds: 0, open: false, totp: null },
  };
  const { connection, tools } = await connectBuying(options, call.context, "billing");
  // The stored sign-in may be another one than when the server started.
  await assertLimited(connection);
  const quote = await connection.client.quote(tools.organizationId, quoteId);
  const notes: string[] = [];
  const quoteTools = {
    ...tools,
    client: { ...tools.client, createQuote: async () => quote },
    say: (words: string) => void notes.push(words),
  };
  const request = { ...options, wanted: { licenses: quote.licenses }, quoteFile: null };
  const buying = buyAs(request, options, call.context, { connection, tools: quoteTools }, { approve: approveOnce });
  const ended = await buying
    .catch((error: unknown) => {
      throw withNewQuote(error);
    })
    // The server goes on, and no other command has to wait for it to end.
    .finally(() => tools.journal.release(order.explicitKey));
  const { endedKey } = ended;
  if (endedKey !== null) call.afterAnswer(() => tools.journal.remove(endedKey));
  return {
    ...answer(ended.result, [...wordsOf(ended), ...notes]),
    isError: ended.failure !== null && !isOpen(ended.failure),
  };
}

/** A quote that is no longer valid is not replaced: another price is another decision. */
async function approveOnce(_offer: unknown, before: { readonly refusal: Error } | null): Promise<void> {
  if (before !== null) throw before.refusal;
}

function withNewQuote(error: unknown): unknown {
  const code = codeOf(error);
  if (code !== "quote_expired" && code !== "subscription_changed") return error;
  const message =
    code === "quote_expired" ? "The quote has expired" : "The subscription has changed since the quote was made";
  return new CliError(code, message, {
    hint: "Nothing was bought. Get a new quote with quote_licenses.",
    cause: error,
  });
}

function wordsOf({ result: { purchase, replayed }, failure }: Concluded): string[] {
  if (purchase === null) return [];
  if (failure !== null) {
    const waits = failure.code === "approval_required" ? `Purchase ${purchase.id} waits for approval.` : "";
    return [waits, sentence(failure.message), failure.hint ?? "", isOpen(failure) ? BUY_AGAIN : ""];
  }
  const what = `${licenses(purchase.licenses)} for ${moneyText(purchase.total)}, as ${purchase.id}`;
  return [replayed ? `This quote was bought before: ${what}. Nothing more was bought.` : `Bought ${what}.`];
}

const OPEN: readonly ErrorCode[] = ["approval_required", "purchase_unsettled"];

/** Whether a purchase waits or is still being processed, which is no failure of the call. */
function isOpen({ code }: CliError): boolean {
  return OPEN.includes(code);
}

/**
 * Checks that an agent may buy with this sign-in: an API token with the scope and a spending limit, which the backend
 * enforces.
 *
 * @throws CliError `spending_limit_required`, `insufficient_scope`
 */
export async function assertLimited({ client, signIn }: Connection): Promise<void> {
  const me = await knownMe(client);
  const limit = me?.token.spendLimit ?? null;
  const isApiToken = !signIn.isSession && me !== null && me.token.name !== null;
  if (!isApiToken || limit === null || (limit.amount === null && limit.licenses === null)) {
    const message = isApiToken
      ? `Agents cannot buy with the token "${shorten(clean(me.token.name ?? ""))}": it has no spending limit`
      : "Agents cannot buy with a sign-in, only with an API token";
    throw new CliError("spending_limit_required", message);
  }
  assertMayPurchase(me);
}
