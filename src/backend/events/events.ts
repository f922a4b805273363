import type { Kysely } from "kysely";
import { batches } from "../database/batches.ts";
import type { ApiTokenRow, Database } from "../database/schema.ts";
import type { Notification } from "../deps.ts";

/** The actor on a payment page, who is anyone with its URL. */
export const PAYMENT_PAGE = "payment page";

/** The actor of the service's own commands. */
export const OPERATOR = "operator";

/** An event to record. `actor` is an email, `token <name>`, `BACKEND`, `OPERATOR` or `PAYMENT_PAGE`; `at` is by the billing clock. */
export interface NewEvent {
  readonly organizationId: number;
  readonly at: number;
  readonly type: string;
  readonly actor: string;
  readonly purchaseId?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** Who changes something, as the audit log names them, and when. */
export type Change = Pick<NewEvent, "actor" | "at">;

/** Adds an entry to the audit log, inside the transaction of the change. */
export async function recordEvent(tx: Kysely<Database>, event: NewEvent): Promise<void> {
  await recordEvents(tx, event, [event]);
}

/** Adds entries to the audit log in order, inside the transaction of the change. */
export async function recordEvents(
  tx: Kysely<Database>,
  { organizationId, at, actor }: Pick<NewEvent, "organizationId" | "at" | "actor">,
  events: readonly Pick<NewEvent, "type" | "purchaseId" | "data">[],
): Promise<void> {
  const rows = events.map(({ type, purchaseId = null, data = {} }) => ({
    organization_id: organizationId,
    at,
    type,
    actor,
    purchase_id: purchaseId,
    data_json: JSON.stringify(data),
  }));
  for await (const batch of batches(rows)) await tx.insertInto("events").values(batch).execute();
}

/** Lists a page of the audit log, oldest first, after an entry. */
export async function listEvents(
  database: Kysely<Database>,
  organizationId: number,
  page: { after: number; limit: number },
) {
  return database
    .selectFrom("events")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .where("id", ">", page.after)
    .orderBy("id")
    .limit(page.limit)
    .execute();
}

/** Queues a notification in the outbox, inside the transaction of the change. It is sent after the commit. */
export async function queueNotification(tx: Kysely<Database>, notification: Notification, now: number): Promise<void> {
  await tx
    .insertInto("outbox")
    .values({ id: notification.id, payload_json: JSON.stringify(notification), created_at: now, sent_at: null })
    .execute();
}

/** Lists notifications that are not marked as sent, oldest first. */
export async function unsentNotifications(database: Kysely<Database>, limit: number): Promise<Notification[]> {
  const rows = await database
    .selectFrom("outbox")
    .select("payload_json")
    .where("sent_at", "is", null)
    .orderBy("created_at")
    .limit(limit)
    .execute();
  return rows.map((row) => JSON.parse(row.payload_json) as Notification);
}

/** Marks a notification as sent. */
export async function markSent(database: Kysely<Database>, id: string, now: number): Promise<void> {
  await database.updateTable("outbox").set({ sent_at: now }).where("id", "=", id).execute();
}

/** The actor that the audit log names for a buyer. */
export function actorOf(buyer: Buyer): string {
  return buyer.token ? `token ${buyer.token.name}` : buyer.email;
}

/** Who buys: a person, and the API token if one was used. */
export interface Buyer {
  readonly email: string;
  readonly token: ApiTokenRow | null;
}

/** The actor of background work. */
export const BACKEND = "backend";
