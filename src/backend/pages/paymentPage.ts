import type { FastifyInstance, FastifyRequest } from "fastify";
import * as z from "zod";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { PAYMENT_PAGE } from "../events/events.ts";
import { validated } from "../http/register.ts";
import { closingOf } from "../http/server.ts";
import { cardToKeep, keepCard } from "../paymentMethod/keep.ts";
import { GatewayUnavailable } from "../payments/gateway.ts";
import { type Approval, followPerson } from "../purchases/approval.ts";
import { openCardEntry } from "../purchases/cardEntry.ts";
import { formToken, isFormToken, isPageSignature, paymentPageUrl } from "../purchases/pageAddress.ts";
import { assertNotHeld, isAsked, paymentChoicesFor, payNow } from "../purchases/pay.ts";
import { cancelWaiting, settleWithin } from "../purchases/processor.ts";
import { findPurchase, type PurchaseRecord, readPurchase } from "../purchases/store.ts";
import { receiptView } from "../purchases/views.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { readerLocale } from "./dates.ts";
import type { Page } from "./page.tsx";
import { askPage, cancelPage, type PaymentProblem } from "./payment.tsx";
import { isShown, noticeOf, orderOf, RECEIPT_PATH, receiptPage, type Visit } from "./purchase.tsx";
import { registerPage } from "./route.tsx";

/** How long the answer to a payment waits for its outcome. */
const PAYING_MS = 5_000;

const formSchema = z.strictObject({
  form: z.string().max(200),
  card: z.string().max(200).optional(),
  action: z.enum(["pay", "enter_card", "cancel", "keep_card"]),
});

type Form = z.output<typeof formSchema>;

/**
 * Registers the page on which a person pays or cancels a purchase (src/backend/README.md, Pages). Anyone who has its
 * address, which cannot be guessed, may do both. Submitting a form repeatedly or in parallel has the same outcome as once.
 */
export function registerPaymentPage(app: FastifyInstance, deps: BackendDeps): void {
  const isClosing = closingOf(app);
  registerPage(app, deps, "/pay/:purchaseId/:signature", {
    async show(request) {
      const row = await purchaseOf(deps, request);
      const isCanceling = Object.hasOwn(request.query as object, "cancel") && isCancelable(row, deps.clock.now());
      return isCanceling
        ? askToCancel(deps, row, visitOf(deps, request))
        : pageOf(deps, row, visitOf(deps, request), { isClosing });
    },
    async submit(request) {
      const found = await purchaseOf(deps, request);
      const form = validated(formSchema, request.body ?? null);
      const row = await settleWithin(deps, found, 0, isClosing);
      if (!isFormToken(deps, row.id, form.form, deps.now())) {
        const sentence = "This form has expired, and nothing was done. Check the payment and submit it again.";
        return pageOf(deps, row, visitOf(deps, request), { isClosing, problem: { status: 403, sentence } });
      }
      const pageUrl = paymentPageUrl(deps, row.id, request.host);
      return act(deps, row, form, { ...visitOf(deps, request), isClosing, pageUrl });
    },
  });
  registerPage(app, deps, `/pay/:purchaseId/:signature${RECEIPT_PATH}`, {
    async show(request) {
      const row = await purchaseOf(deps, request);
      if (!isShown(row, deps.clock.now())) throw noReceipt();
      return receiptPage(await receiptView(deps, row), row.time_zone, visitOf(deps, request));
    },
  });
}

function noReceipt(): BackendError {
  return new BackendError(
    "not_found",
    "The receipt is no longer shown here; run `secureflag-licenses purchases receipt` in your terminal",
  );
}

/** Returns the path of the payment page, also for requests to its receipt. */
function addressOf({ url }: FastifyRequest): string {
  return url.replace(/\?.*$/s, "").replace(new RegExp(`${RECEIPT_PATH}$`), "");
}

function visitOf(deps: BackendDeps, request: FastifyRequest): Visit {
  const locale = readerLocale(request.headers["accept-language"]);
  return { gateway: deps.gateway, now: deps.clock.now(), address: addressOf(request), locale };
}

function isCancelable(row: PurchaseRecord, now: number): boolean {
  return row.state === "requires_approval" && isAsked(row, now);
}

/** @throws BackendError `not_found`, with one message for an unknown purchase and a wrong signature */
async function purchaseOf(deps: BackendDeps, request: FastifyRequest): Promise<PurchaseRecord> {
  const { purchaseId, signature } = request.params as { purchaseId: string; signature: string };
  const purchase = isPageSignature(deps, purchaseId, signature) ? await findPurchase(deps.database, purchaseId) : null;
  if (!purchase)
    throw new BackendError("not_found", "No payment found at this address; check that the address is complete");
  return purchase;
}

async function act(
  deps: BackendDeps,
  row: PurchaseRecord,
  form: Form,
  { isClosing, pageUrl, ...visit }: Visit & { isClosing(): boolean; pageUrl: string },
): Promise<Page> {
  if (form.action === "keep_card") return keep(deps, row, visit, isClosing);
  const asked = isAsked(row, deps.clock.now());
  if (form.action === "cancel") await cancelWaiting(deps, row, { actor: PAYMENT_PAGE }, ["requires_approval"]);
  else if (asked) {
    assertNotHeld(deps);
    const start = form.action === "pay" ? pay(deps, row, form.card, pageUrl) : enterCard(deps, row, pageUrl);
    const problem = await problemOf(start);
    if (problem) return pageOf(deps, row, visit, { isClosing, problem });
  }
  const before = await readPurchase(deps.database, row.organization_id, row.id);
  const after = await settleWithin(deps, before, form.action === "enter_card" ? 0 : PAYING_MS, isClosing);
  return pageOf(
    deps,
    after,
    { ...visit, now: deps.clock.now() },
    { isClosing, isAnswer: true, declinedStatus: form.action === "pay" && asked ? 402 : 200 },
  );
}

