import { type Kysely, sql } from "kysely";
import type { Database, PurchaseRow, SubscriptionRow } from "../database/schema.ts";

/** How many buckets the organizations are divided into, so that instances can begin at different ones. */
export const BUCKETS = 256;

/** A subscription whose renewal is due. */
export type DueSubscription = Pick<SubscriptionRow, "organization_id" | "renew_at">;

/**
 * Lists organizations whose renewal is due and whose last one is paid, the longest overdue first.
 *
 * @param page `after` is the last one of the page before; `bucket` the first to list, of `BUCKETS`
 */
export async function dueSubscriptions(
  database: Kysely<Database>,
  billingNow: number,
  { limit, after, bucket }: { limit: number; after: DueSubscription | null; bucket: number },
): Promise<DueSubscription[]> {
  let due = database
    .selectFrom("subscriptions")
    .select(["organization_id", "renew_at"])
    .where("renew_at", "<=", billingNow)
    .where("unpaid_renewal", "is", null);
  if (bucket > 0) due = due.where(sql<number>`organization_id % ${sql.lit(BUCKETS)}`, ">=", bucket);
  if (after?.renew_at != null) {
    const { renew_at, organization_id } = after;
    due = due.where(({ eb, refTuple, tuple }) =>
      eb(refTuple("renew_at", "organization_id"), ">", tuple(renew_at ?? 0, organization_id)),
    );
  }
  return due.orderBy("renew_at").orderBy("organization_id").limit(limit).execute();
}

/** A declined purchase whose check is due: a renewal to retry, or one that its person may have paid elsewhere. */
export type DueRetry = Pick<PurchaseRow, "organization_id" | "id" | "next_check_at">;

/**
 * Lists the declined purchases whose check is due, the longest overdue first.
 *
 * @param page `after` is the last one of the page before
 */
export async function dueRetries(
  database: Kysely<Database>,
  billingNow: number,
  { limit, after }: { limit: number; after: DueRetry | null },
): Promise<DueRetry[]> {
  let due = database
    .selectFrom("purchases")
    .select(["organization_id", "id", "next_check_at"])
    .where("next_check_at", "<=", billingNow)
    .where("state", "=", "declined");
  if (after?.next_check_at != null) {
    const { next_check_at, organization_id, id } = after;
    due = due.where(({ eb, refTuple, tuple }) =>
      eb(refTuple("next_check_at", "organization_id", "id"), ">", tuple(next_check_at ?? 0, organization_id, id)),
    );
  }
  return due.orderBy("next_check_at").orderBy("organization_id").orderBy("id").limit(limit).execute();
}
