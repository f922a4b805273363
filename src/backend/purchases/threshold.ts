import { createHash } from "node:crypto";
import type { Kysely } from "kysely";
import { formatMoney, money } from "../../billing/money.ts";
import { APPROVAL_WINDOW_MS, needsApproval } from "../../billing/purchase.ts";
import { emailKey } from "../../contract/email.ts";
import type { Database, PurchaseRow } from "../database/schema.ts";
import { recordEvent } from "../events/events.ts";
import { queueNotification } from "../events/outbox.ts";
import { type Administrator, administratorsOf } from "../identity/administrators.ts";
import { GIVEN_BACK } from "../identity/spending.ts";
import { followPath } from "./leases.ts";
import { deadlineOf, priceOf } from "./schedule.ts";

/**
 * Reports whether another administrator has to approve a purchase (src/billing/README.md, Approval). The subscription's row
 * must be locked, so that parallel orders and payments wait for each other.
 *
 * @param threshold the organization's, minor units; `null` without one
 * @param now the billing clock, milliseconds
 */
export async function mustBeApproved(
  tx: Kysely<Database>,
  { organizationId, purchaseId, total }: { organizationId: number; purchaseId: string; total: { amount: number } },
  threshold: number | null,
  now: number,
): Promise<boolean> {
  if (threshold === null) return false;
  const others = await tx
    .selectFrom("purchases")
    .select((expression) => expression.fn.sum<string | number | null>("total").as("amount"))
    .where("organization_id", "=", organizationId)
    .where("kind", "=", "purchase")
    // When it was accepted, or charged later.
    .where("spent_at", ">", now - APPROVAL_WINDOW_MS)
    .where("approved_at", "is", null)
    .where("state", "not in", GIVEN_BACK)
    .where("id", "<>", purchaseId)
    .executeTakeFirstOrThrow();
  return needsApproval(threshold, total.amount, Number(others.amount ?? 0));
}

/** Reports whether a declined purchase that is paid again needs an approval that it does not have, like `mustBeApproved`. */
export async function mustBeApprovedNow(
  tx: Kysely<Database>,
  { organization_id: organizationId, id: purchaseId, total, approved_at }: PurchaseRow,
  threshold: number | null,
  now: number,
): Promise<boolean> {
  if (approved_at !== null) return false;
  return mustBeApproved(tx, { organizationId, purchaseId, total: { amount: total } }, threshold, now);
}

/**
 * Makes an attempt to pay a declined purchase wait for another administrator. Nobody will be at the payment page when it goes
 * on.
 *
 * @param begun the attempt, as it was about to be charged
 * @param payer who began it
 */
export async function waitForApproval(
  tx: Kysely<Database>,
  begun: PurchaseRow,
  payer: { readonly actor: string; readonly payerId?: number },
  now: number,
): Promise<PurchaseRow> {
  const state = followPath("declined", ["awaiting_approval"]);
  const waiting = await tx
    .updateTable("purchases")
    .set({ state, by_person: 0, payer_user_id: payer.payerId ?? null, next_check_at: deadlineOf({ ...begun, state }) })
    .where("organization_id", "=", begun.organization_id)
    .where("id", "=", begun.id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await askForApproval(tx, waiting, payer.actor, now);
  return waiting;
}

/** Computes what an approval of a purchase names: the SHA-256 of what was accepted (src/contract/README.md, Approval). */
export function approvalDigest(purchase: PurchaseRow): string {
  const { dueNow, tax } = priceOf(purchase);
  // In the order of the names, as in RFC 8785.
  const accepted = {
    currency: purchase.currency,
    dueNow: dueNow.amount,
    licenses: purchase.licenses,
    organizationId: purchase.organization_id,
    purchaseId: purchase.id,
    tax: tax.amount,
    total: purchase.total,
  };
  return createHash("sha256").update(JSON.stringify(accepted)).digest("hex");
}

/**
 * Records that a purchase waits for another administrator, and notifies those who may approve it.
 *
 * @param actor who bought it, or wanted to pay it again
 */
export async function askForApproval(
  tx: Kysely<Database>,
  purchase: PurchaseRow,
  actor: string,
  now: number,
): Promise<void> {
  const { organization_id: organizationId, id: purchaseId, licenses, total, currency } = purchase;
  const type = "purchase.approval_requested";
  const data = { licenses, total, currency, digest: approvalDigest(purchase) };
  await recordEvent(tx, { organizationId, at: now, type, actor, purchaseId, data });
  const amount = formatMoney(money(total, currency));
  const text = `${actor} wants to buy ${licenses === 1 ? "1 license" : `${licenses} licenses`} for ${amount}. Approve it with \`secureflag-licenses purchases approve ${purchaseId}\`, or reject it.`;
  for (const { userId, email } of await approversOf(tx, purchase)) {
    const id = `${purchaseId}:${type}:${userId}`;
    await queueNotification(tx, { id, type, organizationId, purchaseId, to: email, text, data }, now);
  }
}

/**
 * Lists the administrators who may approve or reject a purchase: who are now, and were before it was accepted, and did not
 * buy it, nor make the token that did.
 */
export async function approversOf(tx: Kysely<Database>, purchase: PurchaseRow): Promise<Administrator[]> {
  const administrators = await administratorsOf(tx, purchase.organization_id);
  return administrators.filter(
    ({ userId, email, since }) => since < purchase.accepted_at && !isBuyer(purchase, { id: userId, email }),
  );
}

/**
 * Whether a user bought a purchase or paid it again, or made the token that did. Purchases from before that was kept name an
 * email only.
 */
export function isBuyer(
  { buyer_user_id, payer_user_id, buyer_email }: PurchaseRow,
  { id, email }: { readonly id: number; readonly email: string },
): boolean {
  if (id === payer_user_id) return true;
  return buyer_user_id === null ? emailKey(email) === emailKey(buyer_email ?? "") : id === buyer_user_id;
}
