import { expect } from "vitest";
import type { TestBackend } from "./backend.ts";

/**
 * The invariants of purchase.md for one organization: provider, ledger, receipts, counts and numbers agree.
 *
 * @param seeded the licenses that the organization began with
 */
export async function expectInvariants(backend: TestBackend, organizationId: number, seeded: number): Promise<void> {
  const { database } = backend.deps;
  const purchases = await database
    .selectFrom("purchases")
    .selectAll()
    .where("organization_id", "=", organizationId)
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
  const fulfilled = purchases.filter((purchase) => purchase.state === "fulfilled");

  expect({ captured, booked, receipted }).toEqual({ captured: booked, booked, receipted: booked });
  expect(subscription.licenses).toBe(seeded + sum(fulfilled.map((purchase) => purchase.licenses)));
  expect(new Set(captures.map((capture) => capture.purchaseId)).size).toBe(captures.length);
  expect(receipts.map((receipt) => receipt.number)).toEqual(receipts.map((_, index) => index + 1));
  expect(subscription.receipt_count).toBe(receipts.length);
  expect(notes.map((note) => note.number)).toEqual(notes.map((_, index) => index + 1));
  expect(subscription.credit_note_count).toBe(notes.length);
  expect(notes.map((note) => note.purchase_id).sort()).toEqual(
    purchases
      .filter(({ state }) => state === "refunded")
      .map(({ id }) => id)
      .sort(),
  );
}
