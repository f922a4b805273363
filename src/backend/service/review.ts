import type { Kysely } from "kysely";
import { money } from "../../billing/money.ts";
import { nextRetryAt } from "../../billing/renewal.ts";
import type { Database, PurchaseRow } from "../database/schema.ts";
import { BackendError, startError } from "../errors.ts";
import { OPERATOR } from "../events/events.ts";
import { leasePurchase, releaseLease, StaleLease } from "../purchases/leases.ts";
import { endUnpaid, fulfillPurchase } from "../purchases/settle.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { databaseNow } from "./clock.ts";
import { openFindings } from "./findings.ts";

/**
 * Lists what an operator has to review: the purchases of all organizations whose payment is not known, oldest first, then
 * the payments on which the last reconciliations found a difference.
 */
export async function listReview(database: Kysely<Database>) {
  const rows = await database
    .selectFrom("purchases")
    .select(["id", "organization_id", "kind", "licenses", "total", "currency", "accepted_at", "payment_id"])
    .where("state", "=", "needs_review")
    .orderBy("accepted_at")
    .execute();
  const purchases = rows.map((row) => ({
    id: row.id,
    organizationId: row.organization_id,
    kind: row.kind,
    licenses: row.licenses,
    total: money(row.total, row.currency),
    acceptedAt: new Date(row.accepted_at).toISOString(),
    paymentId: row.payment_id,
    finding: null,
  }));
  const findings = (await openFindings(database)).map(({ finding, purchaseId, organizationId, kind, ...found }) => ({
    id: purchaseId,
    organizationId,
    kind,
    licenses: null,
    total: found.captured ?? found.booked,
    acceptedAt: null,
    paymentId: found.paymentId,
    finding,
  }));
  return [...purchases, ...findings];
}

/** What an operator found out about a payment. */
export type Finding = "paid" | "declined";

const DECLINED = { code: "payment_not_found", message: "The payment was not made." };

/**
 * Ends the review of a purchase: one that was paid is fulfilled, any other is declined. Both are in the audit log with the
 * operator as the actor.
 *
 * @throws BackendError `not_found`; `not_in_review` if nobody has to review it, or a worker is looking at it
 */
export async function resolvePurchase(
  database: Kysely<Database>,
  purchaseId: string,
  finding: Finding,
): Promise<PurchaseRow["state"]> {
  const known = await database
    .selectFrom("purchases")
    .select(["id", "organization_id", "state"])
    .where("id", "=", purchaseId)
    .executeTakeFirst();
  if (!known) throw new BackendError("not_found", `Purchase ${purchaseId} not found`, {}, {}, REVIEW_HINT);
  const now = Math.round(await databaseNow(database));
  const clocks = { billing: now, machine: now };
  const lease = known.state === "needs_review" ? await leasePurchase(database, known, clocks) : null;
  if (lease?.state !== "needs_review") {
    if (lease) await releaseLease(database, lease, now);
    throw notInReview(purchaseId);
  }
  try {
    if (finding === "paid") await fulfillPurchase(database, lease, now, OPERATOR);
    else await decline(database, lease, now);
  } catch (error) {
    throw error instanceof StaleLease ? notInReview(purchaseId) : error;
  }
  return finding === "paid" ? "fulfilled" : "declined";
}

const REVIEW_HINT = "See `secureflag-licenses serve admin list-review`.";

/** The error of a purchase that nobody has to review. */
export function notInReview(purchaseId: string): BackendError {
  return startError("not_in_review", `Purchase ${purchaseId} is not waiting for a review`, REVIEW_HINT);
}

/** A renewal is tried again on its schedule. */
async function decline(database: Kysely<Database>, lease: PurchaseRow, now: number): Promise<void> {
  const { time_zone: timeZone } = await readSubscription(database, lease.organization_id);
  const nextCheckAt = lease.kind === "renewal" ? nextRetryAt(lease.accepted_at, now, timeZone) : null;
  await endUnpaid(database, lease, { state: "declined", failure: DECLINED, actor: OPERATOR, nextCheckAt }, now);
}
