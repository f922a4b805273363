import { formatMoney } from "../../billing/money.ts";
import type { Purchase } from "../../contract/billing.ts";
import { failureCost, failureReason } from "./failure.ts";
import { codeSpan, link } from "./markdown.ts";
import { instant } from "./words.ts";

/**
 * A purchase that did not succeed, as a section of a CI job's summary in Markdown. Whatever a backend wrote stands in a
 * code span, and its page is a link only where it may be trusted (security.md, Hostile input).
 *
 * @param isTrusted whether the payment page may be linked to
 * @returns `null` for a purchase that needs nobody
 */
export function renderJobSummary(purchase: Purchase, isTrusted: boolean): string | null {
  const { status, nextAction } = purchase;
  if (status !== "requires_approval" && status !== "failed") return null;
  const isWaiting = status === "requires_approval";
  const title = isWaiting ? "A license purchase waits for approval" : "A license purchase failed";
  const cost = isWaiting ? "No license was added and nothing was charged yet." : failureCost(purchase);
  const facts = [
    `- Purchase: ${codeSpan(purchase.id)}`,
    `- Licenses: ${purchase.licenses}`,
    `- Amount with tax: ${formatMoney(purchase.total)}`,
    ...(isWaiting ? [] : [`- Reason: ${codeSpan(failureReason(purchase.failure))}`]),
    ...(nextAction === null ? [] : [`- Can be paid until: ${instant(nextAction.expiresAt)}`]),
  ];
  return [`### ${title}`, cost, facts.join("\n"), ...nextSteps(purchase, isTrusted), ""].join("\n\n");
}

function nextSteps({ id, status, nextAction }: Purchase, isTrusted: boolean): string[] {
  if (nextAction === null) return [];
  const isWaiting = status === "requires_approval";
  const label = isWaiting ? "Approve the payment" : "Pay with another card";
  const page = isTrusted ? link(label, nextAction.url) : `${label} at ${codeSpan(nextAction.url)}`;
  const goOn = isWaiting
    ? "Then run `secureflag-licenses purchases resume`, or this job again."
    : `Or run ${codeSpan(`secureflag-licenses purchases pay ${id}`)}. Running this job again makes a new purchase.`;
  return [page, goOn];
}
