import type { Kysely } from "kysely";
import { ADVANCED_STATES, CHECKED_STATES, type PurchaseState } from "../../billing/purchase.ts";
import type { Database } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { readReconciled } from "./findings.ts";
import type { Metrics } from "./metrics.ts";
import { within } from "./within.ts";

/** How long a scrape waits for the store, milliseconds. */
const READ_MS = 1_000;

/** The states of a purchase that is not settled, or that has to be refunded. */
const OPEN_STATES: readonly PurchaseState[] = [...ADVANCED_STATES, "awaiting_approval", "requires_approval"];

/** Work that instances share, by what is overdue. */
type DueKind = "purchase" | "retry" | "renewal" | "notification" | "webhook";

/** What the store says of the work that is left. */
interface StoreGauges {
  readonly open: ReadonlyMap<PurchaseState, number>;
  /** Since when the oldest due work of a kind has been due, in seconds; 0 if none is due. */
  readonly oldestDue: Readonly<Record<DueKind, number>>;
  readonly unsent: number;
  /** What the last reconciliation left, by currency. */
  readonly differences: Readonly<Record<string, number>>;
}

type StoreDeps = Pick<BackendDeps, "database" | "clock" | "now">;

/**
 * Returns a function that sets the gauges that are read from the store. Without an answer within a second they are left
 * out. Readings never overlap, so that a slow store is not asked more often than it answers.
 */
export function storeGauges(metrics: Metrics, deps: StoreDeps): () => Promise<void> {
  let reading: Promise<StoreGauges> | null = null;
  const read = () => {
    reading ??= readStore(deps).finally(() => {
      reading = null;
    });
    return reading;
  };
  return async () => setGauges(metrics, await within(READ_MS, read));
}

function setGauges(metrics: Metrics, gauges: StoreGauges | null): void {
  const { purchasesOpen, needsReview, oldestDue, outboxUnsent, reconcileDifference } = metrics;
  for (const gauge of [purchasesOpen, oldestDue, reconcileDifference]) gauge.reset();
  for (const gauge of [needsReview, outboxUnsent]) gauge.remove();
  if (!gauges) return;
  for (const state of OPEN_STATES) purchasesOpen.set({ state }, gauges.open.get(state) ?? 0);
  needsReview.set(gauges.open.get("needs_review") ?? 0);
  for (const [kind, seconds] of Object.entries(gauges.oldestDue)) oldestDue.set({ kind }, seconds);
  outboxUnsent.set(gauges.unsent);
  for (const [currency, amount] of Object.entries(gauges.differences)) reconcileDifference.set({ currency }, amount);
}

/** Reads one after another, so that a scrape takes one connection. */
async function readStore(deps: StoreDeps): Promise<StoreGauges> {
  const { database } = deps;
  const [billing, machine] = [deps.clock.now(), deps.now()];
  const secondsSince = (now: number, since: number | null) => Math.max(0, now - (since ?? now)) / 1_000;
  return {
    open: await openPurchases(database),
    oldestDue: {
      purchase: secondsSince(billing, await oldestPurchase(database, { billing, machine })),
      retry: secondsSince(billing, await oldestRetry(database, billing)),
      renewal: secondsSince(billing, await oldestRenewal(database, billing)),
      notification: secondsSince(billing, await oldestNotification(database)),
      webhook: secondsSince(machine, await oldestWebhook(database)),
    },
    unsent: await unsentCount(database),
    differences: (await readReconciled(database))?.differences ?? {},
  };
}

/** Every open purchase has a next check, and that column has an index. */
async function openPurchases(database: Kysely<Database>): Promise<Map<PurchaseState, number>> {
  const rows = await database
    .selectFrom("purchases")
    .select(["state", ({ fn }) => fn.countAll<number>().as("count")])
    .where("next_check_at", "is not", null)
    .where("state", "in", OPEN_STATES)
    .groupBy("state")
    .execute();
  return new Map(rows.map(({ state, count }) => [state, Number(count)]));
}

async function oldestPurchase(
  database: Kysely<Database>,
  { billing, machine }: { billing: number; machine: number },
): Promise<number | null> {
  const { since } = await database
    .selectFrom("purchases")
    .select(({ fn }) => fn.min("next_check_at").as("since"))
    .where("next_check_at", "<=", billing)
    .where("lease_until", "<=", machine)
    .where("state", "in", [...ADVANCED_STATES, ...CHECKED_STATES])
    .executeTakeFirstOrThrow();
  return since;
}

async function oldestRetry(database: Kysely<Database>, billing: number): Promise<number | null> {
  const { since } = await database
    .selectFrom("purchases")
    .select(({ fn }) => fn.min("next_check_at").as("since"))
    .where("next_check_at", "<=", billing)
    .where("state", "=", "declined")
    .executeTakeFirstOrThrow();
  return since;
}

async function oldestRenewal(database: Kysely<Database>, billing: number): Promise<number | null> {
  const { since } = await database
    .selectFrom("subscriptions")
    .select(({ fn }) => fn.min("renew_at").as("since"))
    .where("renew_at", "<=", billing)
    .where("unpaid_renewal", "is", null)
    .executeTakeFirstOrThrow();
  return since;
}

async function oldestNotification(database: Kysely<Database>): Promise<number | null> {
  const { since } = await database
    .selectFrom("outbox")
    .select(({ fn }) => fn.min("created_at").as("since"))
    .where("sent_at", "is", null)
    .executeTakeFirstOrThrow();
  return since;
}

/** A job that fails claims an event again and again, so its age counts and not when it is due. */
async function oldestWebhook(database: Kysely<Database>): Promise<number | null> {
  const { since } = await database
    .selectFrom("webhook_events")
    .select(({ fn }) => fn.min("received_at").as("since"))
    .where("check_at", "is not", null)
    .executeTakeFirstOrThrow();
  return since;
}

async function unsentCount(database: Kysely<Database>): Promise<number> {
  const { count } = await database
    .selectFrom("outbox")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("sent_at", "is", null)
    .executeTakeFirstOrThrow();
  return Number(count);
}
