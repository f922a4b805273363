import type { Purchase } from "../../contract/billing.ts";
import type { ErrorReport } from "../errors.ts";
import type { Output } from "../outputs.ts";
import type { LicenseTarget } from "../purchasing/wanted.ts";
import { failureCost, failureReason } from "./failure.ts";
import { codeSpan, link } from "./markdown.ts";
import { moneyText } from "./money.ts";
import { countChange, counts, inProgress, instant, licenses, targetWords, withTax } from "./words.ts";

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
    `- Total: ${withTax({ total: purchase.total, net: purchase.dueNow, tax: purchase.tax })}`,
    ...(isWaiting ? [] : [`- Reason: ${codeSpan(failureReason(purchase.failure))}`]),
    ...(nextAction === null || purchase.kind === "renewal"
      ? []
      : [`- Can be paid until: ${instant(nextAction.expiresAt)}`]),
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

/** What a top-up did, as a section of a CI job's summary in Markdown. */
export function renderTopUpSummary(topUp: Output<"top-up">): string {
  const { target, shortfall, purchase, quote, licenses: now } = topUp;
  const price = quote ?? purchase;
  const facts = [
    `- Target: ${targetWords(target)}${shortfall === 0 ? inProgress(target, now) : ""}`,
    `- Missing: ${licenses(shortfall)}`,
    ...(quote === null ? [] : [`- Subtotal: ${priceOf(quote)}`]),
    ...(price === null
      ? []
      : [
          `- ${purchase === null ? "Due now" : "Total"}: ${withTax({ total: price.total, net: price.dueNow, tax: price.tax })}`,
        ]),
    ...(purchase === null ? [] : [`- Purchase: ${codeSpan(purchase.id)}`, `- Key: ${codeSpan(keyOf(purchase))}`]),
    `- Licenses now: ${counts(now)}`,
  ];
  return [`### ${titleOf(topUp)}`, facts.join("\n"), ""].join("\n\n");
}

/** Why a top-up stopped before it bought anything, as a section of a CI job's summary in Markdown. */
export function renderStoppedTopUp(target: LicenseTarget, { message, hint, exitCode }: ErrorReport): string {
  const facts = [`- Target: ${targetWords(target)}`, `- Exit code: ${exitCode}`];
  const why = [message, hint].filter(Boolean).map((sentence) => codeSpan(sentence ?? ""));
  return ["### License top-up stopped", ...why, facts.join("\n"), ""].join("\n\n");
}

function titleOf({ shortfall, purchase, quote, dryRun }: Output<"top-up">): string {
  const change = quote === null ? "" : `: ${countChange(quote.licensesAfter, quote.licenses)}`;
  if (shortfall === 0) return "License top-up: nothing to buy";
  if (purchase === null) return `License top-up, dry run: would buy ${licenses(shortfall)}${change}`;
  if (purchase.status !== "succeeded") return `License top-up: purchase ${purchase.status.replace("_", " ")}`;
  return `License top-up: bought ${licenses(purchase.licenses)}${change}${dryRun ? " (earlier)" : ""}`;
}

function priceOf({ licenses: count, unitPrice, term }: NonNullable<Output<"top-up">["quote"]>): string {
  return `${licenses(count)} × ${moneyText(unitPrice)} × ${term.daysRemaining} / ${term.days} days`;
}

function keyOf({ idempotencyKey }: Purchase): string {
  return idempotencyKey ?? "none";
}
