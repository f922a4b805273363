import { authenticated, waitingPayment } from "./attempts.ts";
import { CARDS } from "./cards.ts";
import { Problem } from "./problems.ts";
import { needSession, saveCard } from "./sessions.ts";
import type { World } from "./world.ts";

/** A page, or where it sends the browser. */
export interface PageAnswer {
  readonly status: number;
  readonly html?: string;
  readonly location?: string;
}

/**
 * Answers a person's browser at Stripe's own pages: entering a card in a Checkout Session, and 3-D Secure. No script.
 *
 * @param form the fields of a POST, `null` for a GET
 * @returns `null` for what is no page
 */
export function answerPage(world: World, path: string, form: URLSearchParams | null): PageAnswer | null {
  const [, place, one = "", two = ""] = /^\/(c\/pay|authenticate)\/([^/]+)(?:\/([^/]+))?$/.exec(path) ?? [];
  if (place === undefined) return null;
  return world.store.transaction(() =>
    place === "authenticate" ? authenticatePage(world, one, two, form) : checkoutPage(world, one, form),
  );
}

function authenticatePage(world: World, id: string, step: string, form: URLSearchParams | null): PageAnswer {
  const payment = waitingPayment(world, id, step);
  if (payment === null) return over("This payment does not wait for you any more.");
  const { amount, currency, client_secret } = payment;
  if (form === null) {
    return page(`3-D Secure: approve ${amount} ${currency}?`, [button("approve", "Approve"), button("fail", "Fail")]);
  }
  const back = payment.next_action?.redirect_to_url?.return_url;
  authenticated(world, payment, form.get("action") === "approve");
  if (!back) return page("You can close this page.", []);
  const location = new URL(back);
  location.searchParams.set("payment_intent", id);
  location.searchParams.set("payment_intent_client_secret", client_secret ?? "");
  location.searchParams.set("source_type", "card");
  return { status: 303, location: location.href };
}

function checkoutPage(world: World, id: string, form: URLSearchParams | null): PageAnswer {
  const session = world.store.get("checkout.session", id) && needSession(world, id);
  if (session?.status !== "open") return over("This session has expired, or was completed.");
  const [action, card, cancel] = [form?.get("action"), form?.get("card") ?? "pm_card_visa", session.cancel_url];
  if (action === "cancel" && cancel !== null) return { status: 303, location: cancel };
  if (action !== "save" && action !== "approve" && action !== "fail") return cardPage("");
  if (!Object.hasOwn(CARDS, card)) return cardPage("Your card number is invalid.");
  try {
    const isApproved = action === "save" ? null : action === "approve";
    const complete = saveCard(world, session, { card, isApproved });
    if (complete !== null) {
      return { status: 303, location: (complete.success_url ?? "").replaceAll("{CHECKOUT_SESSION_ID}", id) };
    }
    const chosen = `<input type="hidden" name="card" value="${card}">`;
    return page("3-D Secure: save this card?", [chosen, button("approve", "Approve"), button("fail", "Fail")]);
  } catch (error) {
    if (error instanceof Problem && error.status === 402) return cardPage(error.message);
    throw error;
  }
}

function cardPage(problem: string): PageAnswer {
  const options = Object.keys(CARDS).map((name) => `<option>${name}</option>`);
  const select = `<label>Card <select name="card">${options.join("")}</select></label>`;
  const alert = problem === "" ? [] : [`<p role="alert">${problem}</p>`];
  return page("Save a card", [...alert, select, button("save", "Save card"), button("cancel", "Back")]);
}

function over(text: string): PageAnswer {
  return { ...page(text, []), status: 410 };
}

function button(value: string, label: string): string {
  return `<button name="action" value="${value}">${label}</button>`;
}

function page(title: string, fields: readonly string[]): PageAnswer {
  const form = fields.length === 0 ? "" : `<form method="post">${fields.join("\n")}</form>`;
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${form}</html>`;
  return { status: 200, html };
}
