import type { PurchaseRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { CustomerRecords, GatewayRefusal } from "../payments/gateway.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { movePurchase } from "./leases.ts";
import type { WorkerRun } from "./worker.ts";

/**
 * Creates the customer of an organization that has none, and freezes it in the purchase. Of two workers that do so at once,
 * the first decides.
 */
export async function saveCustomer(run: WorkerRun, customers: CustomerRecords, purchase: PurchaseRow): Promise<string> {
  const { organization_id: organizationId } = purchase;
  const { name } = await readSubscription(run.database, organizationId);
  const created = await customers.create({ id: organizationId, name }, `organization_${organizationId}:customer`);
  return inTransaction(run.database, async (tx) => {
    const { customer_id } = await tx
      .updateTable("subscriptions")
      .set((expression) => ({ customer_id: expression.fn.coalesce("customer_id", expression.val(created)) }))
      .where("organization_id", "=", organizationId)
      .returning("customer_id")
      .executeTakeFirstOrThrow();
    const customer = customer_id ?? created;
    await tx
      .insertInto("provider_objects")
      .values({ id: customer, kind: "customer", organization_id: organizationId, check_at: null })
      .onConflict((conflict) => conflict.column("id").doNothing())
      .execute();
    await movePurchase(tx, purchase, purchase.state, { customer_id: customer });
    return customer;
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
