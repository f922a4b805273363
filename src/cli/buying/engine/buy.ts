import { knownMe } from "../../../client/missing.ts";
import type { PurchaseAnswer } from "../../../contract/billing.ts";
import { CliError, codeOf, type ErrorCode } from "../../errors.ts";
import { licenses as licensesText } from "../../kit/words.ts";
import { approvedBy, settleEarlier } from "./earlier.ts";
import { errorOfPurchase, failureReason } from "./failureWords.ts";
import { canBePaid, follow, hasEnded, splitAnswer } from "./follow.ts";
import { assertTokenAllows, checkCount, checkGuards, limitOf } from "./guards.ts";
import type { KeySeries } from "./keys.ts";
import { type NothingToBuy, type Offer, priceWanted } from "./offer.ts";
import { assertSamePlace, assertStillHolds } from "./quoteFile.ts";
import { type Approved, differenceFrom, type Sent, sendPurchase } from "./send.ts";
import { type Approver, type BuyRequest, type Concluded, isSameOrder, type PurchasingTools } from "./tools.ts";
import { licensesToBuy } from "./wanted.ts";

/**
 * Buys licenses exactly once (src/cli/README.md, Exactly once): settles what earlier commands began, looks up a key that is
 * not random, quotes, checks, has the offer approved, journals, sends and follows. Buys nothing if a target is reached.
 *
 * @throws CliError, ClientError; before anything is sent unless the code says otherwise
 */
export async function buy(
  request: BuyRequest,
  keys: KeySeries,
  approver: Approver,
  tools: PurchasingTools,
): Promise<Concluded> {
  if (request.dryRun) return await rehearse(request, keys, approver, tools);
  const found = await settleEarlier(request, keys, approver, tools);
  if (found !== null) return replayed(await withAnotherCard(found.purchase, approver, tools), approvedBy(found.entry));
  const replay = async (purchase: PurchaseAnswer) =>
    replayed(await withAnotherCard(purchase, approver, tools), allowedBy(request, purchase));
  const earlier = await purchaseOfKey(request, keys, tools);
  if (earlier !== null) return await replay(earlier);

  assertFileIsForHere(request, tools);
  let before: Parameters<Approver["approve"]>[1] = null;
  for (;;) {
    const offer = await offerWithin(request, tools).catch(async (error: unknown) => {
      // It may be outdated because a twin has bought it meanwhile.
      const twin = OUTDATED.includes(codeOf(error)) ? await purchaseOfKey(request, keys, tools) : null;
      if (twin === null) throw error;
      return twin;
    });
    if ("id" in offer) return await replay(offer);
    if (offer.quote === null) return nothingBought(request, offer);
    await approver.approve(offer, before);
    const sent = await sendPurchase(request, keys, offer, tools);
    if (sent.kind === "accepted") return await followAccepted(request, keys, sent, offer, approver, tools);
    if (sent.kind === "void") {
      if (!keys.advance()) throw sent.refusal;
      const twin = await purchaseOfKey(request, keys, tools);
      if (twin !== null) return await replay(twin);
    }
    before = { offer, refusal: sent.refusal };
  }
}

/** The errors of an offer that no longer holds. */
const OUTDATED: readonly (ErrorCode | null)[] = ["quote_file_outdated", "subscription_changed"];

/**
 * Looks up a key that is not random, quotes and checks, and nothing else: a dry run neither follows nor voids.
 */
async function rehearse(
  request: BuyRequest,
  keys: KeySeries,
  approver: Approver,
  tools: PurchasingTools,
): Promise<Concluded> {
  const earlier = await purchaseOfKey(request, keys, tools, async (purchase) => purchase);
  if (earlier !== null) {
    const { result, failure } = replayed(earlier, allowedBy(request, earlier));
    return { result: { ...result, dryRun: true }, endedKey: null, failure };
  }
  assertFileIsForHere(request, tools);
  const offer = await offerWithin(request, tools);
  if (offer.quote !== null) {
    await approver.approve(offer, null);
    if (!request.isPlan) {
      assertTokenAllows(await tools.busy("Asking what the token may do", knownMe(tools.client)), offer);
    }
  }
  return nothingBought(request, offer);
}

function nothingBought({ dryRun }: BuyRequest, { subscription, quote }: Offer | NothingToBuy): Concluded {
  const result = { purchase: null, licenses: subscription.licenses, quote, replayed: false, dryRun };
  return { result, endedKey: null, failure: null };
}

function assertFileIsForHere({ quoteFile }: BuyRequest, { client, organizationId }: PurchasingTools): void {
  if (quoteFile) assertSamePlace(quoteFile, { apiUrl: client.apiUrl, organizationId });
}

async function offerWithin(request: BuyRequest, tools: PurchasingTools): Promise<Offer | NothingToBuy> {
  const { client, organizationId } = tools;
  const pricing = priceWanted(client, organizationId, (subscription) => {
    if (request.version !== undefined && request.version !== subscription.version) {
      throw new CliError("subscription_changed", "The subscription changed in the meantime");
    }
    const count = licensesToBuy(request.wanted, subscription);
    checkCount(request, count);
    return count;
  });
  const offer = await tools.busy("Pricing", pricing);
  if (offer.quote === null) return offer;
  if (request.quoteFile) assertStillHolds(request.quoteFile, offer);
  checkGuards(request, offer);
  return offer;
}

