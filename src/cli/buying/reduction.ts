import { type Charge, largestChargeStep, recurringCharge } from "../../billing/proration.ts";
import { licensesAtRenewal } from "../../billing/quote.ts";
import type { Subscription } from "../../contract/billing.ts";
import { CliError } from "../errors.ts";
import { licenses } from "../kit/words.ts";
import { purchaseDateOf } from "./engine/offer.ts";
import { payCommand } from "./purchaseView.ts";

const NOTHING_CHANGED = "Nothing was changed. Look at `secureflag-licenses status`, then decide again.";

/**
 * A subscription as it would be with a reduction, or without one, by the rules that the backend follows (details.md, 31).
 *
 * @param count so many licenses from the renewal on; `null` for all
 * @throws CliError as the backend would refuse it: `invalid_request` for no fewer licenses, or fewer than are used;
 *   `subscription_not_purchasable` where nothing will be renewed, or a reduction counts already
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

/** Charged in the steps that explain what the renewal costs now: the subscription does not tell them. */
function chargeFor({ plan: { unitPrice }, taxRate, renewal }: Subscription, count: number): Charge {
  const charge = (licenses: number, chargeStep: number) =>
    recurringCharge({ unitPrice, licenses, taxRate, chargeStep });
  const coarse = largestChargeStep(unitPrice.currency);
  const isCoarse = renewal.licenses !== null && charge(renewal.licenses, coarse).total.amount === renewal.total?.amount;
  return charge(count, isCoarse ? coarse : 1);
}

/**
 * While a renewal is not paid, a reduction may wait for the renewal of a term that has begun, and is in its price. Of one
 * whose renewal is just being made the backend decides.
 */
function assertChangeable(subscription: Subscription): void {
  const { reduction, state, unpaid } = subscription;
  const isPaid = state !== "past_due" && state !== "suspended";
  if (isPaid || reduction === null || reduction.date > purchaseDateOf(subscription)) return;
  throw new CliError(
    "subscription_not_purchasable",
    `The reduction to ${reduction.licenses} counts since ${reduction.date}; ` +
      "it cannot be changed before the renewals until today are paid",
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
    throw new CliError(
      "subscription_not_purchasable",
      `The subscription does not renew on ${term.renewalDate}, with fewer licenses or with more`,
      { hint: NOTHING_CHANGED },
    );
  }
  if (count < used) throw refused(`${count} is fewer than the ${licenses(used)} in use, of ${purchased} purchased`);
  if (count >= purchased) {
    throw refused(`${count} is not fewer than the ${licenses(purchased)} purchased, of which ${used} are in use`);
  }
}

function refused(message: string): CliError {
  return new CliError("invalid_request", message, { hint: NOTHING_CHANGED });
}
