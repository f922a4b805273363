import type { Purchase } from "../../src/contract/billing.ts";
import type { RunningSandbox } from "../support/sandbox.ts";
import { tokenOf } from "../support/seed.ts";

/** What chaos did and what it found. */
export class Tally {
  purchases = 0;
  kills = 0;
  faults = 0;
  /** What persons did on payment pages. */
  clicks = 0;
  refunds = 0;
  readonly violations: string[] = [];

  expect(holds: boolean, violation: string): void {
    if (!holds) this.violations.push(violation);
  }
}

/** Every purchase of an organization, page by page. */
async function allPurchases(sandbox: RunningSandbox, organizationId: number): Promise<Purchase[]> {
  const purchases: Purchase[] = [];
  let after: string | null = "";
  while (after !== null) {
    const path: string = `/organizations/${organizationId}/purchases?limit=100${after && `&after=${after}`}`;
    const { body } = await sandbox.request("GET", path, { token: tokenOf(organizationId) });
    const page = body as { items: Purchase[]; next: string | null };
    purchases.push(...page.items);
    after = page.next;
  }
  return purchases;
}

/**
 * The invariants of purchase.md, computed from outside: the purchases, the count, and the provider's own record.
 *
 * @param seeded the licenses that the organization began with
 */
export async function checkInvariants(
  sandbox: RunningSandbox,
  organizationId: number,
  seeded: number,
  tally: Tally,
): Promise<Purchase[]> {
  const purchases = await allPurchases(sandbox, organizationId);
  const succeeded = purchases.filter((purchase) => purchase.status === "succeeded");
  const ours = new Set(purchases.map((purchase) => purchase.id));
  const captures = (await sandbox.captures()).filter((capture) => ours.has(capture.purchaseId));
  const sum = (amounts: number[]) => amounts.reduce((total, amount) => total + amount, 0);
  const where = `organization ${organizationId}`;
  const captured = sum(captures.map((capture) => capture.amount - capture.refunded));
  const charged = sum(succeeded.map((purchase) => purchase.total.amount));
  const licenses = seeded + sum(succeeded.map((purchase) => purchase.licenses));
  const purchased = await sandbox.purchased(organizationId);
  const refunded = purchases.filter(({ refund }) => refund);
  const receipts = numbersOf(purchases.map(({ receiptNumber }) => receiptNumber));
  const creditNotes = numbersOf(refunded.map(({ refund }) => refund?.creditNoteNumber));

  tally.purchases += succeeded.length;
  tally.refunds += refunded.length;
  tally.expect(captured === charged, `${where}: captured ${captured}, and purchases for ${charged} succeeded`);
  tally.expect(purchased === licenses, `${where}: ${purchased} licenses, and ${licenses} were seeded and bought`);
  tally.expect(
    new Set(captures.map((capture) => capture.purchaseId)).size === captures.length,
    `${where}: a purchase was captured twice`,
  );
  tally.expect(
    receipts.length === captures.length,
    `${where}: ${receipts.length} receipts, ${captures.length} captures`,
  );
  for (const [name, numbers] of Object.entries({ receipts, "credit notes": creditNotes })) {
    const isGapless = numbers.every((number, index) => number === index + 1);
    tally.expect(isGapless, `${where}: ${name} ${numbers.join(", ")}`);
  }
  for (const purchase of purchases) {
    tally.expect(
      ["succeeded", "failed"].includes(purchase.status),
      `${where}: ${purchase.id} is still ${purchase.status}`,
    );
  }
  return purchases;
}

/** The numbers at the ends of document numbers, in order. */
function numbersOf(documents: readonly (string | null | undefined)[]): number[] {
  const numbers = documents.flatMap((document) => (document ? [Number(document.split("-").at(-1))] : []));
  return numbers.sort((one, other) => one - other);
}
