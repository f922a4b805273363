import type { FastifyInstance } from "fastify";
import type { z } from "zod";
import { BillingError } from "../../billing/errors.ts";
import { IDLE_DAYS, idleCutoff } from "../../billing/idle.ts";
import { formatMoney, money } from "../../billing/money.ts";
import { minLicensesFor, type Price, priceLicenses, quoteExpiry } from "../../billing/quote.ts";
import type { eventSchema, Quote } from "../../contract/billing.ts";
import { budgetStateOf } from "../control/budget.ts";
import type { EventRow, OrganizationSubscription } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { actorOf, BACKEND, listEvents, OPERATOR, PAYMENT_PAGE } from "../events/events.ts";
import type { RouteDeps } from "../http/register.ts";
import { type Answer, type Identity, pageLimit, register } from "../http/register.ts";
import { chargeStepOf, limitsOf } from "../payments/gateway.ts";
import { readRenewed, renewalInProgress } from "../renewals/renew.ts";
import { cancelReduction, scheduleReduction } from "../subscriptions/reductions.ts";
import { readCounts, readQuote, readSubscription, saveQuote } from "../subscriptions/store.ts";
import { assertPurchasable, type SubscriptionSnapshot, snapshotAt, subscriptionView } from "../subscriptions/view.ts";

/** Registers the calls about the subscription, its reduction, quotes and the audit log. */
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

  register(app, deps, "listEvents", async ({ organization, query, identity }) => {
    const limit = pageLimit(query.limit);
    const rows = await listEvents(deps.database, organization.id, {
      after: Number(query.after ?? 0),
      limit: limit + 1,
    });
    const items = rows.slice(0, limit).map((row) => eventView(row, identity));
    return { status: 200, body: { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null } };
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

const NOT_PEOPLE: readonly string[] = [BACKEND, OPERATOR, PAYMENT_PAGE];

/** The data of events about users, API tokens and policies that every reader sees: no person, no scope, no limit of a token. */
const PUBLIC_FIELDS = {
  user: ["role", "adminNoTraining"],
  token: ["tokenId", "name"],
  policy: ["changeId", "kind", "before", "after", "approvalAbove", "budget", "from", "role", "takesEffectAt"],
} as const;

/**
 * Returns an entry of the audit log, without what its reader cannot see elsewhere: people and emails need the scope
 * `users:read`, scopes and limits of API tokens a session.
 */
function eventView(row: EventRow, reader: Pick<Identity, "scopes" | "token">): z.infer<typeof eventSchema> {
  const seesPeople = reader.scopes.includes("users:read");
  const data = JSON.parse(row.data_json) as Record<string, unknown>;
  const [about] = row.type.split(".");
  const isAboutPeople = about === "user" || about === "policy";
  const isReduced = (isAboutPeople && !seesPeople) || (about === "token" && reader.token !== null);
  return {
    id: String(row.number),
    at: new Date(row.at).toISOString(),
    type: row.type,
    actor: seesPeople ? row.actor : impersonal(row.actor),
    purchaseId: row.purchase_id,
    data: isReduced ? picked(data, PUBLIC_FIELDS[about]) : data,
  };
}

function picked(data: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(data).filter(([name]) => names.includes(name)));
}

/** Hides an actor that is a person's email: any but the backend, the payment page and API tokens. */
function impersonal(actor: string): string {
  return NOT_PEOPLE.includes(actor) || actor.startsWith("token ") ? actor : "user";
}
