import type { Kysely } from "kysely";
import { money } from "../../billing/money.ts";
import type { Database } from "../database/schema.ts";
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
