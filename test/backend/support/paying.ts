import { expect } from "vitest";
import type { Order } from "../../../src/backend/purchases/order.ts";
import type { Purchase } from "../../../src/contract/billing.ts";
import { hiddenFields } from "../../support/paymentPage.ts";
import { buy, call, type TestBackend, tokenOf } from "./backend.ts";

/** The answer with a payment page. */
export interface PageAnswer {
  readonly status: number;
  readonly html: string;
}

/** A person's action on a page about a payment or a payment method. */
export interface PageAction {
  readonly action: "pay" | "cancel" | "enter_card" | "keep_card" | "save";
  readonly card?: string;
}

/** Buys with a card that requires approval, and returns the waiting purchase. */
export async function buyWaiting(backend: TestBackend, id: number, key = "k"): Promise<Purchase> {
  const { status, body } = await buy(backend, id, 5, key);
  expect([status, body.status]).toEqual([202, "requires_approval"]);
  return body;
}

/** The path of a purchase's payment page. */
export function addressOf(purchase: Purchase): string {
  return new URL(purchase.nextAction?.url ?? "").pathname;
}

/** Loads a payment page. No-break spaces are plain spaces in its HTML. */
export async function look(
  backend: TestBackend,
  address: string,
  headers: Record<string, string> = {},
): Promise<PageAnswer> {
  const { statusCode, body } = await backend.app.inject({ method: "GET", url: address, headers });
  return { status: statusCode, html: body.replaceAll("\u00a0", " ") };
}

/** Posts a form to a payment page. */
export async function post(
  backend: TestBackend,
  address: string,
  fields: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<PageAnswer> {
  const { statusCode, body } = await backend.app.inject({
    method: "POST",
    url: address,
    headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
    payload: new URLSearchParams(fields).toString(),
  });
  return { status: statusCode, html: body };
}

/** Acts like a person: loads the page, chooses a card, presses a button. */
export async function act(backend: TestBackend, address: string, { action, card }: PageAction): Promise<PageAnswer> {
  const page = await look(backend, address);
  return post(backend, address, { ...hiddenFields(page), ...(card !== undefined && { card }), action });
}

/** `POST …/payment` or `POST …/cancel`. */
export function send(backend: TestBackend, id: number, purchaseId: string, what: "payment" | "cancel", token?: string) {
  return call(backend, "POST", `/organizations/${id}/purchases/${purchaseId}/${what}`, {
    token: token ?? tokenOf(id),
  });
}

/** Reads a purchase. */
export async function read(backend: TestBackend, id: number, purchaseId: string) {
  return (await call(backend, "GET", `/organizations/${id}/purchases/${purchaseId}`, { token: tokenOf(id) })).body;
}

/** Quotes 5 licenses, and returns the quote and the order of a request that read no policy. */
export async function orderOfQuote(backend: TestBackend, organizationId: number) {
  const { body: quote } = await call(backend, "POST", `/organizations/${organizationId}/quotes`, {
    token: tokenOf(organizationId),
    body: { licenses: 5 },
  });
  const order: Order = {
    purchaseId: `pur_${organizationId}_late`,
    organizationId,
    timeZone: "Europe/London",
    idempotencyKey: "k",
    requestHash: "h",
    quoteId: quote.id,
    purchaseOrder: null,
    note: null,
    buyer: { userId: 1, email: "ada@example.test", token: null },
    hasPolicy: false,
  };
  return { quote, order };
}
