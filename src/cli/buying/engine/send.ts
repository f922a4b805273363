import type { Money } from "../../../billing/money.ts";
import { ASK_AGAIN_HINT } from "../../../client/outcome.ts";
import { addsUp } from "../../../contract/basics.ts";
import type { Purchase, PurchaseAnswer } from "../../../contract/billing.ts";
import { CliError, codeOf, ERRORS } from "../../errors.ts";
import { shorten } from "../../kit/text.ts";
import { moneyText } from "../../kit/words.ts";
import type { KeySeries } from "./keys.ts";
import type { Offer } from "./offer.ts";
import type { BuyRequest, PurchasingTools } from "./tools.ts";
import { targetOf } from "./wanted.ts";

/** The outcome of sending a purchase: accepted, refused because the quote is stale, or its key is void. */
export type Sent =
  | {
      readonly kind: "accepted";
      readonly purchase: PurchaseAnswer;
      readonly requestId: string | null;
      /** Whether another command had used the key for the purchase before. */
      readonly isTwins: boolean;
    }
  | { readonly kind: "stale" | "void"; readonly refusal: Error };

/**
 * Journals the purchase, then sends it. Without a valid response, asks the backend what became of the key.
 *
 * @throws CliError `outcome_unknown` and other retryable codes while the outcome is open, with the journal entry kept;
 *   `journal_not_written` with nothing sent; settled codes
 */
export async function sendPurchase(
  request: BuyRequest,
  keys: KeySeries,
  offer: Offer,
  tools: PurchasingTools,
): Promise<Sent> {
  const { client, journal, organizationId } = tools;
  const key = keys.current();
  await journal.record(entryOf(request, keys, offer, tools));
  tools.setInterruption({
    message: "The purchase may already have been sent.",
    hint: "Run the same command again, or `secureflag-licenses purchases resume`, to see; both are safe.",
  });
  try {
    const sending = client.createPurchase(organizationId, key, {
      quoteId: offer.quote.id,
      ...(request.purchaseOrder !== null && { purchaseOrder: request.purchaseOrder }),
      ...(request.note !== null && { note: request.note }),
    });
    const { purchase, requestId } = await tools.busy("Buying", sending);
    return { kind: "accepted", purchase, requestId, isTwins: false };
  } catch (error) {
    const sent = await outcomeOf(error, key, tools);
    // An accepted purchase is followed next, with interruption notes of its own.
    if (sent.kind !== "accepted") tools.setInterruption(null);
    return sent;
  }
}

function entryOf(request: BuyRequest, keys: KeySeries, { quote }: Offer, tools: PurchasingTools) {
  return {
    idempotencyKey: keys.current(),
    keySource: keys.source,
    origin: tools.client.origin,
    apiUrl: tools.client.apiUrl,
    organizationId: tools.organizationId,
    quoteId: quote.id,
    licenses: quote.licenses,
    purchased: quote.licensesAfter - quote.licenses,
    target: targetOf(request.wanted),
    total: quote.total,
    purchaseOrder: request.purchaseOrder,
    note: request.note,
    createdAt: new Date(tools.clock.now()).toISOString(),
  };
}

async function outcomeOf(error: unknown, key: string, tools: PurchasingTools): Promise<Sent> {
  const code = codeOf(error);
  if (!(error instanceof Error)) throw error;
  if (code === "idempotency_key_void") return voided(error, key, tools);
  const outcome = code === null ? "open" : ERRORS[code].outcome;
  if (outcome === "unsent") throw error;
  if (outcome === "open") return await askAbout(error, key, tools);
  tools.journal.remove(key);
  if (code === "quote_expired" || code === "subscription_changed") return { kind: "stale", refusal: error };
  throw error;
}

/** Nothing was charged under a void key, and nothing ever will be. */
function voided(refusal: Error, key: string, tools: PurchasingTools): Sent {
  tools.journal.remove(key);
  return { kind: "void", refusal };
}

/** Asks what became of the key after a lost response, or a 409 or 422 that a twin may have caused. */
async function askAbout(error: Error, key: string, tools: PurchasingTools): Promise<Sent> {
  const asking = tools.client.purchaseByKey(tools.organizationId, key);
  const answer = await tools.busy("Looking for the purchase", asking).catch(() => null);
  const code = codeOf(error);
  if (answer?.state === "known") {
    const isTwins = code === "idempotency_key_reused";
    return { kind: "accepted", purchase: answer.purchase, requestId: null, isTwins };
  }
  if (answer?.state === "void") return voided(error, key, tools);
  if (code === "quote_used" && answer?.state === "unknown") tools.journal.remove(key);
  if (code === "quote_used") throw error;
  if (code !== null && code !== "outcome_unknown" && ERRORS[code].isRetryable) throw error;
  const message =
    code === "outcome_unknown" ? error.message : `It is unknown whether the purchase was made. ${error.message}`;
  throw new CliError("outcome_unknown", message, { hint: ASK_AGAIN_HINT, cause: error });
}

/** What was approved of a purchase: by an offer, a journal entry, or the purchase as shown before it was paid. */
export interface Approved {
  readonly licenses?: number;
  readonly dueNow?: Money;
  readonly tax?: Money;
  readonly total?: Money;
  readonly purchaseOrder?: string | null;
  readonly note?: string | null;
  /** `purchase` by default. */
  readonly kind?: Purchase["kind"];
  /** The highest total, if no amount was approved. */
  readonly limit?: Money | null;
}

/** Everything of a purchase that is approved by paying it. */
export function approvedAsShown({ kind, licenses, dueNow, tax, total, purchaseOrder, note }: Purchase): Approved {
  return { kind, licenses, dueNow, tax, total, purchaseOrder, note };
}

/**
 * Compares a purchase with what was approved: the one place that decides whether the amount confirmed is the amount
 * charged, to the minor unit. Does not compare what `approved` leaves out.
 *
 * @returns the error to end with after the purchase is printed; `null` if they agree
 */
export function differenceFrom(approved: Approved, purchase: Purchase): CliError | null {
  const { limit, kind = "purchase", ...fields } = approved;
  const differences = Object.entries({ kind, ...fields }).flatMap(([name, wanted]) => {
    const reported = purchase[name as keyof typeof fields];
    return isSame(reported, wanted) ? [] : [`${LABELS[name]} ${show(reported)}, approved ${show(wanted)}`];
  });
  if (limit && !isWithin(purchase.total, limit)) {
    differences.push(`total ${show(purchase.total)}, approved at most ${show(limit)}`);
  }
  if (differences.length === 0 && !addsUp(purchase))
    differences.push(`total ${show(purchase.total)}, not the sum of net amount and tax`);
  if (differences.length === 0) return null;
  const message = `Purchase ${shorten(purchase.id)} is not what was approved: ${differences.join("; ")}`;
  const hint = "Do not buy again. Report it to the operator of the backend.";
  return new CliError("charged_other_amount", message, { hint });
}

type Field = string | number | Money | null | undefined;

const LABELS: Readonly<Record<string, string>> = {
  kind: "kind",
  licenses: "licenses",
  dueNow: "net amount",
  tax: "tax",
  total: "total",
  purchaseOrder: "PO number",
  note: "note",
};

function isSame(one: Field, other: Field): boolean {
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return one === other;
  return one.amount === other.amount && one.currency === other.currency;
}

function isWithin({ amount, currency }: Money, limit: Money): boolean {
  return currency === limit.currency && amount <= limit.amount;
}

function show(value: Field): string {
  if (value === null || value === undefined) return "none";
  if (typeof value === "number") return String(value);
  return typeof value === "string" ? `"${shorten(value)}"` : moneyText(value);
}
