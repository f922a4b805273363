import { type Charge, maxChargeStep, recurringCharge } from "../../billing/proration.ts";
import { licensesAtRenewal } from "../../billing/quote.ts";
import type { Subscription } from "../../contract/billing.ts";
import { CliError } from "../errors.ts";
import { licenses } from "../kit/words.ts";
import { purchaseDateOf } from "./engine/offer.ts";
import { payCommand } from "./purchaseView.ts";

const NOTHING_CHANGED = "Nothing was changed. See `secureflag-licenses status`, then try again.";

/**
 * Computes a subscription with a reduction, or without one, by the rules of the backend (src/billing/README.md, Reductions).
 *
 * @param count the number of licenses from the renewal on; `null` for all
 * @throws CliError as the backend would: `invalid_request` for no fewer licenses, or fewer than are used;
 *   `subscription_not_purchasable` if nothing will be renewed, or a reduction has taken effect
 */
export function reduced(subscription: Subscription, count: number | null): Subscription {
  const { purchased, used } = subscription.licenses;
  assertChangeable(subscription);
  if (count !== null) assertReducible(subscription, count);
  const { autoRenew } = subscription.renewal;
  if (!autoRenew) return { ...subscription, reduction: null };
  const renewing = licensesAtRenewal({ purchased, used, reduction: count });
  const charge = chargeFor(subscription, renewing);
  return {
    ...subscription,
    reduction: count === null ? null : { licenses: count, date: subscription.term.renewalDate },
    renewal: { autoRenew, licenses: renewing, ...charge },
  };
}

/** Computes the charge in the steps inferred from the current renewal price: the subscription does not include them. */
function chargeFor({ plan: { unitPrice }, taxRate, renewal }: Subscription, count: number): Charge {
  const charge = (licenses: number, chargeStep: number) =>
    recurringCharge({ unitPrice, licenses, taxRate, chargeStep });
  const coarse = maxChargeStep(unitPrice.currency);
  const isCoarse = renewal.licenses !== null && charge(renewal.licenses, coarse).total.amount === renewal.total?.amount;
  return charge(count, isCoarse ? coarse : 1);
}

/**
 * While a renewal is unpaid, a reduction may be part of the price of a term that has started. If that renewal is in progress,
 * the backend decides.
 */
function assertChangeable(subscription: Subscription): void {
  const { reduction, state, unpaid } = subscription;
  const isPaid = state !== "past_due" && state !== "suspended";
  if (isPaid || reduction === null || reduction.date > purchaseDateOf(subscription)) return;
  throw new CliError(
    "subscription_not_purchasable",
    `The reduction to ${reduction.licenses} took effect on ${reduction.date}; ` +
      "it cannot be changed until the renewals since then are paid",
    {
      hint:
        unpaid === null
          ? "Nothing was changed. See `secureflag-licenses purchases list --kind renewal`, " +
            "then pay with `secureflag-licenses purchases pay <id>`."
          : `Nothing was changed. Pay the renewal with ${payCommand(unpaid.purchaseId)}.`,
    },
  );
}

function assertReducible({ renewal, term, licenses: { purchased, used } }: Subscription, count: number): void {
  if (!renewal.autoRenew) {
    throw new CliError("subscription_not_purchasable", `The subscription does not renew on ${term.renewalDate}`, {
      hint: NOTHING_CHANGED,
    });
  }
  if (count < used) throw refused(`Cannot reduce to ${licenses(count)}: ${used} of ${purchased} purchased are in use`);
  if (count >= purchased) {
    throw refused(`Cannot reduce to ${licenses(count)}: only ${purchased} are purchased, of which ${used} are in use`);
  }
}

function refused(message: string): CliError {
  return new CliError("invalid_request", message, { hint: NOTHING_CHANGED });
}
