import type { FastifyInstance } from "fastify";
import type { Identity } from "../auth/access.ts";
import type { BackendDeps } from "../deps.ts";
import { closingOf } from "../http/closing.ts";
import { type Answer, register } from "../http/register.ts";
import { ProblemError } from "../problem.ts";
import { payNow } from "../purchases/paying.ts";
import { settleWithin } from "../purchases/settle.ts";
import { paymentDeclined, purchaseAnswer } from "../purchases/views.ts";
import { cancelWaiting } from "../purchases/waiting.ts";
import { actorOf } from "../store/acceptance.ts";
import { notPayable } from "../store/paying.ts";
import { type PurchaseRecord, readPurchase } from "../store/purchases.ts";
import { readSubscription } from "../store/subscriptions.ts";

/** How long a purchase that somebody is at work on is waited for before it is said that it cannot be canceled. */
const CANCEL_WAIT_MS = 5_000;

/** Paying a purchase again, and ending one that waits (details.md, 11 and 13). */
export function registerPayments(app: FastifyInstance, deps: BackendDeps): void {
  const isClosing = closingOf(app);

  register(app, deps, "payPurchase", async ({ organization, params, identity, request }) => {
    const found = await readPurchase(deps.database, organization.id, params.purchaseId);
    if (found.state === "declined") await payAgain(deps, found, identity);
    const row = await settleWithin(deps, found, 0, isClosing);
    return paymentAnswer(deps, row, request.host);
  });

  register(app, deps, "cancelPurchase", async ({ organization, params, identity, request }) => {
    const { id } = await readPurchase(deps.database, organization.id, params.purchaseId);
    await cancelWaiting(deps, id, actorOf({ email: identity.user.email, token: identity.token }));
    const row = await readPurchase(deps.database, organization.id, id);
    const isBusy = row.state === "requires_approval";
    const end = isBusy ? await settleWithin(deps, row, CANCEL_WAIT_MS, isClosing) : row;
    if (end.state === "canceled") return { status: 200, body: await purchaseAnswer(deps, end, request.host) };
    if (end.state === "requires_approval") {
      return { status: 202, body: await purchaseAnswer(deps, end, request.host) };
    }
    throw notCancelable(end);
  });
}

/** Tries the organization's own payment method again. */
async function payAgain(deps: BackendDeps, purchase: PurchaseRecord, { user, token }: Identity): Promise<void> {
  const isLimited = token !== null && (token.limit_amount !== null || token.limit_licenses !== null);
  if (isLimited && token.id !== purchase.buyer_token_id) {
    const sentence = `The token "${token.name}" has a spending limit and pays only for what it bought itself`;
    throw new ProblemError("spend_limit_exceeded", sentence);
  }
  const { payment_method: paymentMethod } = await readSubscription(deps.database, purchase.organization_id);
  const actor = actorOf({ email: user.email, token });
  await payNow(deps, purchase, { paymentMethod, byPerson: false, actor });
}

/** 200 paid, 202 not yet, 402 declined, 409 for what ended otherwise (details.md, 10 and 11). */
async function paymentAnswer(deps: BackendDeps, row: PurchaseRecord, host: string): Promise<Answer> {
  const purchase = await purchaseAnswer(deps, row, host);
  deps.reach("B9");
  if (purchase.status === "failed") throw row.state === "declined" ? paymentDeclined(purchase) : notPayable(row.id);
  return { status: purchase.status === "succeeded" ? 200 : 202, body: purchase };
}

function notCancelable({ id, state }: PurchaseRecord): ProblemError {
  const why = state === "fulfilled" ? "is paid" : "does not wait for a payment";
  return new ProblemError("not_cancelable", `Purchase ${id} ${why} and cannot be canceled`);
}
