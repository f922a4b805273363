import type { Kysely } from "kysely";
import { WATCHED_STATES, WORKABLE_STATES } from "../../billing/purchase.ts";
import { HELD_UP_MS } from "./renewals.ts";
import type { Database } from "./schema.ts";

/**
 * When something happens by itself next: a look at a purchase, another try at a failed renewal, a renewal that falls due,
 * or one that waits no longer for purchases of the old term.
 *
 * @param after the billing clock, milliseconds; what is due by then is not looked for
 * @returns the instant, milliseconds, or `null` when nothing is on the way
 */
export async function nextEvent(database: Kysely<Database>, after: number): Promise<number | null> {
  const instants = [
    await nextLook(database, after),
    await nextRenewal(database, after, 0),
    await nextRenewal(database, after, HELD_UP_MS),
  ].filter((instant) => instant !== null);
  return instants.length === 0 ? null : Math.min(...instants);
}

async function nextLook(database: Kysely<Database>, after: number): Promise<number | null> {
  const { at } = await database
    .selectFrom("purchases")
    .select((expression) => expression.fn.min("next_check_at").as("at"))
    .where("next_check_at", ">", after)
    .where("state", "in", [...WORKABLE_STATES, ...WATCHED_STATES, "declined"])
    .executeTakeFirstOrThrow();
  return at;
}

/** The first renewal that fell or falls due `lateMs` before something happens to it. */
async function nextRenewal(database: Kysely<Database>, after: number, lateMs: number): Promise<number | null> {
  const { at } = await database
    .selectFrom("subscriptions")
    .select((expression) => expression.fn.min("renew_at").as("at"))
    .where("renew_at", ">", after - lateMs)
    .where("unpaid_renewal", "is", null)
    .executeTakeFirstOrThrow();
  return at === null ? null : at + lateMs;
}
