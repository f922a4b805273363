import type { Kysely } from "kysely";
import { dateInZone } from "../../billing/calendar.ts";
import { BillingError } from "../../billing/errors.ts";
import { isCurrency, type Money, parseMoney } from "../../billing/money.ts";
import type { PaymentMethod } from "../../contract/basics.ts";
import type { Database } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { BackendError } from "../errors.ts";
import { OPERATOR, recordEvent } from "../events/events.ts";
import { secretBox } from "../identity/secretBox.ts";
import { CARD_RULES } from "../payments/cards.ts";
import { parseOrganization, type SeedOrganization } from "../seeding/seedFile.ts";
import { seedRows } from "../seeding/seedRows.ts";
import { databaseNow } from "./clock.ts";
import { invalidSettings } from "./given.ts";
import { type CreatedOrganization, createOrganizations } from "./import.ts";

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
};

/**
 * Creates an organization without users and without a payment method.
 *
 * @throws BackendError `settings_invalid` with all problems, including a subscription that has not started;
 *   `organization_exists`
 */
export async function createOrganization(
  database: Kysely<Database>,
  { id, name, timeZone, unitPrice, currency, ...subscription }: NewOrganization,
  random: (bytes: number) => Buffer,
): Promise<CreatedOrganization> {
  const problems: string[] = [];
  const organization = parseOrganization({
    id,
    name,
    timeZone,
    subscription: { ...subscription, unitPrice: parsePrice(unitPrice, currency, problems) },
    paymentMethod: null,
    usedLicenses: 0,
    users: [],
  });
  if (Array.isArray(organization)) {
    problems.push(...organization.map(({ path, message }) => `${FLAGS[path] ?? path} ${message}`));
  } else if (problems.length === 0) return create(database, organization, random);
  throw invalidSettings(problems, CORRECT_FLAGS);
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

/**
 * Sets the payment method for an organization's later purchases and renewals.
 *
 * @throws BackendError `not_found`; `settings_invalid` for a method unknown to the provider
 */
export async function setPaymentMethod(
  database: Kysely<Database>,
  organizationId: number,
  paymentMethod: string,
): Promise<PaymentMethod> {
  const known = CARD_RULES.choices().map(({ id }) => id);
  if (!known.includes(paymentMethod)) throw invalidSettings([`The payment method must be one of ${known.join(", ")}`]);
  const at = Math.round(await databaseNow(database));
  await inTransaction(database, async (tx) => {
    const changed = await tx
      .updateTable("subscriptions")
      // A buyer who is about to confirm a purchase has seen the previous method, so outdate their quote.
      .set((expression) => ({ payment_method: paymentMethod, version: expression("version", "+", 1) }))
      .where("organization_id", "=", organizationId)
      .returning("organization_id")
      .executeTakeFirst();
    if (!changed) throw new BackendError("not_found", `Organization ${organizationId} not found`);
    const data = { paymentMethod };
    await recordEvent(tx, { organizationId, at, actor: OPERATOR, type: "payment_method.changed", data });
  });
  return CARD_RULES.describe(paymentMethod, null);
}
