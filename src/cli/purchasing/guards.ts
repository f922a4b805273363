import { BillingError } from "../../billing/errors.ts";
import { formatMoney, type Money, parseMoney } from "../../billing/money.ts";
import type { Subscription } from "../../contract/billing.ts";
import { CliError, usageError } from "../errors.ts";
import { licenses } from "../render/words.ts";
import type { Offer } from "./offer.ts";
import type { Guards } from "./request.ts";

/**
 * Stops a purchase of more licenses than the command allows, before anything is quoted.
 *
 * @throws CliError `max_licenses_exceeded`
 */
export function checkCount({ maxLicenses }: Pick<Guards, "maxLicenses">, count: number): void {
  if (maxLicenses === null || count <= maxLicenses) return;
  throw new CliError(
    "max_licenses_exceeded",
    `This would buy ${licenses(count)}, and --max-licenses allows ${maxLicenses}`,
    { hint: "This command bought nothing. Aim for fewer licenses, or raise --max-licenses." },
  );
}

/**
 * Stops a purchase that goes beyond what the command allows.
 *
 * @throws CliError `if_purchased_not_met`, `max_total_exceeded`; `invalid_usage` for an amount that the currency
 *   does not have
 */
export function checkGuards(guards: Pick<Guards, "maxTotal" | "ifPurchased">, { subscription, quote }: Offer): void {
  checkPurchased(guards, subscription, "This command bought nothing");
  const limit = guards.maxTotal === null ? null : amountOf(guards.maxTotal, quote.total.currency);
  if (limit !== null && quote.total.amount > limit.amount) {
    throw new CliError(
      "max_total_exceeded",
      `The total with tax is ${formatMoney(quote.total)}, and --max-total allows ${formatMoney(limit)}`,
      { hint: "This command bought nothing. Buy fewer licenses, or raise --max-total." },
    );
  }
}

/**
 * Stops what was decided on another count of purchased licenses.
 *
 * @param outcome what did not happen, a sentence without its end
 * @throws CliError `if_purchased_not_met`
 */
export function checkPurchased(
  { ifPurchased }: Pick<Guards, "ifPurchased">,
  { licenses: { purchased } }: Subscription,
  outcome: string,
): void {
  if (ifPurchased === null || ifPurchased === purchased) return;
  throw new CliError(
    "if_purchased_not_met",
    `There are ${purchased} purchased licenses, and --if-purchased says ${ifPurchased}`,
    { hint: `${outcome}. Look at \`secureflag-licenses status\`, then decide again.` },
  );
}

function amountOf(text: string, currency: string): Money {
  try {
    return parseMoney(text, currency);
  } catch (error) {
    if (error instanceof BillingError) throw usageError(`--max-total: ${error.message}`);
    throw error;
  }
}
