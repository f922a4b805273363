import type { Kysely } from "kysely";
import type { Database, PurchaseRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { CustomerRecords, GatewayRefusal } from "../payments/gateway.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { keyOf, UNSPOILED } from "./keys.ts";
import { movePurchase } from "./leases.ts";
import type { WorkerRun } from "./worker.ts";

/**
 * Freezes the customer of the organization in a purchase, and creates one for an organization that has none. If two
 * workers do so at once, the first wins; the other's customer is never charged.
 *
 * @returns the purchase with its customer
 */
export async function saveCustomer(
  run: WorkerRun,
  customers: CustomerRecords,
  purchase: PurchaseRow,
): Promise<PurchaseRow> {
  const { organization_id: id } = purchase;
  const { name, customer_id: known } = await readSubscription(run.database, id);
  const found = known ?? (await customers.create({ id, name }, keyOf(purchase, "customer")));
  return inTransaction(run.database, async (tx) => {
    const customer = await keepCustomer(tx, id, found);
    return movePurchase(tx, purchase, purchase.state, { customer_id: customer, ...UNSPOILED });
  });
}

/**
 * Gives an organization a customer, unless it has one.
 *
 * @returns the customer that it has then
 */
export async function keepCustomer(tx: Kysely<Database>, organizationId: number, customer: string): Promise<string> {
  const { customer_id } = await tx
    .updateTable("subscriptions")
    .set((expression) => ({ customer_id: expression.fn.coalesce("customer_id", expression.val(customer)) }))
    .where("organization_id", "=", organizationId)
    .returning("customer_id")
    .executeTakeFirstOrThrow();
  const kept = customer_id ?? customer;
  await tx
    .insertInto("provider_objects")
    .values({ id: kept, kind: "customer", organization_id: organizationId, check_at: null })
    .onConflict((conflict) => conflict.column("id").doNothing())
    .execute();
  return kept;
}

/** Whether a request was refused because the customer no longer has the payment method, so that nothing moved. */
export async function isMethodRemoved(
  { gateway }: WorkerRun,
  { customer_id: customer, payment_method: method }: PurchaseRow,
  { isConflict }: GatewayRefusal,
): Promise<boolean> {
  if (isConflict || gateway.customers === null || customer === null || method === null) return false;
  return (await gateway.customers.findMethod(customer, method)) === null;
}
