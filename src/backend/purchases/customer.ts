import type { PurchaseRow } from "../database/schema.ts";
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
    const { customer_id } = await tx
      .updateTable("subscriptions")
      .set((expression) => ({ customer_id: expression.fn.coalesce("customer_id", expression.val(found)) }))
      .where("organization_id", "=", id)
      .returning("customer_id")
      .executeTakeFirstOrThrow();
    const customer = customer_id ?? found;
    await tx
      .insertInto("provider_objects")
      .values({ id: customer, kind: "customer", organization_id: id, check_at: null })
      .onConflict((conflict) => conflict.column("id").doNothing())
      .execute();
    return movePurchase(tx, purchase, purchase.state, { customer_id: customer, ...UNSPOILED });
  });
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
