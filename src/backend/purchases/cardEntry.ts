import type { Kysely } from "kysely";
import type { Database, PurchaseRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { PAYMENT_PAGE } from "../events/events.ts";
import {
  type CardEntryRequest,
  GatewayRefusal,
  GatewayUnavailable,
  type PaymentChoice,
  type PaymentGateway,
} from "../payments/gateway.ts";
import { movePurchase } from "./leases.ts";
import { beginLeased, type NextAttempt } from "./pay.ts";
import { CARD_ENTRY_MS, deadlineOf } from "./schedule.ts";
import type { PurchaseRecord } from "./store.ts";
import type { Step, WorkerRun } from "./worker.ts";

/** The state of the provider's card page: still open, completed with a card, or of no further use. */
export type CardEntryState =
  | { readonly status: "open"; readonly url: string }
  | { readonly status: "complete"; readonly method: PaymentChoice }
  | { readonly status: "over" };

/** The card page that is recorded in a purchase or a subscription, and whose it is. */
type RecordedEntry = Pick<PurchaseRow, "card_entry" | "customer_id">;

/**
 * Reads the provider's card page of a purchase or a subscription. Only the page recorded there counts, and only if it
 * belongs to the customer there and to our mode.
 *
 * @returns `null` without one
 * @throws GatewayUnavailable
 */
export async function readCardEntry(gateway: PaymentGateway, recorded: RecordedEntry): Promise<CardEntryState | null> {
  const { card_entry: id, customer_id: customer } = recorded;
  if (gateway.customers === null || id === null) return null;
  try {
    const entry = await gateway.customers.readCardEntry(id);
    const isOurs = entry.id === id && entry.customer === customer && entry.mode === gateway.account.mode;
    if (isOurs && entry.status === "open" && entry.url !== null) return { status: "open", url: entry.url };
    if (isOurs && entry.status === "complete" && entry.method) return { status: "complete", method: entry.method };
    return { status: "over" };
  } catch (error) {
    if (error instanceof GatewayRefusal) return { status: "over" };
    throw error;
  }
}

/** The attempt that pays with the card that a person has entered. */
export function attemptWith(method: PaymentChoice, purchase: PurchaseRow): NextAttempt {
  return {
    paymentMethod: method.id,
    label: method.label,
    byPerson: true,
    returnUrl: purchase.return_url,
    actor: PAYMENT_PAGE,
    usesCardEntry: true,
  };
}

/**
 * Begins to pay a waiting purchase with the card that a person has entered since. If nobody is at the page, a webhook
 * or the schedule triggers this.
 *
 * @returns `null` if none was entered
 */
export async function payWithEnteredCard(run: WorkerRun, purchase: PurchaseRow): Promise<Step | null> {
  const entry = await readCardEntry(run.gateway, purchase);
  if (entry === null || entry.status === "open") return null;
  if (entry.status === "over") {
    await movePurchase(run.database, purchase, purchase.state, { card_entry: null });
    return null;
  }
  run.reach("B15");
  try {
    const times = { now: run.clock.now(), deadline: deadlineOf(purchase) };
    return await beginLeased(run.database, purchase, attemptWith(entry.method, purchase), times);
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    const failure = { failure_code: error.code, failure_message: `${error.message}.` };
    await movePurchase(run.database, purchase, purchase.state, { card_entry: null, ...failure });
    return "wait";
  }
}

/**
 * Opens the provider's card page for a purchase, or finds the one that is open. After a crash, the same key returns the
 * same page.
 *
 * @param returnUrl where the person returns to
 * @returns the purchase's page as it is now
 * @throws GatewayUnavailable; BackendError `unavailable` if the page has to be opened again
 */
export async function openCardEntry(
  deps: Pick<BackendDeps, "database" | "gateway" | "clock" | "reach" | "log">,
  purchase: PurchaseRecord,
  returnUrl: string,
): Promise<CardEntryState> {
  const { organization_id: organizationId, id: purchaseId, customer_id: customer, card_entries: count } = purchase;
  if (customer === null) throw notOpened();
  return openEntryPage(deps, purchase, {
    request: { idempotencyKey: `${purchaseId}:setup:${count + 1}`, organizationId, purchaseId, returnUrl },
    customer: async () => customer,
    save: (id) => saveCardEntry(deps.database, purchase, { id, returnUrl, now: deps.clock.now() }),
  });
}

/** How to open a card page. */
interface EntryOpening {
  /** The key contains how many pages there were, so that `save` gives the next request another one. */
  readonly request: Omit<CardEntryRequest, "customer">;
  /** Returns the customer, who may be created for it. */
  customer(): Promise<string>;
  /** Records the page, or `null` if nothing can be opened under the key, and counts it. */
  save(id: string | null): Promise<void>;
}

/**
 * Opens a card page of the provider, or finds the one that is recorded and open.
 *
 * @throws GatewayUnavailable; BackendError `unavailable` if the page has to be opened again
 */
export async function openEntryPage(
  deps: Pick<BackendDeps, "gateway" | "reach" | "log">,
  recorded: RecordedEntry,
  { request, customer, save }: EntryOpening,
): Promise<CardEntryState> {
  const { customers } = deps.gateway;
  if (customers === null) throw notOpened();
  const before = await readCardEntry(deps.gateway, recorded);
  if (before !== null && before.status !== "over") return before;
  try {
    const entry = await customers.startCardEntry({ ...request, customer: await customer() });
    deps.reach("B14");
    await save(entry.id);
    if (entry.status === "open" && entry.url !== null) return { status: "open", url: entry.url };
  } catch (error) {
    const isSpoiled = error instanceof GatewayRefusal || (error instanceof GatewayUnavailable && error.isReplayed);
    if (!isSpoiled) throw error;
    deps.log(`card for ${request.purchaseId === null ? "an organization" : `purchase ${request.purchaseId}`}`, error);
    await save(null);
  }
  throw notOpened();
}

/** Forgets the card page, unless another one was opened meanwhile. */
export async function forgetCardEntry(
  { database }: Pick<BackendDeps, "database">,
  { organization_id, id, card_entry }: PurchaseRow,
): Promise<void> {
  await database
    .updateTable("purchases")
    .set({ card_entry: null })
    .where("organization_id", "=", organization_id)
    .where("id", "=", id)
    .where("card_entry", "=", card_entry)
    .execute();
}

/** The problem of a card page that has to be opened again. */
export function notOpened(): BackendError {
  const message = "The card page could not be opened; try again";
  return new BackendError("unavailable", message, {}, { "Retry-After": "5" });
}

/** Saves a page unless another request has saved one, which then is the same, or the purchase has changed. */
async function saveCardEntry(
  database: Kysely<Database>,
  { organization_id, id, state, card_entries: count }: PurchaseRecord,
  entry: { id: string | null; returnUrl: string; now: number },
): Promise<void> {
  const checkAt = entry.now + CARD_ENTRY_MS;
  await database
    .updateTable("purchases")
    .set(({ eb, ref, val }) => ({
      card_entry: entry.id,
      card_entries: count + 1,
      return_url: entry.returnUrl,
      // A declined purchase keeps its schedule.
      ...(state === "requires_approval" && {
        next_check_at: eb
          .case()
          .when("next_check_at", ">", checkAt)
          .then(val(checkAt))
          .else(ref("next_check_at"))
          .end(),
      }),
    }))
    .where("organization_id", "=", organization_id)
    .where("id", "=", id)
    .where("state", "=", state)
    .where("card_entries", "=", count)
    .execute();
}