/** Stores the card that a renewal was paid with. Doing so again changes nothing. */
async function keep(deps: BackendDeps, row: PurchaseRecord, visit: Visit, isClosing: () => boolean): Promise<Page> {
  const card = cardToKeep(deps.gateway, row, await readSubscription(deps.database, row.organization_id), visit.now);
  const problem = card && (await problemOf(keepCard(deps, row, card), "Nothing was changed."));
  return pageOf(deps, row, visit, { isClosing, ...(problem && { problem }) });
}

/** Begins to pay with the chosen card. */
async function pay(deps: BackendDeps, row: PurchaseRecord, card: string | undefined, pageUrl: string): Promise<void> {
  const subscription = await readSubscription(deps.database, row.organization_id);
  const paymentMethod = card ?? subscription.payment_method;
  const choice = paymentChoicesFor(deps.gateway, subscription).find(({ id }) => id === paymentMethod);
  if (!choice) throw new BackendError("invalid_request", "Choose a card to pay with");
  const label = choice.id === subscription.payment_method ? subscription.payment_method_label : null;
  const attempt = { paymentMethod: choice.id, label, byPerson: true, returnUrl: pageUrl, actor: PAYMENT_PAGE };
  await payNow(deps, row, attempt);
}

/** Opens a page of the provider that asks for a card, which then pays. */
async function enterCard(deps: BackendDeps, row: PurchaseRecord, pageUrl: string): Promise<void> {
  if (deps.gateway.customers === null) throw new BackendError("invalid_request", "Choose a card to pay with");
  try {
    await openCardEntry(deps, row, pageUrl);
  } catch (error) {
    if (!(error instanceof GatewayUnavailable)) throw error;
    deps.log(`card for purchase ${row.id}`, error);
    throw new BackendError("unavailable", "The payment provider did not answer; try again");
  }
}

/** Why something was not done; `null` if it was. */
async function problemOf(work: Promise<void>, nothing = "Nothing was charged."): Promise<PaymentProblem | null> {
  try {
    await work;
    return null;
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return { status: error.status, sentence: `${error.message}. ${nothing}` };
  }
}

/** How a page shows a purchase that can be paid. */
interface Showing {
  readonly isClosing: () => boolean;
  /** Why nothing was begun. */
  readonly problem?: PaymentProblem;
  /** Whether it answers a form. Then a person who goes on elsewhere gets it from its address, and can go back to it. */
  readonly isAnswer?: boolean;
  /** The status of the answer if the last attempt was declined. */
  readonly declinedStatus?: number;
}

/** Returns the form if the purchase can be paid, otherwise its outcome. */
async function pageOf(deps: BackendDeps, found: PurchaseRecord, visit: Visit, showing: Showing): Promise<Page> {
  const { row, approval } = await followPerson(deps, found, PAYING_MS, showing.isClosing);
  const subscription = await readSubscription(deps.database, row.organization_id);
  if (!isAsked(row, visit.now)) {
    const card = cardToKeep(deps.gateway, row, subscription, visit.now);
    const keeping = card && { card, token: formToken(deps, row.id, deps.now()) };
    return noticeOf(row, subscription, visit, { keeping, problem: showing.problem });
  }
  const form = {
    token: formToken(deps, row.id, deps.now()),
    choices: paymentChoicesFor(deps.gateway, subscription),
    stored: subscription.payment_method,
    cancelable: isCancelable(row, visit.now),
    address: visit.address,
    asksCards: deps.gateway.customers !== null,
    approval,
  };
  const page = askPage(orderOf(row, subscription, visit), form, showing.problem ?? problemWith(row, approval, showing));
  const isElsewhere = page.status === 200 && (approval.bankUrl ?? approval.cardUrl) !== null;
  return showing.isAnswer && isElsewhere ? { ...page, status: 303, location: visit.address } : page;
}

async function askToCancel(deps: BackendDeps, row: PurchaseRecord, visit: Visit): Promise<Page> {
  const subscription = await readSubscription(deps.database, row.organization_id);
  const token = formToken(deps, row.id, deps.now());
  return cancelPage(orderOf(row, subscription, visit), { token, address: visit.address });
}

/** Why the last attempt has not paid the purchase, unless the person's bank still has to approve it. */
function problemWith(
  { failure_message }: PurchaseRecord,
  { bankUrl, failure, isUnknown }: Approval,
  { declinedStatus = 200 }: Showing,
): PaymentProblem | undefined {
  if (isUnknown) {
    return { status: 503, sentence: "The payment provider did not answer. Load this page again before you pay." };
  }
  const why = failure ?? failure_message;
  if (why === null || bankUrl !== null) return undefined;
  return { status: declinedStatus, sentence: `${why} Nothing was charged. Choose another card, or try again.` };
}
