import type { FastifyInstance } from "fastify";
import { BillingError } from "../../billing/errors.ts";
import { IDLE_DAYS, idleCutoff } from "../../billing/idle.ts";
import { formatMoney, money } from "../../billing/money.ts";
import { minLicensesFor, type Price, priceLicenses, quoteExpiry } from "../../billing/quote.ts";
import type { Quote } from "../../contract/billing.ts";
import { budgetStateOf } from "../control/budget.ts";
import type { OrganizationSubscription } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { actorOf } from "../events/events.ts";
import type { RouteDeps } from "../http/register.ts";
import { type Answer, type Identity, register } from "../http/register.ts";
import { chargeStepOf, limitsOf } from "../payments/gateway.ts";
import { readRenewed, renewalInProgress } from "../renewals/renew.ts";
import { cancelReduction, scheduleReduction } from "../subscriptions/reductions.ts";
import { readCounts, readQuote, readSubscription, saveQuote } from "../subscriptions/store.ts";
import { assertPurchasable, type SubscriptionSnapshot, snapshotAt, subscriptionView } from "../subscriptions/view.ts";

/** Registers the calls about the subscription, its reduction and quotes. */
export function registerBilling(app: FastifyInstance, deps: RouteDeps): void {
  register(app, deps, "getSubscription", async ({ organization }) =>
    subscriptionAnswer(deps, organization.subscription),
  );

  register(app, deps, "reduceLicenses", async ({ organization, body, identity }) => {
    const { licenses, subscriptionVersion: version = null } = body;
    const change = changeBy(deps, identity);
    await readRenewed(deps, organization.subscription, change.now);
    await scheduleReduction(deps.database, organization.id, { licenses, version }, change);
    return subscriptionAnswer(deps, await readSubscription(deps.database, organization.id));
  });

  register(app, deps, "cancelReduction", async ({ organization, identity }) => {
    const change = changeBy(deps, identity);
    await readRenewed(deps, organization.subscription, change.now);
    await cancelReduction(deps.database, organization.id, change);
    return subscriptionAnswer(deps, await readSubscription(deps.database, organization.id));
  });

  register(app, deps, "createQuote", async ({ organization, body }) => ({
    status: 201,
    body: await makeQuote(deps, organization.subscription, body.licenses),
  }));

  register(app, deps, "getQuote", async ({ organization, params }) => {
    const row = await readQuote(deps.database, organization.id, params.quoteId);
    return { status: 200, body: JSON.parse(row.quote_json) as Quote };
  });
}

async function subscriptionAnswer(deps: BackendDeps, subscription: OrganizationSubscription): Promise<Answer> {
  const now = deps.clock.now();
  const snapshot = snapshotAt(subscription, now);
  const counts = await readCounts(deps.database, subscription.organization_id, idleCutoff(now, IDLE_DAYS));
  const budget = await budgetStateOf(deps.database, subscription, now);
  return { status: 200, body: subscriptionView(snapshot, { ...counts, budget }, deps.gateway, now) };
}

function changeBy({ clock }: BackendDeps, { user, token }: Identity) {
  return { actor: actorOf({ email: user.email, token }), now: clock.now() };
}

/**
 * Prices additional licenses and stores the quote (src/billing/README.md, Quotes). A renewal that is due is made first, so
 * that licenses bought on the renewal date belong to the new term.
 *
 * @throws BackendError `not_found`, `license_limit`, `subscription_not_purchasable`, `below_minimum_charge`,
 *   `unavailable` while a renewal is being charged
 */
async function makeQuote(deps: BackendDeps, subscription: OrganizationSubscription, licenses: number): Promise<Quote> {
  if (licenses > deps.licenseLimit) {
    throw new BackendError(
      "license_limit",
      `A purchase can have at most ${deps.licenseLimit} licenses, not ${licenses}`,
    );
  }
  const now = deps.clock.now();
  const snapshot = snapshotAt(await readRenewed(deps, subscription, now), now);
  assertPurchasable(snapshot);
  if (snapshot.row.unpaid_renewal !== null) throw renewalInProgress();
  const price = priceOf(deps, snapshot, licenses);
  const chargeStep = chargeStepOf(deps.gateway, snapshot.row.currency);
  assertChargeable(deps, snapshot, price);
  const quote: Quote = {
    id: `quo_${deps.random(12).toString("hex")}`,
    ...price,
    subscriptionVersion: snapshot.row.version,
    createdAt: new Date(now).toISOString(),
    expiresAt: new Date(quoteExpiry(now, snapshot.today, snapshot.row.time_zone)).toISOString(),
    ...(chargeStep !== 1 && { chargeStep }),
  };
  await saveQuote(deps.database, {
    id: quote.id,
    organization_id: subscription.organization_id,
    licenses,
    subscription_version: quote.subscriptionVersion,
    purchase_date: quote.purchaseDate,
    expires_at: Date.parse(quote.expiresAt),
    quote_json: JSON.stringify(quote),
  });
  return quote;
}

function priceOf(deps: BackendDeps, snapshot: SubscriptionSnapshot, licenses: number): Price {
  try {
    return priceLicenses(snapshot.priced, licenses, snapshot.today, chargeStepOf(deps.gateway, snapshot.row.currency));
  } catch (error) {
    if (!(error instanceof BillingError) || error.code !== "amount_out_of_range") throw error;
    throw new BackendError("license_limit", `${error.message}; request fewer licenses`);
  }
}

function assertChargeable(deps: BackendDeps, snapshot: SubscriptionSnapshot, price: Price): void {
  const { amount, currency } = price.total;
  const { minimum, maximum } = limitsOf(deps.gateway, currency);
  if (maximum !== null && amount > maximum) {
    const most = formatMoney(money(maximum, currency));
    throw new BackendError(
      "license_limit",
      `${formatMoney(price.total)} is above the maximum charge of ${most}; request fewer licenses`,
    );
  }
  if (amount === 0 || amount >= minimum) return;
  const totalOf = (licenses: number) => priceOf(deps, snapshot, licenses).total.amount;
  const fewest = minLicensesFor(minimum, deps.licenseLimit, totalOf);
  const advice =
    fewest === null
      ? "which no number of licenses reaches today; from the renewal date on, the full price is charged"
      : `which ${fewest} licenses reach today`;
  throw new BackendError(
    "below_minimum_charge",
    `${formatMoney(price.total)} is below the minimum charge of ${formatMoney(money(minimum, currency))}, ${advice}`,
    { fewestLicenses: fewest },
  );
}
