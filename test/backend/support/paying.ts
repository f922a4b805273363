import { expect } from "vitest";
import type { Purchase } from "../../../src/contract/billing.ts";
import { hiddenFields } from "../../support/paymentPage.ts";
import { buy, call, type TestBackend, tokenOf } from "./backend.ts";

/** A payment page as it came. */
export interface PageAnswer {
  readonly status: number;
  readonly html: string;
}

/** What a person sends from a payment page. */
export interface PageAction {
  readonly action: "pay" | "cancel";
  readonly card?: string;
}

/** Buys with a card that needs a person, and gives the purchase that waits. */
export async function buyWaiting(backend: TestBackend, id: number, key = "k"): Promise<Purchase> {
  const { status, body } = await buy(backend, id, 5, key);
  expect([status, body.status]).toEqual([202, "requires_approval"]);
  return body;
}

/** The address of a purchase's page. */
export function addressOf(purchase: Purchase): string {
  return new URL(purchase.nextAction?.url ?? "").pathname;
}

/** Looks at a payment page; spaces that no line breaks at are plain in what it gives. */
export async function look(
  backend: TestBackend,
  address: string,
  headers: Record<string, string> = {},
): Promise<PageAnswer> {
  const { statusCode, body } = await backend.app.inject({ method: "GET", url: address, headers });
  return { status: statusCode, html: body.replaceAll("\u00a0", " ") };
}

/** Sends a form to a payment page as it is. */
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

/** Does what a person does: looks at the page, chooses, presses a button. */
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

/** The purchase as it is now. */
export async function read(backend: TestBackend, id: number, purchaseId: string) {
  return (await call(backend, "GET", `/organizations/${id}/purchases/${purchaseId}`, { token: tokenOf(id) })).body;
}
