import type { OrganizationSubscription } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { PAYMENT_PAGE } from "../events/events.ts";
import { signed } from "../http/body.ts";
import { type CardEntryState, notOpened, openEntryPage, readCardEntry } from "../purchases/cardEntry.ts";
import { customerOf } from "../purchases/customer.ts";
import { CARD_ENTRY_MS } from "../purchases/schedule.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { saveMethod } from "./store.ts";

type EntryDeps = Pick<BackendDeps, "database" | "gateway" | "clock" | "reach" | "log" | "pageKey">;

/**
 * Opens the provider's page on which a person enters the organization's next payment method, or finds the one that is open.
 * An organization without a customer gets one.
 *
 * @param returnUrl where the person returns to
 * @throws GatewayUnavailable; BackendError `unavailable` if the page has to be opened again
 */
export async function openMethodEntry(
  deps: EntryDeps,
  organizationId: number,
  returnUrl: string,
): Promise<CardEntryState> {
  const row = await readSubscription(deps.database, organizationId);
  let customer = row.customer_id ?? "";
  return openEntryPage(deps, row, {
    request: { idempotencyKey: `${keyOf(deps, row)}:setup`, organizationId, purchaseId: null, returnUrl },
    async customer() {
      const { customers } = deps.gateway;
      if (customers !== null)
        customer = await customerOf(deps.database, row, customers, `${keyOf(deps, row)}:customer`);
      return customer;
    },
    save: (id) => saveEntry(deps, row, { id, customer }),
  });
}

/**
 * What the keys of the next page begin with: the same for requests at once, and after a crash. Databases of one test account
 * may have the same organization, but not the same secret.
 */
function keyOf(deps: EntryDeps, { organization_id, card_entries }: OrganizationSubscription): string {
  return `method:${signed(deps, ["payment method key", String(organization_id)])}:${card_entries + 1}`;
}

/**
 * Saves a page, and has it looked at once it is over. Another request may have saved the same one, or another.
 *
 * @throws BackendError `unavailable` if it saved another one, which the next request finds
 */
async function saveEntry(
  { database, clock }: EntryDeps,
  { organization_id: organizationId, card_entries: count }: OrganizationSubscription,
  { id, customer }: { id: string | null; customer: string },
): Promise<void> {
  const saved = await database
    .updateTable("subscriptions")
    .set({ card_entry: id, card_entries: count + 1 })
    .where("organization_id", "=", organizationId)
    .where("card_entries", "=", count)
    .executeTakeFirst();
  if (id === null) return;
  if (saved.numUpdatedRows === 0n && (await readSubscription(database, organizationId)).card_entry !== id)
    throw notOpened();
  const checkAt = clock.now() + CARD_ENTRY_MS;
  await database
    .updateTable("provider_objects")
    .set({ check_at: checkAt })
    .where("organization_id", "=", organizationId)
    .where("id", "=", customer)
    .where(({ or, eb }) => or([eb("check_at", "is", null), eb("check_at", ">", checkAt)]))
    .execute();
}

/**
 * Stores the payment method that a person has entered on the provider's page since. If nobody is at our page, a webhook or
 * the schedule triggers this.
 *
 * @returns the page as it was found; `null` without one
 * @throws GatewayUnavailable
 */
export async function storeEnteredMethod(
  deps: Omit<EntryDeps, "pageKey" | "log">,
  organizationId: number,
): Promise<CardEntryState | null> {
  const row = await readSubscription(deps.database, organizationId);
  const entry = await readCardEntry(deps.gateway, row);
  if (entry === null || entry.status === "open" || row.card_entry === null) return entry;
  deps.reach("B15");
  if (entry.status === "complete") {
    const change = { actor: PAYMENT_PAGE, at: deps.clock.now(), entry: row.card_entry };
    await saveMethod(deps.database, organizationId, entry.method, change);
    return entry;
  }
  await deps.database
    .updateTable("subscriptions")
    .set({ card_entry: null })
    .where("organization_id", "=", organizationId)
    .where("card_entry", "=", row.card_entry)
    .execute();
  return entry;
}
