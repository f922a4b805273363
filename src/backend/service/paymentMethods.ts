import type { Kysely } from "kysely";
import type { PaymentMethod } from "../../contract/basics.ts";
import type { Database } from "../database/schema.ts";
import { BackendError } from "../errors.ts";
import { OPERATOR } from "../events/events.ts";
import { saveMethod } from "../paymentMethod/store.ts";
import { CARD_RULES } from "../payments/cards.ts";
import { GatewayRefusal, type PaymentChoice } from "../payments/gateway.ts";
import { customerOf } from "../purchases/customer.ts";
import { databaseNow } from "./clock.ts";
import { invalidSettings } from "./given.ts";
import type { OperatorProvider } from "./operatorProvider.ts";

/** Which payment method to set. */
interface MethodOptions {
  /** A test card, or a card at the provider: the customer's, or one that belongs to nobody. */
  readonly paymentMethod: string;
  readonly provider: OperatorProvider;
  random(bytes: number): Buffer;
}

/**
 * Sets the payment method for an organization's later purchases and renewals. A card at the provider that belongs to nobody is
 * attached to the organization's customer, who is created if necessary.
 *
 * @throws BackendError `not_found`; `settings_invalid` for a method that the provider refuses, or that is no card;
 *   `unavailable` without an answer from it
 */
export async function setPaymentMethod(
  database: Kysely<Database>,
  organizationId: number,
  options: MethodOptions,
): Promise<PaymentMethod> {
  const organization = await readNamed(database, organizationId);
  const { provider, paymentMethod } = options;
  if (provider.name === "sandbox") {
    const known = CARD_RULES.choices().map(({ id }) => id);
    if (!known.includes(paymentMethod)) {
      throw invalidSettings([`The payment method must be one of ${known.join(", ")}`]);
    }
    const described = CARD_RULES.describe(paymentMethod, null);
    await save(database, organizationId, { id: paymentMethod, label: described.label });
    return described;
  }
  const card = await attach(database, organization, options);
  await save(database, organizationId, card);
  return { type: "card", label: card.label };
}

async function readNamed(database: Kysely<Database>, organizationId: number) {
  const found = await database
    .selectFrom("subscriptions")
    .innerJoin("organizations", "organizations.id", "subscriptions.organization_id")
    .select(["organization_id", "name", "customer_id"])
    .where("organization_id", "=", organizationId)
    .executeTakeFirst();
  if (!found) throw new BackendError("not_found", `Organization ${organizationId} not found`);
  return found;
}

/** Attaches a card to the customer of an organization. */
function attach(
  database: Kysely<Database>,
  organization: Awaited<ReturnType<typeof readNamed>>,
  { paymentMethod, provider, random }: MethodOptions,
): Promise<PaymentChoice> {
  return provider.lookUp(async (records) => {
    if (!records?.customers) throw invalidSettings(["The payment provider has no customers"]);
    // Databases of one test account may have the same organization, so the key is not its ID.
    const key = `customer:${random(16).toString("hex")}`;
    const customer = await customerOf(database, organization, records.customers, key);
    try {
      return await records.customers.attachCard(customer, paymentMethod);
    } catch (error) {
      if (!(error instanceof GatewayRefusal)) throw error;
      throw invalidSettings([`Cannot pay with ${paymentMethod}: ${error.message}`], CHOOSE_CARD);
    }
  });
}

const CHOOSE_CARD =
  "Pass the ID of a card of the organization's customer at Stripe, or of one that belongs to nobody: pm_…";

async function save(database: Kysely<Database>, organizationId: number, method: PaymentChoice): Promise<void> {
  const at = Math.round(await databaseNow(database));
  await saveMethod(database, organizationId, method, { actor: OPERATOR, at });
}
