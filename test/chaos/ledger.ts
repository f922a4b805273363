import type { Purchase, Receipt } from "../../src/contract/billing.ts";
import { oracleBoundary, oracleCharge } from "../support/oracle.ts";
import type { RunningSandbox } from "../support/sandbox.ts";
import { tokenOf } from "../support/seed.ts";

/** The counts and findings of a run. */
export class Tally {
  purchases = 0;
  renewals = 0;
  kills = 0;
  faults = 0;
  /** What people did on payment pages. */
  clicks = 0;
  refunds = 0;
  readonly violations: string[] = [];

  expect(holds: boolean, violation: string): void {
    if (!holds) this.violations.push(violation);
  }

  /** Prints the counts of a run, and lets it exit with 1 if an invariant was violated. */
  report(seed: number): void {
    const { purchases, renewals, refunds, clicks, kills, faults, violations } = this;
    console.log(
      `${purchases} purchases, ${renewals} renewals, ${refunds} refunds, ${clicks} acts of persons, ${kills} kills, ` +
        `${faults} faults: ${violations.length} violations (seed ${seed}).`,
    );
    process.exitCode = violations.length === 0 ? 0 : 1;
  }
}

/** Lists every purchase of an organization, page by page. */
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
 * Checks the invariants from outside (src/backend/README.md, Invariants): the purchases, the count, and the provider's
 * record.
 *
 * @param seeded the organization's initial licenses
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
  const licenses = licensesAfter(purchases.toReversed(), seeded, where, tally);
  const purchased = await sandbox.purchased(organizationId);
  const refunded = purchases.filter(({ refund }) => refund);
  const receipts = numbersOf(purchases.map(({ receiptNumber }) => receiptNumber));
  const creditNotes = numbersOf(refunded.map(({ refund }) => refund?.creditNoteNumber));

  tally.purchases += succeeded.filter(({ kind }) => kind === "purchase").length;
  tally.renewals += purchases.filter(({ kind }) => kind === "renewal").length;
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

/** Adds up the licenses of purchases, oldest first. There are no reductions, so a renewal is for all licenses. */
function licensesAfter(purchases: readonly Purchase[], seeded: number, where: string, tally: Tally): number {
  let licenses = seeded;
  for (const { id, kind, status, licenses: count } of purchases) {
    if (kind === "renewal") {
      tally.expect(count === licenses, `${where}: ${id} renewed ${count} licenses, and there were ${licenses}`);
    } else if (status === "succeeded") licenses += count;
  }
  return licenses;
}

/** The rule of monthly terms to check. */
export interface MonthlyTerms {
  readonly anchorDate: string;
  /** The index of the organization's first term. */
  readonly seeded: number;
  /** The current billing date. */
  readonly today: string;
}

/**
 * Checks that every term was renewed once, in order, for all licenses and the whole term. Only the last renewal may be
 * unpaid; if it is paid, none is missing (src/billing/README.md, Renewal).
 */
export async function checkTerms(
  sandbox: RunningSandbox,
  organizationId: number,
  { anchorDate, seeded, today }: MonthlyTerms,
  tally: Tally,
): Promise<void> {
  const where = `organization ${organizationId}`;
  const renewals = (await allPurchases(sandbox, organizationId)).filter(({ kind }) => kind === "renewal").reverse();
  for (const [index, renewal] of renewals.entries()) {
    const isPaid = renewal.status === "succeeded";
    tally.expect(isPaid || index === renewals.length - 1, `${where}: ${renewal.id} is not paid, and renewed again`);
    if (!isPaid) continue;
    const path = `/organizations/${organizationId}/purchases/${renewal.id}/receipt`;
    const { body } = await sandbox.request("GET", path, { token: tokenOf(organizationId) });
    const { term, unitPrice, taxRate, licenses, total } = body as Receipt;
    const [start, end] = [1, 2].map((months) => oracleBoundary(anchorDate, seeded + index + months));
    tally.expect(
      term.start === start && term.renewalDate === end,
      `${where}: ${renewal.id} is for ${term.start}, not ${start}`,
    );
    const expected = oracleCharge({ unitPrice: unitPrice.amount, taxRate, licenses, remainingDays: 1, termDays: 1 });
    tally.expect(BigInt(total.amount) === expected.total, `${where}: ${renewal.id} cost ${total.amount}`);
  }
  const next = oracleBoundary(anchorDate, seeded + renewals.length + 1);
  const isOpen = renewals.at(-1)?.status === "failed";
  tally.expect(isOpen || next > today, `${where}: the renewal of ${next} is missing on ${today}`);
}

/** The trailing numbers of document numbers, in order. */
function numbersOf(documents: readonly (string | null | undefined)[]): number[] {
  const numbers = documents.flatMap((document) => (document ? [Number(document.split("-").at(-1))] : []));
  return numbers.sort((one, other) => one - other);
}
