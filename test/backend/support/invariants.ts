import { expect } from "vitest";
import type { PurchaseRow, SubscriptionRow } from "../../../src/backend/database/schema.ts";
import { oracleBoundary } from "../../support/oracle.ts";
import { wallDate } from "../../support/renewalOracle.ts";
import type { TestBackend } from "./backend.ts";

/**
 * Expects the invariants of one organization (src/backend/README.md, Invariants): provider, ledger, receipts, counts and
 * numbers agree, and every term was renewed once, in order.
 *
 * @param seeded the organization's initial licenses
 */
export async function expectInvariants(backend: TestBackend, organizationId: number, seeded: number): Promise<void> {
  const { database } = backend.deps;
  const purchases = await database
    .selectFrom("purchases")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .orderBy("sequence")
    .execute();
  const ours = new Set(purchases.map((purchase) => purchase.id));
  const captures = backend.captures().filter((capture) => ours.has(capture.purchaseId));
  const ledger = await database
    .selectFrom("ledger")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .execute();
  const receipts = await database
    .selectFrom("receipts")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .orderBy("number")
    .execute();
  const notes = await database
    .selectFrom("credit_notes")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .orderBy("number")
    .execute();
  const subscription = await database
    .selectFrom("subscriptions")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .executeTakeFirstOrThrow();

  const totalOf = (id: string) => purchases.find((purchase) => purchase.id === id)?.total ?? Number.NaN;
  const sum = (amounts: number[]) => amounts.reduce((total, amount) => total + amount, 0);
  const captured = sum(captures.map((capture) => capture.amount - capture.refunded));
  const booked = sum(ledger.map((entry) => (entry.kind === "charge" ? entry.amount : -entry.amount)));
  const receipted =
    sum(receipts.map((receipt) => totalOf(receipt.purchase_id))) - sum(notes.map((note) => totalOf(note.purchase_id)));
  const bought = purchases.filter(({ kind, state }) => kind === "purchase" && state === "fulfilled");

  expect({ captured, booked, receipted }).toEqual({ captured: booked, booked, receipted: booked });
  const renewals = purchases.filter(({ kind }) => kind === "renewal");
  const reduced = await licensesReduced(backend, renewals, subscription);
  expect(subscription.licenses).toBe(seeded + sum(bought.map((purchase) => purchase.licenses)) - reduced);
  expectRenewedInOrder(renewals, subscription);
  expect(new Set(captures.map((capture) => capture.purchaseId)).size).toBe(captures.length);
  expect(receipts.map((receipt) => receipt.number)).toEqual(receipts.map((_, index) => index + 1));
  expect(subscription.receipt_count).toBe(receipts.length);
  expect(notes.map((note) => note.number)).toEqual(notes.map((_, index) => index + 1));
  expect(subscription.credit_note_count).toBe(notes.length);
  expect(purchases.map(({ sequence }) => sequence)).toEqual(purchases.map((_, index) => index + 1));
  expect(subscription.purchase_count).toBe(purchases.length);
  const events = await database
    .selectFrom("events")
    .select("number")
    .where("organization_id", "=", organizationId)
    .orderBy("number")
    .execute();
  expect(events.map(({ number }) => number)).toEqual(events.map((_, index) => index + 1));
  expect(subscription.event_count).toBe(events.length);
  expect(notes.map((note) => note.purchase_id).sort()).toEqual(
    purchases
      .filter(({ state }) => state === "refunded")
      .map(({ id }) => id)
      .sort(),
  );
}

/**
 * Counts the licenses that reductions removed, by the audit log. Each takes effect on the first renewal date after it was
 * scheduled, never in a term that had started before.
 */
async function licensesReduced(
  backend: TestBackend,
  renewals: readonly PurchaseRow[],
  { organization_id: organizationId, anchor_date, interval, interval_count }: SubscriptionRow,
): Promise<number> {
  const { database } = backend.deps;
  const { time_zone } = await database
    .selectFrom("organizations")
    .select("time_zone")
    .where("id", "=", organizationId)
    .executeTakeFirstOrThrow();
  const events = await database
    .selectFrom("events")
    .select(["type", "at", "purchase_id", "data_json"])
    .where("organization_id", "=", organizationId)
    .where("type", "in", ["reduction.scheduled", "reduction.applied"])
    .orderBy("number")
    .execute();
  const months = interval_count * (interval === "year" ? 12 : 1);
  let reduced = 0;
  let scheduledOn = "";
  for (const { type, at, purchase_id, data_json } of events) {
    if (type === "reduction.scheduled") scheduledOn = wallDate(at, time_zone);
    else {
      const term = renewals.find(({ id }) => id === purchase_id)?.renewal_term ?? Number.NaN;
      const [before, start] = [term - 1, term].map((index) => oracleBoundary(anchor_date, index * months));
      expect([before, scheduledOn, start]).toEqual([before, scheduledOn, start].toSorted());
      expect(scheduledOn).not.toBe(start);
      const { from, to } = JSON.parse(data_json) as { from: number; to: number };
      reduced += from - to;
    }
  }
  return reduced;
}

/** Expects one renewal per term without gaps. Only the last may be unpaid, and then the subscription names it. */
function expectRenewedInOrder(renewals: readonly PurchaseRow[], subscription: SubscriptionRow): void {
  const terms = renewals.map(({ renewal_term }) => renewal_term ?? Number.NaN);
  const first = subscription.term_index - renewals.length + 1;
  expect(terms).toEqual(terms.map((_, index) => first + index));
  const unpaid = renewals.filter(({ state }) => state !== "fulfilled").map(({ id }) => id);
  expect(unpaid).toEqual(subscription.unpaid_renewal === null ? [] : [subscription.unpaid_renewal]);
  expect(renewals.slice(0, -1).every(({ state }) => state === "fulfilled")).toBe(true);
}