/**
 * Looks up the purchase of a key that is not random, before anything is quoted. A derived key that is void, or whose
 * purchase failed, advances to its next ordinal.
 *
 * @param settle what to do with a purchase that was found; follows it by default
 * @returns this command's purchase, or `null` if the current key is free
 * @throws CliError `idempotency_key_reused`, `idempotency_key_void`
 */
async function purchaseOfKey(
  request: BuyRequest,
  keys: KeySeries,
  tools: PurchasingTools,
  settle = follow,
): Promise<PurchaseAnswer | null> {
  while (keys.source !== "random") {
    const asking = tools.client.purchaseByKey(tools.organizationId, keys.current());
    const answer = await tools.busy("Looking for an earlier purchase", asking);
    if (answer.state === "unknown") return null;
    if (answer.state === "known") {
      const purchase = await settle(sameOrder(request, keys, answer.purchase), tools);
      // A purchase that was waiting for approval is this command's, even if the person cancels it.
      const wasWithPerson = answer.purchase.status === "requires_approval";
      if (keys.source === "explicit" || wasWithPerson || purchase.status !== "failed") return purchase;
      const whose = keys.source === "file" ? "of this quote file" : "of this job";
      tools.say(`An earlier purchase ${whose}, ${purchase.id}, failed: ${failureReason(purchase.failure)}`);
    }
    if (!keys.advance()) {
      throw new CliError("idempotency_key_void", `The idempotency key ${keys.current()} is void`, {
        hint: "Nothing was charged under it, and nothing ever will be. Pass another --idempotency-key.",
      });
    }
  }
  return null;
}

function sameOrder(request: BuyRequest, { source }: KeySeries, purchase: PurchaseAnswer): PurchaseAnswer {
  if (isSameOrder(request, purchase)) return purchase;
  if (source === "file") {
    const message = `The quote file was already bought as ${purchase.id}, with another PO number or note`;
    throw new CliError("idempotency_key_reused", message, {
      hint: `See \`secureflag-licenses purchases show ${purchase.id}\`. This command bought nothing.`,
    });
  }
  throw new CliError(
    "idempotency_key_reused",
    `The idempotency key belongs to another purchase, ${purchase.id}, of ${licensesText(purchase.licenses)}`,
    { hint: "Licenses, PO number or note differ. Nothing was bought. Pass another --idempotency-key." },
  );
}

async function followAccepted(
  request: BuyRequest,
  keys: KeySeries,
  { purchase: accepted, requestId, isTwins }: Extract<Sent, { kind: "accepted" }>,
  offer: Offer,
  approver: Approver,
  tools: PurchasingTools,
): Promise<Concluded> {
  const followed = await follow(isTwins ? sameOrder(request, keys, accepted) : accepted, tools);
  const purchase = await withAnotherCard(followed, approver, tools);
  // To reach the same target, a twin may have bought another number of licenses at another price.
  if (isTwins && !("licenses" in request.wanted)) return replayed(purchase, allowedBy(request, purchase));
  const { quote } = offer;
  const { licenses, dueNow, tax, total } = quote;
  const { purchaseOrder, note } = request;
  const difference = differenceFrom({ licenses, dueNow, tax, total, purchaseOrder, note }, purchase);
  const isReplay = accepted.quoteId !== quote.id;
  return {
    result: { ...splitAnswer(purchase), quote: isReplay ? null : quote, replayed: isReplay, dryRun: false },
    endedKey: hasEnded(purchase) && difference === null ? purchase.idempotencyKey : null,
    failure: difference ?? errorOfPurchase(purchase, accepted.status === "failed" ? requestId : null),
  };
}

/** What a command accepts of a purchase found under its key, made by an earlier run that left no journal entry here. */
function allowedBy({ maxTotal, quoteFile }: BuyRequest, { total }: PurchaseAnswer): Approved {
  const limits = [limitOf({ maxTotal }, total.currency), quoteFile?.total ?? null].filter((limit) => limit !== null);
  return { limit: limits.sort((one, other) => one.amount - other.amount)[0] ?? null };
}

/** Offers to pay a declined purchase with another card; buys nothing new. */
async function withAnotherCard(
  purchase: PurchaseAnswer,
  approver: Approver,
  tools: PurchasingTools,
): Promise<PurchaseAnswer> {
  if (!canBePaid(purchase) || tools.waitSeconds === 0 || !(await approver.tryAnotherCard(purchase))) return purchase;
  return await follow(purchase, tools, "unpayable");
}

/** Ends with what an earlier command or a twin bought. The journal keeps a purchase that is not what was approved. */
function replayed(answer: PurchaseAnswer, approved: Approved): Concluded {
  const { purchase, licenses } = splitAnswer(answer);
  const difference = differenceFrom(approved, purchase);
  return {
    result: { purchase, licenses, quote: null, replayed: true, dryRun: false },
    endedKey: hasEnded(purchase) && difference === null ? purchase.idempotencyKey : null,
    failure: difference ?? errorOfPurchase(purchase),
  };
}
