import type { PurchaseRow, SubscriptionRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { PAYMENT_PAGE } from "../events/events.ts";
import { GatewayUnavailable, type PaymentChoice } from "../payments/gateway.ts";
import { saveMethod } from "./store.ts";

/** How long after a renewal was paid its card can be kept: the address of its page may be in a log. Milliseconds. */
const KEEP_MS = 24 * 3_600_000;

/**
 * Returns the card that a person has paid a failed renewal with, if they may store it for later renewals instead of the one
 * that is stored: for a day, billing clock.
 *
 * @param now the billing clock, milliseconds
 * @returns `null` if there is nothing to decide
 */
export function cardToKeep(
  gateway: Pick<BackendDeps["gateway"], "describe">,
  { kind, state, by_person, completed_at, payment_method: card, payment_method_label: label }: PurchaseRow,
  { payment_method: stored }: Pick<SubscriptionRow, "payment_method">,
  now: number,
): PaymentChoice | null {
  const isPaid = kind === "renewal" && state === "fulfilled" && by_person === 1 && completed_at !== null;
  if (!isPaid || now >= completed_at + KEEP_MS || card === null || stored === null || card === stored) return null;
  return { id: card, label: gateway.describe(card, label).label };
}

/**
 * Stores the card that a renewal was paid with for later purchases and renewals.
 *
 * @param card what `cardToKeep` has returned
 * @throws BackendError `invalid_request` if it can no longer be charged; `unavailable` if the provider did not answer
 */
export async function keepCard(
  { gateway, database, clock, log }: Pick<BackendDeps, "gateway" | "database" | "clock" | "log">,
  { organization_id: organizationId, customer_id: customer }: PurchaseRow,
  card: PaymentChoice,
): Promise<void> {
  try {
    const found = gateway.customers === null ? card : await gateway.customers.findMethod(customer ?? "", card.id);
    if (found === null) throw new BackendError("invalid_request", "This card can no longer be charged");
    await saveMethod(database, organizationId, found, { actor: PAYMENT_PAGE, at: clock.now() });
  } catch (error) {
    if (!(error instanceof GatewayUnavailable)) throw error;
    log(`card of organization ${organizationId}`, error);
    throw new BackendError("unavailable", "The payment provider did not answer; try again");
  }
}
