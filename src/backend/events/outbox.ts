import { setImmediate } from "node:timers/promises";
import { type Kysely, sql } from "kysely";
import pLimit from "p-limit";
import { isPostgres } from "../database/engine.ts";
import { preparedInsert } from "../database/prepared.ts";
import type { Database } from "../database/schema.ts";
import type { BackendDeps, Notification } from "../deps.ts";

/** Queues a notification in the outbox, inside the transaction of the change. It is sent after the commit. */
export async function queueNotification(tx: Kysely<Database>, notification: Notification, now: number): Promise<void> {
  await insertRow(tx, outboxRow(notification, now));
}

const insertRow = preparedInsert("outbox", ["organization_id", "id", "payload_json", "created_at"]);

/** The row of a notification to send. */
export function outboxRow(notification: Notification, now: number) {
  return {
    organization_id: notification.organizationId,
    id: notification.id,
    payload_json: JSON.stringify(notification),
    created_at: now,
  };
}

/** How many notifications are claimed, and later marked, by one statement. */
const PAGE = 100;

/** How long a worker has what it claimed, milliseconds. */
const CLAIM_MS = 60_000;

/** How long after claiming them a worker begins to send notifications, so that what it began ends within the claim. */
const BEGIN_MS = 30_000;

/** How to send the outbox: how many at a time, how many at most, and what ends it early. */
interface SendingOptions {
  readonly jobs: number;
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
}

type SendingDeps = Pick<BackendDeps, "database" | "notifier" | "now" | "reach" | "log">;

/**
 * Sends queued notifications at least once, those of an organization one after the other, oldest first; receivers
 * deduplicate by ID. What failed is sent again when its claim has ended.
 *
 * @returns whether there were any
 */
export async function sendNotifications(deps: SendingDeps, options: SendingOptions): Promise<boolean> {
  const { limit, signal } = options;
  let count = 0;
  while (count < limit && !signal?.aborted) {
    const claimedAt = deps.now();
    const page = await claimNotifications(deps.database, claimedAt, Math.min(PAGE, limit - count));
    if (page.length === 0) break;
    count += page.length;
    const { sent, left } = await sendPage(deps, page, claimedAt + BEGIN_MS, options);
    await change(deps.database, sent, { sent_at: deps.now() });
    await change(deps.database, left, { claimed_until: 0 });
  }
  return count > 0;
}

/** Sends notifications until a time by the machine's clock. Returns those that were sent, and those it did not get to. */
async function sendPage(
  deps: SendingDeps,
  page: readonly Notification[],
  until: number,
  { jobs, signal }: SendingOptions,
): Promise<{ sent: readonly Notification[]; left: readonly Notification[] }> {
  const turn = pLimit(jobs);
  const [sent, left]: [Notification[], Notification[]] = [[], []];
  const sendAll = async (own: readonly Notification[]) => {
    for (const notification of own) {
      // SQLite blocks the event loop, so requests are let in between.
      await setImmediate();
      if (signal?.aborted || deps.now() >= until) left.push(notification);
      else if (await sendOrLog(deps, notification)) sent.push(notification);
    }
  };
  await Promise.all([...byOrganization(page).values()].map((own) => turn(() => sendAll(own))));
  return { sent, left };
}

function byOrganization(page: readonly Notification[]): Map<number, Notification[]> {
  const groups = new Map<number, Notification[]>();
  for (const notification of page) {
    const group = groups.get(notification.organizationId);
    if (group) group.push(notification);
    else groups.set(notification.organizationId, [notification]);
  }
  return groups;
}

async function sendOrLog(deps: SendingDeps, notification: Notification): Promise<boolean> {
  try {
    await deps.notifier.deliver(notification);
    deps.reach("B10");
    return true;
  } catch (error) {
    deps.log(`notification ${notification.id}`, error);
    return false;
  }
}

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

/** Changes the rows of notifications that were not marked as sent, in one statement. */
async function change(
  database: Kysely<Database>,
  notifications: readonly Notification[],
  values: { sent_at: number } | { claimed_until: number },
): Promise<void> {
  if (notifications.length === 0) return;
  const keys = notifications.map(({ organizationId, id }) => sql`(cast(${organizationId} as bigint), ${id})`);
  await database
    .updateTable("outbox")
    .set(values)
    .where(sql<boolean>`(organization_id, id) in (values ${sql.join(keys)})`)
    .where("sent_at", "is", null)
    .execute();
}
