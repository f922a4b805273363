import type { Kysely } from "kysely";
import { batches } from "../database/batches.ts";
import { isPostgres } from "../database/engine.ts";
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

/** Adds entries to the audit log in order, inside the transaction of the change. Locks the subscription, which numbers them. */
export async function recordEvents(
  tx: Kysely<Database>,
  change: Pick<NewEvent, "organizationId" | "at" | "actor">,
  events: readonly Pick<NewEvent, "type" | "purchaseId" | "data">[],
): Promise<void> {
  if (events.length === 0) return;
  const { event_count: last } = await tx
    .updateTable("subscriptions")
    .set((expression) => ({ event_count: expression("event_count", "+", events.length) }))
    .where("organization_id", "=", change.organizationId)
    .returning("event_count")
    .executeTakeFirstOrThrow();
  const rows = events.map((event, index) => eventRow({ ...change, ...event }, last - events.length + 1 + index));
  for await (const batch of batches(rows)) await tx.insertInto("events").values(batch).execute();
}

/** Adds an entry whose number the caller has already counted in the subscription. */
export async function insertEvent(tx: Kysely<Database>, event: NewEvent, number: number): Promise<void> {
  await tx.insertInto("events").values(eventRow(event, number)).execute();
}

/** The row of an entry of the audit log. */
function eventRow({ organizationId, at, type, actor, purchaseId, data = {} }: NewEvent, number: number) {
  return {
    organization_id: organizationId,
    number,
    at,
    type,
    actor,
    purchase_id: purchaseId ?? null,
    data_json: JSON.stringify(data),
  };
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
    .where("number", ">", page.after)
    .orderBy("number")
    .limit(page.limit)
    .execute();
}

/** Queues a notification in the outbox, inside the transaction of the change. It is sent after the commit. */
export async function queueNotification(tx: Kysely<Database>, notification: Notification, now: number): Promise<void> {
  await tx.insertInto("outbox").values(outboxRow(notification, now)).execute();
}

/** The row of a notification to send. */
export function outboxRow(notification: Notification, now: number) {
  return {
    organization_id: notification.organizationId,
    id: notification.id,
    payload_json: JSON.stringify(notification),
    created_at: now,
    sent_at: null,
  };
}

/** How long a worker has to send what it claimed, milliseconds. */
const CLAIM_MS = 60_000;

/**
 * Claims notifications that were not sent, oldest first, so that no other worker sends them meanwhile.
 *
 * @param now the machine's clock, milliseconds
 */
export async function claimNotifications(
  database: Kysely<Database>,
  now: number,
  limit: number,
): Promise<Notification[]> {
  const due = database
    .selectFrom("outbox")
    .select(["organization_id", "id"])
    .where("sent_at", "is", null)
    .where("claimed_until", "<=", now)
    .orderBy("created_at")
    .limit(limit);
  const claimed = isPostgres(database) ? due.forUpdate().skipLocked() : due;
  const rows = await database
    .updateTable("outbox")
    .set({ claimed_until: now + CLAIM_MS })
    .where((expression) =>
      expression(expression.refTuple("organization_id", "id"), "in", claimed.$asTuple("organization_id", "id")),
    )
    .returning(["payload_json", "created_at"])
    .execute();
  return rows
    .toSorted((one, other) => one.created_at - other.created_at)
    .map((row) => JSON.parse(row.payload_json) as Notification);
}

/** Marks a notification as sent. */
export async function markSent(
  database: Kysely<Database>,
  { organizationId, id }: Notification,
  now: number,
): Promise<void> {
  await database
    .updateTable("outbox")
    .set({ sent_at: now })
    .where("organization_id", "=", organizationId)
    .where("id", "=", id)
    .execute();
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
