import type { Kysely } from "kysely";
import type { PaymentMethod } from "../../contract/basics.ts";
import type { Database } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { BackendError } from "../errors.ts";
import { OPERATOR, recordEvent } from "../events/events.ts";
import { CARD_RULES } from "../payments/cards.ts";
import { type CustomerRecords, GatewayRefusal, type PaymentChoice } from "../payments/gateway.ts";
import { keepCustomer } from "../purchases/customer.ts";
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
  const name = await nameOf(database, organizationId);
  const { provider, paymentMethod } = options;
  if (provider.name === "sandbox") {
    const known = CARD_RULES.choices().map(({ id }) => id);
    if (!known.includes(paymentMethod)) {
      throw invalidSettings([`The payment method must be one of ${known.join(", ")}`]);
    }
    await saveMethod(database, organizationId, { id: paymentMethod, label: null });
    return CARD_RULES.describe(paymentMethod, null);
  }
  const card = await attach(database, { id: organizationId, name }, options);
  await saveMethod(database, organizationId, card);
  return { type: "card", label: card.label };
}

async function nameOf(database: Kysely<Database>, organizationId: number): Promise<string> {
  const found = await database
    .selectFrom("organizations")
    .select("name")
    .where("id", "=", organizationId)
    .executeTakeFirst();
  if (!found) throw new BackendError("not_found", `Organization ${organizationId} not found`);
  return found.name;
}

/** Attaches a card to the customer of an organization. */
function attach(
  database: Kysely<Database>,
  organization: { readonly id: number; readonly name: string },
  { paymentMethod, provider, random }: MethodOptions,
): Promise<PaymentChoice> {
  return provider.lookUp(async (records) => {
    if (!records?.customers) throw invalidSettings(["The payment provider has no customers"]);
    const customer = await customerOf(database, organization, { customers: records.customers, random });
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

/** Returns the customer of an organization, who is created if necessary. */
async function customerOf(
  database: Kysely<Database>,
  organization: { readonly id: number; readonly name: string },
  { customers, random }: { customers: CustomerRecords; random(bytes: number): Buffer },
): Promise<string> {
  const { customer_id: known } = await database
    .selectFrom("subscriptions")
    .select("customer_id")
    .where("organization_id", "=", organization.id)
    .executeTakeFirstOrThrow();
  if (known !== null) return known;
  // Databases of one test account may have the same organization, so the key is not its ID.
  const created = await customers.create(organization, `customer:${random(16).toString("hex")}`);
  return inTransaction(database, (tx) => keepCustomer(tx, organization.id, created));
}

async function saveMethod(
  database: Kysely<Database>,
  organizationId: number,
  { id: paymentMethod, label }: { readonly id: string; readonly label: string | null },
): Promise<void> {
  const at = Math.round(await databaseNow(database));
  await inTransaction(database, async (tx) => {
    await tx
      .updateTable("subscriptions")
      // A buyer who is about to confirm a purchase has seen the previous method, so outdate their quote.
      .set((expression) => ({
        payment_method: paymentMethod,
        payment_method_label: label,
        version: expression("version", "+", 1),
      }))
      .where("organization_id", "=", organizationId)
      .execute();
    const data = { paymentMethod };
    await recordEvent(tx, { organizationId, at, actor: OPERATOR, type: "payment_method.changed", data });
  });
}
