import { BillingError } from "../../../billing/errors.ts";
import { addMoney, type Money, parseMoney, toDecimalString } from "../../../billing/money.ts";
import { DEFAULT_LICENSE_LIMIT } from "../../../billing/quote.ts";
import type { Purchase, Subscription } from "../../../contract/billing.ts";
import type { Scope } from "../../../contract/constants.ts";
import type { Me } from "../../../contract/identity.ts";
import { CliError, usageError } from "../../errors.ts";
import { licenses, moneyText } from "../../kit/words.ts";
import type { Offer } from "./offer.ts";
import type { Guards } from "./tools.ts";

/**
 * Checks the number of licenses against `--max-licenses`, before anything is quoted.
 *
 * @throws CliError `max_licenses_exceeded`
 */
export function checkCount({ maxLicenses }: Pick<Guards, "maxLicenses">, count: number): void {
  if (maxLicenses === null || count <= maxLicenses) return;
  throw new CliError(
    "max_licenses_exceeded",
    `This would buy ${licenses(count)}, and --max-licenses allows ${maxLicenses}`,
    { hint: "This command bought nothing. Buy fewer licenses, or raise --max-licenses." },
  );
}

/**
 * Checks the number of licenses against the default limit of a purchase.
 *
 * @throws CliError `license_limit`
 */
export function checkLimit(count: number): void {
  if (count <= DEFAULT_LICENSE_LIMIT) return;
  throw new CliError("license_limit", `Cannot buy ${count} licenses at once: the limit is ${DEFAULT_LICENSE_LIMIT}`);
}

/**
 * Checks an offer against `--if-purchased` and `--max-total`, and against the organization's budget, as the backend does for
 * the purchase.
 *
 * @throws CliError `if_purchased_not_met`, `max_total_exceeded`, `budget_exceeded`; `invalid_usage` for an amount that the
 *   currency does not have
 */
export function checkGuards(guards: Pick<Guards, "maxTotal" | "ifPurchased">, { subscription, quote }: Offer): void {
  checkPurchased(guards, subscription, "This command bought nothing");
  const limit = limitOf(guards, quote.total.currency);
  if (limit !== null && quote.total.amount > limit.amount) {
    throw new CliError(
      "max_total_exceeded",
      `The total with tax is ${moneyText(quote.total)}, and --max-total allows ${moneyText(limit)}`,
      { hint: "This command bought nothing. Buy fewer licenses, or raise --max-total." },
    );
  }
  const { budget } = subscription;
  if (budget === null || quote.total.amount <= budget.left.amount) return;
  const left = `${moneyText(budget.left)} left of its budget of ${moneyText(budget.amount)} a ${budget.period}`;
  throw new CliError(
    "budget_exceeded",
    `The purchase costs ${moneyText(quote.total)}, but the organization has ${left}`,
  );
}

/**
 * The amount of `--max-total` in a currency; `null` without the flag.
 *
 * @throws CliError `invalid_usage` for an amount that the currency does not have
 */
export function limitOf({ maxTotal }: Pick<Guards, "maxTotal">, currency: string): Money | null {
  return maxTotal === null ? null : amountOf(maxTotal, currency);
}

/**
 * Checks `--if-purchased`.
 *
 * @param outcome what was not done, a sentence without its full stop
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
    `${purchased} licenses are purchased, and --if-purchased is ${ifPurchased}`,
    { hint: `${outcome}. See \`secureflag-licenses status\`, then try again.` },
  );
}

/**
 * Computes what is left of a command's guards after its purchases: they hold for all of them together.
 *
 * @param made purchases in one currency, which the guards allowed
 */
export function guardsAfter({ maxTotal, maxLicenses, ifPurchased }: Guards, made: readonly Purchase[]): Guards {
  const [first, ...others] = made.map(({ total }) => total);
  const bought = made.reduce((sum, purchase) => sum + purchase.licenses, 0);
  return {
    maxTotal: maxTotal !== null && first ? rest(maxTotal, others.reduce(addMoney, first)) : maxTotal,
    maxLicenses: maxLicenses === null ? null : Math.max(0, maxLicenses - bought),
    ifPurchased: ifPurchased === null ? null : ifPurchased + bought,
  };
}

function rest(maxTotal: string, { amount, currency }: Money): string {
  return toDecimalString({ amount: Math.max(0, amountOf(maxTotal, currency).amount - amount), currency });
}

function amountOf(text: string, currency: string): Money {
  try {
    return parseMoney(text, currency);
  } catch (error) {
    if (error instanceof BillingError) throw usageError(`--max-total: ${error.message}`, "Nothing was bought.");
    throw error;
  }
}

const NEEDED: Scope = "billing:purchase";

/**
 * Checks scope and spending limit of the token, before a person decides, as the backend does for the purchase.
 *
 * @param me who is signed in; `null` if the backend does not report it
 * @throws CliError `insufficient_scope`, `spend_limit_exceeded`
 */
export function assertTokenAllows(me: Me | null, { quote }: Pick<Offer, "quote">): void {
  if (me === null) return;
  assertMayPurchase(me);
  const limit = exceededLimit(me.token, quote);
  if (limit !== null) throw new CliError("spend_limit_exceeded", `This purchase ${limit} this month`);
}

/**
 * Checks that the token may change purchases and the renewal.
 *
 * @throws CliError `insufficient_scope`
 */
export function assertMayPurchase(me: Pick<Me, "token"> | null): void {
  if (me === null || me.token.scopes.includes(NEEDED)) return;
  throw new CliError("insufficient_scope", `This needs a token with the scope ${NEEDED}`);
}

/**
 * Checks that a person is signed in: a token approves and rejects nothing.
 *
 * @throws CliError `forbidden`
 */
export function assertMayDecide(me: Pick<Me, "token"> | null): void {
  if (me === null || me.token.name === null) return;
  throw new CliError("forbidden", "API tokens cannot approve or reject purchases");
}

function exceededLimit({ name, spendLimit }: Me["token"], { total, licenses: count }: Offer["quote"]): string | null {
  if (spendLimit === null) return null;
  const { amount, amountLeft, licenses: most, licensesLeft } = spendLimit;
  if (amount !== null && amountLeft !== null && total.amount > amountLeft.amount) {
    const left = `${moneyText(amountLeft)} left of its ${moneyText(amount)}`;
    return `costs ${moneyText(total)}, but the token "${name}" has ${left}`;
  }
  if (licensesLeft !== null && count > licensesLeft) {
    return `has ${licenses(count)}, but the token "${name}" has ${licensesLeft} left of its ${most}`;
  }
  return null;
}
