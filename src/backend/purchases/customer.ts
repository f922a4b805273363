import type { Kysely } from "kysely";
import type { Database, OrganizationSubscription, PurchaseRow, SubscriptionRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { BackendDeps } from "../deps.ts";
import type { CustomerRecords, GatewayRefusal } from "../payments/gateway.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { attemptKeyOf, UNSPOILED } from "./keys.ts";
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
  const found = known ?? (await customers.create({ id, name }, attemptKeyOf(purchase, "customer")));
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

/**
 * Returns the customer of an organization, and creates one for an organization that has none.
 *
 * @param idempotencyKey what two requests at once have in common, so that they create one
 * @throws GatewayUnavailable, GatewayRefusal
 */
export async function customerOf(
  database: Kysely<Database>,
  {
    organization_id: id,
    name,
    customer_id: known,
  }: Pick<OrganizationSubscription, "organization_id" | "name" | "customer_id">,
  customers: CustomerRecords,
  idempotencyKey: string,
): Promise<string> {
  if (known !== null) return known;
  const created = await customers.create({ id, name }, idempotencyKey);
  return inTransaction(database, (tx) => keepCustomer(tx, id, created));
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

/**
 * Cancels the payment of an unpaid renewal whose customer was deleted, which nobody can pay any more, so that the next attempt
 * makes another.
 *
 * @returns whether there is nothing left to cancel; not while an attempt to pay it is in progress
 * @throws GatewayUnavailable, GatewayRefusal
 */
export async function cancelRenewalPayment(
  { database, gateway }: Pick<BackendDeps, "database" | "gateway">,
  { organization_id: organizationId, unpaid_renewal: id, customer_id: customer }: SubscriptionRow,
): Promise<boolean> {
  if (id === null) return true;
  const renewal = database.selectFrom("purchases").selectAll().where("organization_id", "=", organizationId);
  const { state, payment_id, customer_id, confirm_count } = await renewal
    .where("id", "=", id)
    .executeTakeFirstOrThrow();
  // An operator's decision ends the payment of one in review.
  if (state !== "declined") return state === "needs_review";
  if (payment_id === null || customer_id !== customer) return true;
  const { status } = await gateway.cancel(payment_id);
  if (status !== "canceled") return status === "succeeded" || status === "processing";
  await database
    .updateTable("purchases")
    .set({ payment_id: null })
    .where("organization_id", "=", organizationId)
    .where("id", "=", id)
    .where("state", "=", state)
    // An attempt that has begun meanwhile finds it canceled.
    .where("confirm_count", "=", confirm_count)
    .execute();
  return true;
}
