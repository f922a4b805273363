import type { Kysely } from "kysely";
import type { Database, SubscriptionRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { Notification } from "../deps.ts";
import { type Change, recordEvent } from "../events/events.ts";
import { queueNotification } from "../events/outbox.ts";
import type { PaymentChoice } from "../payments/gateway.ts";

/** Who changes a payment method and when, billing clock, and what the change uses up. */
interface MethodChange extends Change {
  /** The card page of the provider that the card was entered on: it counts only while it is the organization's. */
  readonly entry?: string;
}

/**
 * Stores the payment method for later purchases and renewals: the subscription, the audit event and the notification are
 * one transaction. The version changes, because a buyer who is about to confirm a quote has seen the one before. Storing the
 * same one again changes nothing.
 *
 * @returns whether it was changed
 */
export async function saveMethod(
  database: Kysely<Database>,
  organizationId: number,
  { id: method, label, expires = null }: PaymentChoice,
  { entry, ...change }: MethodChange,
): Promise<boolean> {
  return inTransaction(database, async (tx) => {
    const before = await lock(tx, organizationId);
    if (entry !== undefined && before.card_entry !== entry) return false;
    const hasChanged = before.payment_method !== method;
    const { version } = await tx
      .updateTable("subscriptions")
      .set({
        payment_method: method,
        payment_method_label: label,
        payment_method_expires: expires,
        version: before.version + (hasChanged ? 1 : 0),
        ...(entry !== undefined && { card_entry: null }),
      })
      .where("organization_id", "=", organizationId)
      .returning("version")
      .executeTakeFirstOrThrow();
    if (!hasChanged) return false;
    const data = { paymentMethod: method };
    await recordEvent(tx, { organizationId, ...change, type: METHOD_CHANGED, data });
    await queueNotification(
      tx,
      methodNotification({ ...before, organization_id: organizationId, version }, { label, expires }),
      change.at,
    );
    return true;
  });
}

const METHOD_CHANGED = "payment_method.changed";

/** Locks a subscription without changing it. */
function lock(
  tx: Kysely<Database>,
  organizationId: number,
): Promise<Pick<SubscriptionRow, "payment_method" | "card_entry" | "version" | "provider_subscription">> {
  return tx
    .updateTable("subscriptions")
    .set((expression) => ({ version: expression.ref("version") }))
    .where("organization_id", "=", organizationId)
    .returning(["payment_method", "card_entry", "version", "provider_subscription"])
    .executeTakeFirstOrThrow();
}

/**
 * What the stored payment method is charged for. Invoices of a subscription that the provider renews are paid as the
 * provider knows.
 */
export function chargedFor({ provider_subscription }: Pick<SubscriptionRow, "provider_subscription">): string {
  return provider_subscription === null ? "purchases and renewals" : "purchases";
}

/**
 * The notification of another payment method, or of none.
 *
 * @param subscription after the change, whose version tells one change from another
 */
export function methodNotification(
  subscription: Pick<SubscriptionRow, "organization_id" | "version" | "provider_subscription">,
  method: { readonly label: string; readonly expires: string | null } | null,
): Notification {
  const { organization_id: organizationId, version } = subscription;
  const what = chargedFor(subscription);
  return {
    id: `organization_${organizationId}:${METHOD_CHANGED}:${version}`,
    type: METHOD_CHANGED,
    organizationId,
    purchaseId: null,
    to: null,
    text: method
      ? `The payment method for ${what} is now ${method.label}.`
      : `The payment method for ${what} can no longer be charged. Store another one with \`secureflag-licenses organizations payment-method\`.`,
    data: { paymentMethod: method && { type: "card", label: method.label }, expires: method?.expires ?? null },
  };
}
