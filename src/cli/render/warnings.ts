import { isTaxed } from "../../billing/proration.ts";
import type { Subscription } from "../../contract/billing.ts";
import type { Me } from "../../contract/identity.ts";
import { moneyText } from "./money.ts";
import { unpaidWarning } from "./unpaid.ts";
import { licenses, reducedTo } from "./words.ts";

const SOON_DAYS = 30;
const FEW_PART = 10;
const DAY_SECONDS = 86_400;
const TOKEN_DAYS = 14;

/** What an administrator should act on, most pressing first; empty where all is well. */
export function subscriptionWarnings(subscription: Subscription): string[] {
  const { reduction } = subscription;
  return [
    unpaid(subscription),
    fewLeft(subscription),
    soon(subscription),
    reduction &&
      `From ${reduction.date} there will be ${reducedTo(reduction, subscription.licenses.used)}, as scheduled.`,
  ].filter((warning) => warning !== null);
}

/**
 * That an API token ends soon, by the backend's own count of seconds, because this machine's clock may be wrong
 * (details.md, 26); `null` where it does not.
 */
export function tokenWarning({ name, expiresIn }: Me["token"]): string | null {
  if (name === null || expiresIn === null || expiresIn === undefined) return null;
  if (expiresIn > TOKEN_DAYS * DAY_SECONDS) return null;
  const days = Math.floor(expiresIn / DAY_SECONDS);
  const when = days === 0 ? "within a day" : days === 1 ? "in 1 day" : `in ${days} days`;
  return `The token ${name} expires ${when}. Make a new one: secureflag-licenses tokens create`;
}

/** A backend may not tell which renewal it is. */
function unpaid(subscription: Subscription): string | null {
  const { state } = subscription;
  if (subscription.unpaid !== null) return unpaidWarning(subscription);
  if (state !== "past_due" && state !== "suspended") return null;
  const cost = state === "suspended" ? "the subscription is suspended" : "no licenses can be bought until it is";
  return (
    `The last renewal is not paid, and ${cost}. See \`secureflag-licenses purchases list --kind renewal\`, ` +
    "then pay it with `secureflag-licenses purchases pay <id>`."
  );
}

function fewLeft({ state, licenses: { purchased, available } }: Subscription): string | null {
  if (state === "ended" || purchased === 0 || available > Math.max(1, Math.floor(purchased / FEW_PART))) return null;
  const left =
    available <= 0 ? "No license is" : available === 1 ? "Only 1 license is" : `Only ${available} licenses are`;
  return `${left} available, of ${purchased}. Buy more with \`secureflag-licenses buy <n>\`.`;
}

function soon({ state, term, renewal, taxRate }: Subscription): string | null {
  if (state === "ended" || term.daysRemaining > SOON_DAYS) return null;
  const when = term.daysRemaining === 1 ? "in 1 day" : `in ${term.daysRemaining} days`;
  if (!renewal.autoRenew) return `The subscription ends ${when}, on ${term.renewalDate}, without a renewal.`;
  if (renewal.licenses === null || renewal.total === null) return null;
  const price = `${moneyText(renewal.total)}${isTaxed(taxRate) ? " with tax" : ""}`;
  return `The subscription renews ${when}, on ${term.renewalDate}: ${price} for ${licenses(renewal.licenses)}.`;
}
