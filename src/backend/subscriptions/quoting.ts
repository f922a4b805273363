import { BillingError } from "../../billing/errors.ts";
import { formatMoney, money } from "../../billing/money.ts";
import { fewestLicensesReaching, type Price, priceLicenses, quoteExpiry } from "../../billing/quote.ts";
import type { Quote } from "../../contract/billing.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../problem.ts";
import { readRenewed, renewalUnderWay } from "../renewals/renew.ts";
import { saveQuote } from "../store/subscriptions.ts";
import { pictureAt, type SubscriptionPicture } from "./picture.ts";
import { assertPurchasable } from "./standing.ts";

/**
 * Prices N more licenses and keeps the offer (billing-rules.md, Quotes). A renewal that is due is made first, so that what
 * is bought on the renewal date is in the new term.
 *
 * @throws ProblemError `not_found`, `license_limit`, `subscription_not_purchasable`, `below_minimum_charge`,
 *   `unavailable` while a renewal is being charged
 */
export async function makeQuote(deps: BackendDeps, organizationId: number, licenses: number): Promise<Quote> {
  if (licenses > deps.licenseLimit) {
    throw new ProblemError("license_limit", `One purchase has at most ${deps.licenseLimit} licenses, not ${licenses}`);
  }
  const now = deps.clock.now();
  const picture = pictureAt(await readRenewed(deps, organizationId, now), now);
  assertPurchasable(picture);
  if (picture.row.unpaid_renewal !== null) throw renewalUnderWay();
  const price = priceOf(deps, picture, licenses);
  const chargeStep = deps.gateway.chargeStep(picture.row.currency);
  assertAboveMinimum(deps, picture, price);
  const quote: Quote = {
    id: `quo_${deps.random(12).toString("hex")}`,
    ...price,
    subscriptionVersion: picture.row.version,
    createdAt: new Date(now).toISOString(),
    expiresAt: new Date(quoteExpiry(now, picture.today, picture.row.time_zone)).toISOString(),
    ...(chargeStep !== 1 && { chargeStep }),
  };
  await saveQuote(deps.database, {
    id: quote.id,
    organization_id: organizationId,
    licenses,
    subscription_version: quote.subscriptionVersion,
    purchase_date: quote.purchaseDate,
    expires_at: Date.parse(quote.expiresAt),
    quote_json: JSON.stringify(quote),
  });
  return quote;
}

function priceOf(deps: BackendDeps, picture: SubscriptionPicture, licenses: number): Price {
  try {
    return priceLicenses(picture.priced, licenses, picture.today, deps.gateway.chargeStep(picture.row.currency));
  } catch (error) {
    if (!(error instanceof BillingError) || error.code !== "amount_out_of_range") throw error;
    throw new ProblemError("license_limit", `${error.message}; ask for fewer licenses`);
  }
}

function assertAboveMinimum(deps: BackendDeps, picture: SubscriptionPicture, price: Price): void {
  const { amount, currency } = price.total;
  const minimum = deps.gateway.minimumCharge(currency);
  if (amount === 0 || amount >= minimum) return;
  const totalOf = (licenses: number) => priceOf(deps, picture, licenses).total.amount;
  const fewest = fewestLicensesReaching(minimum, deps.licenseLimit, totalOf);
  const advice =
    fewest === null
      ? "and no number of licenses reaches it today; from the renewal date on the full price is charged"
      : `which ${fewest} licenses reach today`;
  throw new ProblemError(
    "below_minimum_charge",
    `${formatMoney(price.total)} is below the smallest charge of ${formatMoney(money(minimum, currency))}, ${advice}`,
    { fewestLicenses: fewest },
  );
}
