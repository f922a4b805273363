import { isTaxed } from "../../billing/proration.ts";
import type { Subscription } from "../../contract/billing.ts";
import { bar } from "./bar.ts";
import { clean } from "./clean.ts";
import { moneyText } from "./money.ts";
import { fields } from "./table.ts";
import { payCommand, unpaidDeadline, unpaidRenewal } from "./unpaid.ts";
import type { View } from "./view.ts";
import { counts, dateAhead, interval, licenses, paymentMethod, reducedTo, withTax } from "./words.ts";

const BAR_WIDTH = 30;

/** The subscription for people. */
export function renderStatus(subscription: Subscription, view: View): string {
  const { organization, plan, state, term, pending, reduction, unpaid } = subscription;
  const { style } = view;
  const showState = state === "active" ? style.green("active") : style.red(state.replace("_", " "));
  const beforeTax = isTaxed(subscription.taxRate) ? ", before tax" : "";
  const facts = fields(
    [
      ["Organization", style.bold(`${clean(organization.name)} (${organization.id})`)],
      ["Plan", `${clean(plan.name)}, ${moneyText(plan.unitPrice)} per license ${interval(plan)}${beforeTax}`],
      ["State", showState],
      ["Unpaid", unpaidRenewal(subscription)],
      unpaidDeadline(subscription),
      ["Licenses", `${licenseBar(subscription, view)}\n${counts(subscription.licenses)}`],
      [
        "Pending",
        pending.purchases === 0 ? null : `${licenses(pending.licenses)} in ${pending.purchases} unsettled purchases`,
      ],
      ["Term", `${term.start} to ${term.renewalDate}, ${term.days} days`],
      nextDate(subscription),
      ["Renews at", renewsAt(subscription)],
      ["Reduction", reduction && `to ${reducedTo(reduction, subscription.licenses.used)} on ${reduction.date}`],
      ["Time zone", clean(organization.timeZone)],
      ["Tax rate", `${clean(subscription.taxRate)} %`],
      ["Payment", paymentMethod(subscription.paymentMethod)],
    ],
    view,
  );
  return unpaid === null ? facts : `${facts}\n\nPay the renewal with\n${payCommand(unpaid.purchaseId)}`;
}

function licenseBar({ licenses: { purchased, used } }: Subscription, { style }: View): string {
  const share = purchased > 0 ? used / purchased : 0;
  const { filled, empty } = bar(share, BAR_WIDTH);
  const paint = used >= purchased ? style.yellow : style.green;
  return `${paint(filled)}${style.dim(empty)}`;
}

/** The renewal date, which without automatic renewal is the end. */
function nextDate({ state, term, renewal }: Subscription): [label: string, value: string] {
  if (state === "ended") return ["Ended on", term.renewalDate];
  return [renewal.autoRenew ? "Renewal" : "Ends", dateAhead(term.renewalDate, term.daysRemaining)];
}

function renewsAt({ state, renewal }: Subscription): string | null {
  const { autoRenew, subtotal, tax, total } = renewal;
  if (state === "ended" || !autoRenew || renewal.licenses === null || !subtotal || !tax || !total) return null;
  return `${withTax({ total, net: subtotal, tax })} for ${licenses(renewal.licenses)}`;
}
