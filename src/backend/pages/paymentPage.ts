import type { FastifyInstance, FastifyRequest } from "fastify";
import * as z from "zod";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { PAYMENT_PAGE } from "../events/events.ts";
import { validated } from "../http/register.ts";
import { closingOf } from "../http/server.ts";
import { formToken, isFormToken, isPageSignature } from "../purchases/pageAddress.ts";
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
  action: z.enum(["pay", "cancel"]),
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
      return isCanceling ? askToCancel(deps, row, visitOf(deps, request)) : pageOf(deps, row, visitOf(deps, request));
    },
    async submit(request) {
      const found = await purchaseOf(deps, request);
      const form = validated(formSchema, request.body ?? null);
      const row = await settleWithin(deps, found, 0, isClosing);
      if (!isFormToken(deps, row.id, form.form, deps.now())) {
        return pageOf(deps, row, visitOf(deps, request), {
          status: 403,
          sentence: "This form has expired, and nothing was done. Check the payment and submit it again.",
        });
      }
      return act(deps, row, form, { ...visitOf(deps, request), isClosing });
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
  { isClosing, ...visit }: Visit & { isClosing(): boolean },
): Promise<Page> {
  const asked = isAsked(row, deps.clock.now());
  if (form.action === "cancel") await cancelWaiting(deps, row, PAYMENT_PAGE);
  else if (asked) {
    assertNotHeld(deps);
    const problem = await pay(deps, row, form.card);
    if (problem) return pageOf(deps, row, visit, problem);
  }
  const before = await readPurchase(deps.database, row.organization_id, row.id);
  const after = await settleWithin(deps, before, PAYING_MS, isClosing);
  const wasDeclined = form.action === "pay" && asked && after.failure_code !== null && isAsked(after, deps.clock.now());
  return pageOf(
    deps,
    after,
    { ...visit, now: deps.clock.now() },
    wasDeclined ? declinedProblem(after, 402) : undefined,
  );
}

/** Starts a payment with the chosen card, or returns why that is not possible. */
async function pay(deps: BackendDeps, row: PurchaseRecord, card: string | undefined): Promise<PaymentProblem | null> {
  const { payment_method: stored } = await readSubscription(deps.database, row.organization_id);
  const paymentMethod = card ?? stored;
  if (!paymentChoicesFor(deps.gateway, stored).some(({ id }) => id === paymentMethod)) {
    return { status: 400, sentence: "Choose a card to pay with. Nothing was charged." };
  }
  try {
    await payNow(deps, row, { paymentMethod, label: null, byPerson: true, returnUrl: null, actor: PAYMENT_PAGE });
    return null;
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return { status: error.status, sentence: `${error.message}. Nothing was charged.` };
  }
}

/** Returns the form if the purchase can be paid, otherwise its outcome. */
async function pageOf(deps: BackendDeps, row: PurchaseRecord, visit: Visit, problem?: PaymentProblem): Promise<Page> {
  const subscription = await readSubscription(deps.database, row.organization_id);
  if (!isAsked(row, visit.now)) return noticeOf(row, subscription, visit);
  const { payment_method: stored } = subscription;
  const form = {
    token: formToken(deps, row.id, deps.now()),
    choices: paymentChoicesFor(deps.gateway, stored),
    stored,
    cancelable: isCancelable(row, visit.now),
    address: visit.address,
  };
  const before = row.failure_code === null ? undefined : declinedProblem(row, 200);
  return askPage(orderOf(row, subscription, visit), form, problem ?? before);
}

async function askToCancel(deps: BackendDeps, row: PurchaseRecord, visit: Visit): Promise<Page> {
  const subscription = await readSubscription(deps.database, row.organization_id);
  const token = formToken(deps, row.id, deps.now());
  return cancelPage(orderOf(row, subscription, visit), { token, address: visit.address });
}

function declinedProblem(row: PurchaseRecord, status: number): PaymentProblem {
  return { status, sentence: `${row.failure_message} Nothing was charged. Choose another card, or try again.` };
}
