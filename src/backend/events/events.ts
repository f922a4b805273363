import { type Kysely, sql } from "kysely";
import type { Event } from "../../contract/events.ts";
import { batches } from "../database/batches.ts";
import { preparedInsert } from "../database/prepared.ts";
import type { ApiTokenRow, Database, EventRow } from "../database/schema.ts";

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
  await insertRow(tx, eventRow(event, number));
}

const insertRow = preparedInsert("events", [
  "organization_id",
  "number",
  "at",
  "type",
  "actor",
  "purchase_id",
  "data_json",
]);

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

/** Which entries of the audit log to list. */
export interface EventFilter {
  /** Lists entries after the one with this number, or before it from the newest on; `null` for the first page. */
  readonly after: number | null;
  readonly limit: number;
  readonly isNewestFirst?: boolean;
  /** Instants by the billing clock, the second one excluded. */
  readonly from?: number | null;
  readonly until?: number | null;
  /** A type such as `purchase.accepted`, or the group before its dot. */
  readonly type?: string | null;
}

/** Lists entries of the audit log with their hashes, which the newest ones may not have yet. */
export async function listEvents(
  database: Kysely<Database>,
  organizationId: number,
  { after, limit, isNewestFirst = false, from = null, until = null, type = null }: EventFilter,
): Promise<HashedEventRow[]> {
  let query = database
    .selectFrom("events")
    .leftJoin("event_hashes", (join) =>
      join.onRef("event_hashes.number", "=", "events.number").on("event_hashes.organization_id", "=", organizationId),
    )
    .selectAll("events")
    .select("event_hashes.hash")
    .where("events.organization_id", "=", organizationId)
    .orderBy("events.number", isNewestFirst ? "desc" : "asc")
    .limit(limit);
  if (after !== null) query = query.where("events.number", isNewestFirst ? "<" : ">", after);
  if (from !== null) query = query.where("events.at", ">=", from);
  if (until !== null) query = query.where("events.at", "<", until);
  if (type !== null) {
    const group = `${type}.`;
    query = query.where((where) =>
      where.or([where("type", "=", type), sql<boolean>`substr(type, 1, cast(${group.length} as integer)) = ${group}`]),
    );
  }
  return query.execute();
}

/** An entry of the audit log as stored, with its hash. */
export interface HashedEventRow extends EventRow {
  readonly hash: string | null;
}

/** Returns an entry of the audit log as everyone sees it, and as it is hashed. */
export function eventOf(row: EventRow) {
  return {
    organizationId: row.organization_id,
    number: row.number,
    at: new Date(row.at).toISOString(),
    type: row.type,
    actor: row.actor,
    purchaseId: row.purchase_id,
    data: JSON.parse(row.data_json, wellFormed) as Event["data"],
  };
}

/** Replaces halves of characters, which RFC 8785 (section 3.1) does not allow in a string. */
function wellFormed(_name: string, value: unknown): unknown {
  return typeof value === "string" ? Buffer.from(value).toString() : value;
}

/** The actor that the audit log names for a buyer. */
export function actorOf(buyer: Pick<Buyer, "email" | "token">): string {
  return buyer.token ? `token ${buyer.token.name}` : buyer.email;
}

/** Who buys: a person, and the API token if one was used, which the person made. */
export interface Buyer {
  readonly userId: number;
  readonly email: string;
  readonly token: ApiTokenRow | null;
}

/** The actor of background work. */
export const BACKEND = "backend";
