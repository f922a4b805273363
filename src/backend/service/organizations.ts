import type { Kysely } from "kysely";
import { dateInZone } from "../../billing/calendar.ts";
import { BillingError } from "../../billing/errors.ts";
import { isCurrency, type Money, parseMoney } from "../../billing/money.ts";
import type { Database } from "../database/schema.ts";
import { secretBox } from "../identity/secretBox.ts";
import { parseOrganization, type SeedOrganization } from "../seeding/seedFile.ts";
import { seedRows } from "../seeding/seedRows.ts";
import { databaseNow } from "./clock.ts";
import { invalidSettings } from "./given.ts";
import { type CreatedOrganization, createOrganizations } from "./import.ts";
import type { OperatorProvider } from "./operatorProvider.ts";

/** An organization to create. `unitPrice` is in major units, before tax. */
export interface NewOrganization {
  readonly id: number;
  readonly name: string;
  readonly timeZone: string;
  readonly plan: string;
  readonly unitPrice: string;
  readonly currency: string;
  readonly interval: string;
  readonly intervalCount: number;
  readonly anchorDate: string;
  readonly taxRate: string;
  readonly licenses: number;
  readonly autoRenew: boolean;
  /** Its customer at Stripe, instead of one that is created with the first payment. */
  readonly stripeCustomerId: string | null;
}

/** How to create an organization. */
interface CreateOptions {
  /** The provider that charges it. */
  readonly provider: OperatorProvider;
  random(bytes: number): Buffer;
}

/** The flag for each path of an organization. */
const FLAGS: Readonly<Record<string, string>> = {
  id: "--id",
  name: "--name",
  timeZone: "--time-zone",
  "subscription.plan": "--plan",
  "subscription.interval": "--interval",
  "subscription.intervalCount": "--interval-count",
  "subscription.anchorDate": "--anchor-date",
  "subscription.unitPrice.amount": "--unit-price",
  "subscription.unitPrice.currency": "--currency",
  "subscription.taxRate": "--tax-rate",
  "subscription.licenses": "--licenses",
  stripeCustomerId: "--stripe-customer",
};

/**
 * Creates an organization without users and without a payment method.
 *
 * @throws BackendError `settings_invalid` with all problems, including a subscription that has not started;
 *   `organization_exists`; `unavailable` without an answer from the provider
 */
export async function createOrganization(
  database: Kysely<Database>,
  { id, name, timeZone, unitPrice, currency, stripeCustomerId, ...subscription }: NewOrganization,
  { provider, random }: CreateOptions,
): Promise<CreatedOrganization> {
  const problems: string[] = [];
  const organization = parseOrganization({
    id,
    name,
    timeZone,
    subscription: { ...subscription, unitPrice: parsePrice(unitPrice, currency, problems) },
    paymentMethod: null,
    stripeCustomerId,
    usedLicenses: 0,
    users: [],
  });
  const described = Array.isArray(organization) ? organization : await chargeProblems(organization, provider);
  problems.push(...described.map(({ path, message }) => `${FLAGS[path] ?? path} ${message}`));
  if (Array.isArray(organization) || problems.length > 0) throw invalidSettings(problems, CORRECT_FLAGS);
  return create(database, organization, random);
}

/** Why the provider cannot charge an organization, by path. */
async function chargeProblems(
  { subscription, stripeCustomerId: customer }: SeedOrganization,
  provider: OperatorProvider,
): Promise<{ path: string; message: string }[]> {
  const { currency } = subscription.unitPrice;
  const problems = [];
  if (provider.limits(currency) === null) {
    problems.push({
      path: "subscription.unitPrice.currency",
      message: `cannot be ${currency}: not supported by the payment provider`,
    });
  }
  if (customer) {
    const message = await provider.lookUp(async (records) => {
      if (!records?.customers) return "requires --payments stripe";
      return (await records.customers.exists(customer)) ? null : `${customer} was not found at Stripe`;
    });
    if (message !== null) problems.push({ path: "stripeCustomerId", message });
  }
  return problems;
}

const CORRECT_FLAGS = "Nothing was created. Correct the flags.";

async function create(
  database: Kysely<Database>,
  organization: SeedOrganization,
  random: (bytes: number) => Buffer,
): Promise<CreatedOrganization> {
  const now = Math.round(await databaseNow(database));
  const today = dateInZone(now, organization.timeZone);
  if (organization.subscription.anchorDate > today) {
    throw invalidSettings([`--anchor-date cannot be later than today (${today})`], CORRECT_FLAGS);
  }
  // Without users there are no secrets to encrypt, so any key will do.
  await createOrganizations(database, [seedRows(organization, now, random)], secretBox([random(32)], random));
  return { id: organization.id, name: organization.name };
}

function parsePrice(text: string, currency: string, problems: string[]): Money {
  try {
    // `parseOrganization` reports an unknown currency.
    return isCurrency(currency) ? parseMoney(text, currency) : { amount: 0, currency };
  } catch (error) {
    if (!(error instanceof BillingError)) throw error;
    problems.push(`--unit-price: ${error.message}`);
    return { amount: 0, currency };
  }
}
