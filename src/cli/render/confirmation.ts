import type { Purchase, Subscription } from "../../contract/billing.ts";
import type { Offer } from "../purchasing/offer.ts";
import type { LicenseTarget } from "../purchasing/wanted.ts";
import { clean } from "./clean.ts";
import { failureReason } from "./failure.ts";
import { moneyText } from "./money.ts";
import { bought } from "./purchase.ts";
import { fields } from "./table.ts";
import type { View } from "./view.ts";
import { countChange, formula, keptReduction, licenses, paymentMethod, targetWords, withTax } from "./words.ts";
import { wrap } from "./wrap.ts";

/** Where and as whom a purchase would be made. */
export interface PurchaseSetting {
  readonly apiUrl: string;
  /** A backend on this machine. */
  readonly isSandbox: boolean;
  /** `null` where it is told elsewhere. */
  readonly signedInAs: string | null;
  /** Of a top-up. */
  readonly target: LicenseTarget | null;
}

/** Everything that a person has to see before saying yes (cli.md, Prompts). */
export function renderConfirmation({ quote, subscription }: Offer, setting: PurchaseSetting, view: View): string {
  const { total, dueNow, tax, renewsAt } = quote;
  const { style } = view;
  return fields(
    [
      ["Organization", `${clean(subscription.organization.name)} (${subscription.organization.id})`],
      ["Backend", backendName(setting, view)],
      ["Signed in as", setting.signedInAs && clean(setting.signedInAs)],
      ["Target", setting.target && targetWords(setting.target)],
      ["Missing", setting.target && missing(subscription, quote.licenses)],
      ["Licenses", style.bold(countChange(quote.licensesAfter, quote.licenses))],
      ["Due now", style.bold(withTax({ total, net: dueNow, tax }))],
      ["Subtotal", formula(quote, subscription.plan)],
      renewsAt === null
        ? ["Ends", `${quote.term.renewalDate}, without a renewal`]
        : [
            "Renews at",
            `${withTax({ total: renewsAt.total, net: renewsAt.subtotal, tax: renewsAt.tax })} on ${renewsAt.date}`,
          ],
      ["Reduction", keptReduction(subscription, quote)],
      ["Payment", paymentMethod(subscription.paymentMethod)],
    ],
    view,
  );
}

/** Where it would happen, and whether that is real. */
export function backendName({ apiUrl, isSandbox }: PurchaseSetting, { style }: View): string {
  return `${isSandbox ? style.green("SANDBOX") : style.red("LIVE")} ${new URL(apiUrl).origin}`;
}

/** `5 licenses: 3 available, 25 purchased, 0 in progress`. */
function missing({ licenses: now, pending }: Subscription, count: number): string {
  return `${licenses(count)}: ${now.available} available, ${now.purchased} purchased, ${pending.licenses} in progress`;
}

/** The question itself. */
export function buyQuestion({ quote }: Offer): string {
  return `Buy ${licenses(quote.licenses)} for ${moneyText(quote.total)} now?`;
}

/** Everything that a person has to see before paying a declined purchase or a failed renewal. */
export function renderPayment(
  purchase: Purchase,
  { organization, paymentMethod: method }: Subscription,
  setting: PurchaseSetting,
  view: View,
): string {
  const { total, dueNow: net, tax } = purchase;
  return fields(
    [
      ["Organization", `${clean(organization.name)} (${organization.id})`],
      ["Backend", backendName(setting, view)],
      ["Signed in as", setting.signedInAs && clean(setting.signedInAs)],
      ["Purchase", clean(purchase.id)],
      ["What", bought(purchase)],
      ["Due now", view.style.bold(withTax({ total, net, tax }))],
      ["Declined", purchase.failure && failureReason(purchase.failure)],
      ["Payment", paymentMethod(method)],
    ],
    view,
  );
}

/** The question before paying it. */
export function payQuestion(purchase: Purchase): string {
  return `Pay ${moneyText(purchase.total)} for ${bought(purchase)} now?`;
}

/** What changed between an approved offer that went stale and the one that takes its place. */
export function renderChange(offer: Offer, before: { offer: Offer; refusal: Error }, view: View): string {
  const [old, now] = [before.offer.quote, offer.quote];
  const renewal = ({ renewsAt }: typeof old) => (renewsAt === null ? "none" : moneyText(renewsAt.total));
  const change = (from: string, to: string) => (from === to ? `${to}, unchanged` : `${from} is now ${to}`);
  const intro = wrap(
    `${clean(before.refusal.message).replace(/\.$/, "")}. Nothing was bought; this is a new quote:`,
    view.width,
  );
  const rows = fields(
    [
      ["Licenses", change(countChange(old.licensesAfter, old.licenses), countChange(now.licensesAfter, now.licenses))],
      ["Due now", change(moneyText(old.total), moneyText(now.total))],
      ["Renews at", change(renewal(old), renewal(now))],
    ],
    view,
  );
  return `${intro}\n${rows}\n`;
}

/** Asks about a purchase that an earlier, unfinished command has made after all (details.md, 1). */
export function buyAgainQuestion(purchase: Purchase): { context: string; question: string } {
  const what = `${licenses(purchase.licenses)} for ${moneyText(purchase.total)}`;
  return {
    context: wrap(
      `The same command was begun before, and its purchase ${clean(purchase.id)} of ${what} succeeded.`,
      60,
    ),
    question: `Buy ${licenses(purchase.licenses)} again, in addition?`,
  };
}
