import { createHash } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { endOfDateInZone, startOfDateInZone } from "../../billing/calendar.ts";
import { isPolicySet } from "../../billing/policy.ts";
import { statesOf } from "../../billing/purchase.ts";
import { idempotencyKeySchema, type PurchaseRequest } from "../../contract/billing.ts";
import { policyOf } from "../control/changes.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { actorOf, type Buyer } from "../events/events.ts";
import { type Answer, type Identity, pageLimit, type RouteDeps, register } from "../http/register.ts";
import { closingOf } from "../http/server.ts";
import { documentAnswer } from "../receipts/answer.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { acceptPurchase } from "./accept.ts";
import { newPurchaseId, WAITING_STATES } from "./leases.ts";
import { assertNotHeld, notPayable, payNow } from "./pay.ts";
import { cancelWaiting, settleAccepted, settleWithin } from "./processor.ts";
import {
  findNamedPurchase,
  listPurchases,
  type PurchaseRecord,
  readPurchase,
  readPurchaseByKey,
  voidKey,
} from "./store.ts";
import { creditNoteView, paymentDeclined, purchaseAnswer, purchaseView, receiptView } from "./views.ts";
import { clocksOf } from "./worker.ts";

const MAX_WAIT_S = 20;

/** Registers purchases, their keys and their receipts (src/backend/README.md, Life of a purchase). */
export function registerPurchases(app: FastifyInstance, deps: RouteDeps): void {
  const isClosing = closingOf(app);
  registerBuying(app, deps, isClosing);

  register(app, deps, "listPurchases", async ({ organization, query, request }) => {
    const limit = pageLimit(query.limit);
    const { time_zone: timeZone } = organization.subscription;
    const rows = await listPurchases(deps.database, organization.id, {
      before: query.after === undefined ? null : Number(query.after),
      limit: limit + 1,
      states: query.status === undefined ? null : statesOf(query.status),
      kind: query.kind ?? null,
      from: query.from === undefined ? null : startOfDateInZone(query.from, timeZone),
      until: query.to === undefined ? null : endOfDateInZone(query.to, timeZone),
    });
    const page = rows.slice(0, limit);
    const next = rows.length > limit ? String(page.at(-1)?.sequence) : null;
    return { status: 200, body: { items: page.map((row) => purchaseView(deps, row, request.host)), next } };
  });

  register(app, deps, "getPurchase", async ({ organization, params, query, request }) => {
    const found = await findNamedPurchase(deps.database, organization.id, params.purchaseId);
    const seconds = Math.min(query.wait ?? 0, MAX_WAIT_S);
    const row = seconds === 0 ? found : await settleWithin(deps, found, seconds * 1000, isClosing);
    return { status: 200, body: purchaseAnswer(deps, row, request.host) };
  });

  register(app, deps, "getPurchaseByKey", async ({ organization, params, request }) => {
    const row = await readPurchaseByKey(deps.database, organization.id, params.idempotencyKey);
    return { status: 200, body: purchaseAnswer(deps, row, request.host) };
  });

  register(app, deps, "voidKey", async ({ organization, params, identity, request }) => {
    const key = { organizationId: organization.id, key: params.idempotencyKey, actor: actorOf(buyerOf(identity)) };
    const row = await voidKey(deps.database, key, deps.clock.now());
    return row ? { status: 200, body: purchaseAnswer(deps, row, request.host) } : { status: 204, body: null };
  });

  register(app, deps, "getReceipt", async ({ organization, params, request }) => {
    const row = await findNamedPurchase(deps.database, organization.id, params.purchaseId);
    return documentAnswer(await receiptView(deps, row), row.time_zone, request.headers.accept);
  });

  register(app, deps, "getCreditNote", async ({ organization, params, request }) => {
    const row = await findNamedPurchase(deps.database, organization.id, params.purchaseId);
    return documentAnswer(await creditNoteView(deps, row), row.time_zone, request.headers.accept);
  });
}

function registerBuying(app: FastifyInstance, deps: RouteDeps, isClosing: () => boolean): void {
  const inFlight = new Set<string>();

  register(app, deps, "createPurchase", async ({ organization, body, identity, request }) => {
    assertNotHeld(deps);
    const key = readKey(request.headers["idempotency-key"]);
    const scopedKey = `${organization.id}:${key}`;
    if (inFlight.has(scopedKey)) throw keyInUse();
    inFlight.add(scopedKey);
    const accepted = await acceptPurchase(
      deps.database,
      {
        purchaseId: newPurchaseId(organization.id, deps.random),
        organizationId: organization.id,
        timeZone: organization.subscription.time_zone,
        idempotencyKey: key,
        requestHash: hashOf(body),
        quoteId: body.quoteId,
        purchaseOrder: body.purchaseOrder ?? null,
        note: body.note ?? null,
        buyer: buyerOf(identity),
        hasPolicy: isPolicySet(policyOf(organization.subscription)),
      },
      clocksOf(deps),
      deps.reach,
    ).finally(() => inFlight.delete(scopedKey));
    if (accepted.replayed) {
      return answerTo(deps, await settleWithin(deps, accepted.purchase, 0, isClosing), request.host, true);
    }
    deps.reach("B1");
    const row = accepted.isLeased
      ? await settleAccepted(deps, accepted.purchase)
      : await settleWithin(deps, accepted.purchase, 0, isClosing);
    return answerTo(deps, row, request.host, false);
  });
}

