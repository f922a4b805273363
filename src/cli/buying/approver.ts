import { knownMe } from "../../client/missing.ts";
import type { Purchase, Subscription } from "../../contract/billing.ts";
import type { Me } from "../../contract/identity.ts";
import type { Connection } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { type View, viewOf } from "../kit/output.ts";
import { confirmOrCancel, openPrompter } from "../kit/prompt.ts";
import { withSpinner } from "../kit/spinner.ts";
import { fields } from "../kit/table.ts";
import { clean } from "../kit/text.ts";
import {
  budgetWords,
  countChange,
  formula,
  idleWords,
  keptReduction,
  licenses,
  moneyText,
  organizationAndMode,
  paymentMethod,
  withTax,
} from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import { awaitsAdministrator, failureCost, failureReason } from "./engine/failureWords.ts";
import { assertTokenAllows } from "./engine/guards.ts";
import type { Offer } from "./engine/offer.ts";
import type { Approver } from "./engine/tools.ts";
import { type LicenseTarget, targetWords } from "./engine/wanted.ts";
import { type BuyingOptions, buyerName } from "./options.ts";
import { bought, buyer, missedRenewals } from "./purchaseView.ts";

/**
 * Creates an approver that asks the person at the terminal, on stderr; the default answer is No (src/cli/README.md, Prompts).
 *
 * @param target the target of a top-up
 */
export function personApprover(
  options: BuyingOptions,
  context: Context,
  connection: Connection,
  target: LicenseTarget | null,
): Approver {
  const { apiUrl } = connection.client;
  let known: { readonly me: Me | null } | null = null;
  return {
    async approve(offer, before) {
      const view = await viewOf(context, options, "stderr");
      if (before) context.io.note(`${renderChange(offer, before, view)}\n`);
      known ??= { me: await withSpinner(context, options, "Asking who you are", knownMe(connection.client)) };
      assertTokenAllows(known.me, offer);
      const signedInAs = buyerName(known.me, connection);
      context.io.note(`${renderConfirmation(offer, { apiUrl, signedInAs, target }, view)}\n`);
      await confirmOrCancel(context, options, buyQuestion(offer), "Nothing was bought");
    },
    async buyAgain(purchase) {
      context.io.note(`${buyAgainQuestion(purchase).context}\n`);
      return (await openPrompter(context, options)).confirm(buyAgainQuestion(purchase).question);
    },
    async tryAnotherCard(purchase) {
      const view = await viewOf(context, options, "stderr");
      context.io.note(`${wrap(`${failureReason(purchase.failure)} ${failureCost(purchase)}`, view.width)}\n`);
      return (await openPrompter(context, options)).confirm("Try another card in the browser?");
    },
  };
}

/** Where, and by whom, a purchase would be made. */
export interface PurchaseSetting {
  readonly apiUrl: string;
  /** `null` if it is shown elsewhere. */
  readonly signedInAs: string | null;
  /** The target of a top-up. */
  readonly target: LicenseTarget | null;
}

/** Renders everything that a person has to see before saying yes (src/cli/README.md, Prompts). */
export function renderConfirmation({ quote, subscription }: Offer, setting: PurchaseSetting, view: View): string {
  const { total, dueNow, tax, renewsAt } = quote;
  const { style } = view;
  return fields(
    [
      ["Organization", organizationAndMode(subscription, view)],
      ["Backend", new URL(setting.apiUrl).origin],
      ["Signed in as", setting.signedInAs && clean(setting.signedInAs)],
      ["Target", setting.target && targetWords(setting.target)],
      ["Missing", setting.target && missing(subscription, quote.licenses)],
      ["Licenses", style.bold(countChange(quote.licensesAfter, quote.licenses))],
      ["Due now", style.bold(withTax({ total, net: dueNow, tax }))],
      ["Subtotal", formula(quote, subscription.plan)],
      renewsAt === null
        ? ["Ends", `${quote.term.renewalDate}, without renewal`]
        : [
            "Renews at",
            `${withTax({ total: renewsAt.total, net: renewsAt.subtotal, tax: renewsAt.tax })} on ${renewsAt.date}`,
          ],
      ["Reduction", keptReduction(subscription, quote)],
      ["Idle", idleWords(subscription)],
      ["Payment", paymentMethod(subscription.paymentMethod)],
      ["Budget", subscription.budget && budgetWords(subscription.budget)],
    ],
    view,
  );
}

/** `5 licenses: 3 available, 25 purchased, 0 in progress`. */
function missing({ licenses: now, pending }: Subscription, count: number): string {
  return `${licenses(count)}: ${now.available} available, ${now.purchased} purchased, ${pending.licenses} in progress`;
}

/** The question before buying. */
export function buyQuestion({ quote }: Offer): string {
  return `Buy ${licenses(quote.licenses)} for ${moneyText(quote.total)} now?`;
}

/** Renders everything that a person has to see before paying a declined purchase or a failed renewal, or approving one. */
export function renderPayment(
  purchase: Purchase,
  subscription: Subscription,
  setting: PurchaseSetting,
  view: View,
): string {
  const { total, dueNow: net, tax } = purchase;
  return fields(
    [
      ["Organization", organizationAndMode(subscription, view)],
      ["Backend", new URL(setting.apiUrl).origin],
      ["Signed in as", setting.signedInAs && clean(setting.signedInAs)],
      ["Purchase", clean(purchase.id)],
      ["What", bought(purchase)],
      ...(awaitsAdministrator(purchase)
        ? ([
            ["Bought by", buyer(purchase)],
            ["PO number", purchase.purchaseOrder && clean(purchase.purchaseOrder)],
            ["Note", purchase.note && clean(purchase.note)],
          ] as const)
        : []),
      ["Due now", view.style.bold(withTax({ total, net, tax }))],
      ...(subscription.unpaid?.purchaseId === purchase.id ? [missedRenewals(subscription)] : []),
      ["Declined", purchase.failure && failureReason(purchase.failure)],
      // What waits is charged to the payment method of when it was bought.
      ["Payment", awaitsAdministrator(purchase) ? null : paymentMethod(subscription.paymentMethod)],
    ],
    view,
  );
}

/** The question before paying it. */
export function payQuestion(purchase: Purchase): string {
  return `Pay ${moneyText(purchase.total)} for ${bought(purchase)} now?`;
}

/** The question before approving it. */
export function approveQuestion(purchase: Purchase): string {
  return `Approve ${bought(purchase)} for ${moneyText(purchase.total)}? The payment begins at once.`;
}

/** Renders what changed between a stale offer that was approved and the one that replaces it. */
export function renderChange(offer: Offer, before: { offer: Offer; refusal: Error }, view: View): string {
  const [old, now] = [before.offer.quote, offer.quote];
  const renewal = ({ renewsAt }: typeof old) => (renewsAt === null ? "none" : moneyText(renewsAt.total));
  const change = (from: string, to: string) => (from === to ? `${to}, unchanged` : `${from} is now ${to}`);
  const intro = wrap(
    `${clean(before.refusal.message).replace(/\.$/, "")}. Nothing was bought. The new quote:`,
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

/** The question about a purchase that an earlier, unfinished command made after all. */
function buyAgainQuestion(purchase: Purchase): { context: string; question: string } {
  const what = `${licenses(purchase.licenses)} for ${moneyText(purchase.total)}`;
  return {
    context: wrap(`An earlier run of this command bought ${what}, as ${clean(purchase.id)}.`, 60),
    question: `Buy another ${licenses(purchase.licenses)}?`,
  };
}
