import type { PurchaseAnswer } from "../../../contract/billing.ts";
import { CliError } from "../../errors.ts";
import { awaitsAdministrator, errorOfPurchase } from "./failureWords.ts";
import { type FollowTools, follow, licensesAfter } from "./follow.ts";
import { concluded, read, STATES } from "./pay.ts";
import { approvedAsShown, differenceFrom } from "./send.ts";
import type { Concluded } from "./tools.ts";

/** A purchase that needs or has the approval of another administrator. */
export type Approvable = PurchaseAnswer & { readonly approval: NonNullable<PurchaseAnswer["approval"]> };

/**
 * Reads a purchase that waits for another administrator, or that one has approved.
 *
 * @throws CliError `not_approvable`; ClientError
 */
export async function readApprovable(purchaseId: string, tools: FollowTools): Promise<Approvable> {
  const purchase = await read(purchaseId, tools);
  if (purchase.approval) return { ...purchase, approval: purchase.approval };
  throw new CliError("not_approvable", `Nothing to approve: ${whereItIs(purchase)}`);
}

/** Whether an administrator has approved a purchase. */
export function isApproved({ approval }: Approvable): boolean {
  return approval.approvedAt !== null;
}

/**
 * Reads a purchase that waits for another administrator, or that one has rejected.
 *
 * @throws CliError `not_approvable`; ClientError
 */
export async function readRejectable(purchaseId: string, tools: FollowTools): Promise<PurchaseAnswer> {
  const purchase = await read(purchaseId, tools);
  if (awaitsAdministrator(purchase) || isRejected(purchase)) return purchase;
  throw new CliError("not_approvable", `Nothing to reject: ${whereItIs(purchase)}`);
}

function isRejected({ failure }: PurchaseAnswer): boolean {
  return failure?.code === "rejected";
}

/** `the purchase pur_1 has succeeded`. */
function whereItIs({ id, status }: PurchaseAnswer): string {
  return `the purchase ${id} ${status === "requires_approval" ? "waits for its payer" : STATES[status]}`;
}

/**
 * Approves a purchase as it was shown, which charges it, and follows it like `pay`. Approving it again changes nothing. Keeps
 * its journal entry.
 *
 * @throws CliError, ClientError: `forbidden`, `not_approvable` and what else refused the call
 */
export async function approve(shown: Approvable, tools: FollowTools): Promise<Concluded> {
  const { id, approval } = shown;
  tools.setInterruption({
    message: `The purchase ${id} may already be approved. It is charged at most once.`,
    hint: `See it with \`secureflag-licenses purchases show ${id}\`. Approving it again is safe.`,
  });
  const approving = tools.client.approvePurchase(tools.organizationId, id, approval.digest);
  const purchase = await follow(await tools.busy("Approving", approving), tools);
  return {
    ...concluded(purchase, differenceFrom(approvedAsShown(shown), purchase) ?? errorOfPurchase(purchase)),
    licensesAfter: licensesAfter(purchase, isApproved(shown) ? null : shown.organizationLicenses.purchased),
  };
}

/**
 * Rejects a purchase that waits for another administrator. A rejected purchase is a success here.
 *
 * @throws CliError, ClientError: `forbidden`, `not_approvable` and what else refused the call
 */
export async function reject(purchaseId: string, reason: string, tools: FollowTools): Promise<Concluded> {
  const rejecting = tools.client.rejectPurchase(tools.organizationId, purchaseId, reason);
  const purchase = await tools.busy("Rejecting", rejecting);
  return concluded(purchase, isRejected(purchase) ? null : errorOfPurchase(purchase));
}