/** Answers 201 if settled, 202 if not yet, 200 for a replay, 402 for a failure (src/contract/README.md, Wire). */
function answerTo(deps: BackendDeps, row: PurchaseRecord, host: string, replayed: boolean): Answer {
  const purchase = purchaseAnswer(deps, row, host);
  deps.reach("B9");
  const headers: Record<string, string> = replayed ? { "Idempotency-Replayed": "true" } : {};
  if (purchase.status === "failed") throw paymentDeclined(purchase, headers);
  const fresh = purchase.status === "succeeded" ? 201 : 202;
  return { status: replayed ? 200 : fresh, body: purchase, headers };
}

function readKey(header: string | string[] | undefined): string {
  if (header === undefined || header === "") {
    throw new BackendError("idempotency_key_missing", "A purchase requires the header Idempotency-Key");
  }
  const key = idempotencyKeySchema.safeParse(header);
  if (key.success) return key.data;
  const message = "is 1 to 255 visible ASCII characters";
  throw new BackendError("invalid_request", `The request is not valid: Idempotency-Key: ${message}`, {
    errors: [{ path: "Idempotency-Key", message }],
  });
}

function keyInUse(): BackendError {
  return new BackendError(
    "idempotency_key_in_use",
    "A purchase under this Idempotency-Key is being accepted; try again",
    {},
    { "Retry-After": "1" },
  );
}

/** Hashes an order by its contents, whatever the order of its fields (src/contract/README.md, Idempotency). */
function hashOf({ quoteId, purchaseOrder, note }: PurchaseRequest): string {
  return createHash("sha256")
    .update(JSON.stringify([quoteId, purchaseOrder ?? null, note ?? null]))
    .digest("hex");
}

function buyerOf({ user, token }: Identity): Buyer {
  return { userId: user.id, email: user.email, token };
}

/** How long a cancellation waits for a purchase that another worker has. */
const CANCEL_WAIT_MS = 5_000;

/** Registers paying a purchase again, and canceling one that waits for a person. */
export function registerPayments(app: FastifyInstance, deps: RouteDeps): void {
  const isClosing = closingOf(app);

  register(app, deps, "payPurchase", async ({ organization, params, identity, request }) => {
    assertNotHeld(deps);
    const found = await readPurchase(deps.database, organization.id, params.purchaseId);
    if (found.state === "declined") await payAgain(deps, found, identity);
    const row = await settleWithin(deps, found, 0, isClosing);
    return paymentAnswer(deps, row, request.host);
  });

  register(app, deps, "cancelPurchase", async ({ organization, params, identity, request }) => {
    const found = await readPurchase(deps.database, organization.id, params.purchaseId);
    await cancelWaiting(deps, found, { actor: actorOf(buyerOf(identity)) });
    const row = await readPurchase(deps.database, organization.id, found.id);
    const end = isWaiting(row) ? await settleWithin(deps, row, CANCEL_WAIT_MS, isClosing) : row;
    if (end.state === "canceled") return { status: 200, body: purchaseAnswer(deps, end, request.host) };
    if (isWaiting(end)) return { status: 202, body: purchaseAnswer(deps, end, request.host) };
    throw notCancelable(end);
  });
}

function isWaiting({ state }: PurchaseRecord): boolean {
  return WAITING_STATES.some((waiting) => waiting === state);
}

/** Tries the organization's payment method again. */
async function payAgain(deps: BackendDeps, purchase: PurchaseRecord, identity: Identity): Promise<void> {
  const { token } = identity;
  const isLimited = token !== null && (token.limit_amount !== null || token.limit_licenses !== null);
  if (isLimited && token.id !== purchase.buyer_token_id) {
    const sentence = `The token "${token.name}" has a spending limit and pays only for what it bought itself`;
    throw new BackendError("spend_limit_exceeded", sentence);
  }
  const subscription = await readSubscription(deps.database, purchase.organization_id);
  const { payment_method: paymentMethod, payment_method_label: label } = subscription;
  const actor = actorOf(buyerOf(identity));
  await payNow(deps, purchase, {
    paymentMethod,
    label,
    byPerson: false,
    returnUrl: null,
    actor,
    payerId: identity.user.id,
  });
}

/** Answers 200 if paid, 202 if not settled yet, 402 if declined, 409 if it ended otherwise. */
function paymentAnswer(deps: BackendDeps, row: PurchaseRecord, host: string): Answer {
  const purchase = purchaseAnswer(deps, row, host);
  deps.reach("B9");
  if (purchase.status === "failed") throw row.state === "declined" ? paymentDeclined(purchase) : notPayable(row.id);
  return { status: purchase.status === "succeeded" ? 200 : 202, body: purchase };
}

function notCancelable({ id, state }: PurchaseRecord): BackendError {
  const why = state === "fulfilled" ? "is paid" : "is not waiting for a payment";
  return new BackendError("not_cancelable", `Purchase ${id} ${why} and cannot be canceled`);
}
