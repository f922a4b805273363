import type { Kysely } from "kysely";
import { batches } from "../database/batches.ts";
import type { ApiTokenRow, Database } from "../database/schema.ts";
import type { Notification } from "../deps.ts";

/** Who acts on a payment page: anyone who was given its address. */
export const PAYMENT_PAGE = "payment page";

/** What an audit event says. `actor` is an email, `token <name>`, `backend` or `PAYMENT_PAGE`. */
export interface NewEvent {
  readonly organizationId: number;
  readonly at: number;
  readonly type: string;
  readonly actor: string;
  readonly purchaseId?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** Who changes something, by the audit log's name, and when by the billing clock, which the log follows. */
export type Change = Pick<NewEvent, "actor" | "at">;

/** Adds one entry to the audit log; called inside the transaction of what it tells. */
export async function recordEvent(tx: Kysely<Database>, event: NewEvent): Promise<void> {
  await recordEvents(tx, event, [event]);
}

/** Adds entries of one change to the audit log, in their order; called inside the transaction of what they tell. */
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

/** A page of the audit log, oldest first, from after the given entry. */
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

/** Puts a notification into the outbox; called inside the transaction of what it tells, sent after it. */
export async function queueNotification(tx: Kysely<Database>, notification: Notification, now: number): Promise<void> {
  await tx
    .insertInto("outbox")
    .values({ id: notification.id, payload_json: JSON.stringify(notification), created_at: now, sent_at: null })
    .execute();
}

/** Notifications that were queued and not marked as sent, oldest first. */
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

/** The name that the audit log gives a buyer. */
export function actorOf(buyer: Buyer): string {
  return buyer.token ? `token ${buyer.token.name}` : buyer.email;
}

/** Who buys: a person, and the API token when one was used. */
export interface Buyer {
  readonly email: string;
  readonly token: ApiTokenRow | null;
}

/** The actor of what the backend does by itself. */
export const BACKEND = "backend";
