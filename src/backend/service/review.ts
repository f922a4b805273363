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
import { openDisputes } from "./disputes.ts";
import { openFindings } from "./findings.ts";

/**
 * Lists what needs review by an operator: the purchases of all organizations whose payment outcome is unknown, oldest
 * first, then the differences that reconciliations and webhooks found, and the disputes that have not ended.
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
  const disputes = (await openDisputes(database)).map(({ purchaseId, organizationId, paymentId, amount }) => ({
    id: purchaseId,
    organizationId,
    kind: null,
    licenses: null,
    total: amount,
    acceptedAt: null,
    paymentId,
    finding: "disputed" as const,
  }));
  return [...purchases, ...findings, ...disputes];
}

/** The outcome of a payment, as an operator found it. */
export type Finding = "paid" | "declined";

const DECLINED = { code: "payment_not_found", message: "The payment was not made." };

/**
 * Ends the review of a purchase: fulfills it if it was paid, and declines it otherwise. The audit log names the operator
 * as the actor.
 *
 * @throws BackendError `not_found`; `not_in_review` if it does not need review, or a worker holds its lease
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

/** Returns the error for a purchase that does not need review. */
export function notInReview(purchaseId: string): BackendError {
  return startError("not_in_review", `Purchase ${purchaseId} does not need review`, REVIEW_HINT);
}

/** Declines a purchase. A renewal is retried on its schedule. */
async function decline(database: Kysely<Database>, lease: PurchaseRow, now: number): Promise<void> {
  const { time_zone: timeZone } = await readSubscription(database, lease.organization_id);
  const nextCheckAt = lease.kind === "renewal" ? nextRetryAt(lease.accepted_at, now, timeZone) : null;
  await endUnpaid(database, lease, { state: "declined", failure: DECLINED, actor: OPERATOR, nextCheckAt }, now);
}
