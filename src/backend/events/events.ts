import type { Kysely } from "kysely";
import { batches } from "../database/batches.ts";
import { preparedInsert } from "../database/prepared.ts";
import type { ApiTokenRow, Database } from "../database/schema.ts";

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
