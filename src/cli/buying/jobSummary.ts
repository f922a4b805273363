import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { Purchase } from "../../contract/billing.ts";
import type { Context } from "../context.ts";
import type { ErrorReport } from "../errors.ts";
import { stepOutputs } from "../io.ts";
import { trustedPage } from "../kit/links.ts";
import { type OutputOptions, warn } from "../kit/output.ts";
import { clean } from "../kit/text.ts";
import { countChange, counts, instant, licenses, moneyText, withTax } from "../kit/words.ts";
import type { Output } from "../outputs.ts";
import { administratorInvitation, awaitsAdministrator, failureCost, failureReason } from "./engine/failureWords.ts";
import { inProgress, type LicenseTarget, targetWords } from "./engine/wanted.ts";

/** The files of a GitHub Actions step, by the variables that name them. */
type JobFile = "GITHUB_STEP_SUMMARY" | "GITHUB_OUTPUT";

/**
 * Adds purchases that require approval or failed to the job summary of GitHub Actions, if there is one. A failure to write it
 * is a warning.
 *
 * @param origin the origin of the backend, whose pages may be linked to
 */
export async function summarize(
  context: Context,
  options: OutputOptions,
  origin: string,
  purchases: readonly Purchase[],
): Promise<void> {
  const isTrusted = ({ nextAction }: Purchase) => !!nextAction?.url && trustedPage(nextAction.url, origin) !== null;
  const sections = purchases.map((purchase) => renderJobSummary(purchase, isTrusted(purchase)));
  const text = sections.filter((section) => section !== null).join("\n");
  if (text !== "") await addToJobSummary(context, options, text);
}

/** Adds a section to the job summary of GitHub Actions, if there is one. */
export function addToJobSummary(context: Context, options: OutputOptions, section: string): Promise<void> {
  return appendForJob(context, options, "GITHUB_STEP_SUMMARY", `${section}\n`);
}

/** Sets outputs of a step of GitHub Actions, if this is one. Of two values of an output, the later counts. */
export function writeOutputs(
  context: Context,
  options: OutputOptions,
  values: Readonly<Record<string, string>>,
): Promise<void> {
  const delimiter = `ghadelimiter_${context.random.bytes(16).toString("hex")}`;
  return appendForJob(context, options, "GITHUB_OUTPUT", stepOutputs(values, delimiter));
}

/** Appends to one of the files of a GitHub Actions step, if it exists. A failure is a warning. */
export async function appendForJob(
  context: Context,
  options: OutputOptions,
  file: JobFile,
  text: string,
): Promise<void> {
  const path = context.env[file];
  if (!path) return;
  try {
    await appendToFile(path, text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    warn(context, options, `Failed to write ${file}: ${reason}`);
  }
}

/** Appends to a regular file. Another kind, such as a named pipe without a reader, could block the result forever. */
async function appendToFile(path: string, text: string): Promise<void> {
  const { O_WRONLY, O_APPEND, O_CREAT } = constants;
  // Windows has no O_NONBLOCK.
  const file = await open(path, O_WRONLY | O_APPEND | O_CREAT | (constants.O_NONBLOCK ?? 0), 0o600);
  try {
    if (!(await file.stat()).isFile()) throw new TypeError("not a regular file");
    // One write, so that sections of concurrent commands do not mix.
    await file.appendFile(text);
  } finally {
    await file.close();
  }
}

/**
 * Renders a purchase that did not succeed as a section of a job summary in Markdown. Text from the backend is in code spans,
 * and its page is a link only if it is trusted.
 *
 * @param isTrusted whether the payment page may be linked to
 * @returns `null` for a purchase that needs no action
 */
export function renderJobSummary(purchase: Purchase, isTrusted: boolean): string | null {
  const { status, nextAction } = purchase;
  if (status !== "requires_approval" && status !== "failed") return null;
  const isWaiting = status === "requires_approval";
  const title = isWaiting ? "A license purchase requires approval" : "A license purchase failed";
  const cost = isWaiting ? "No license was added and nothing was charged yet." : failureCost(purchase);
  const facts = [
    `- Purchase: ${codeSpan(purchase.id)}`,
    `- Licenses: ${purchase.licenses}`,
    `- Total: ${withTax({ total: purchase.total, net: purchase.dueNow, tax: purchase.tax })}`,
    ...(isWaiting ? [] : [`- Reason: ${codeSpan(failureReason(purchase.failure))}`]),
    ...(nextAction === null || purchase.kind === "renewal"
      ? []
      : [`- Can be ${awaitsAdministrator(purchase) ? "approved" : "paid"} until: ${instant(nextAction.expiresAt)}`]),
  ];
  return [`### ${title}`, cost, facts.join("\n"), ...nextSteps(purchase, isTrusted), ""].join("\n\n");
}

function nextSteps(purchase: Purchase, isTrusted: boolean): string[] {
  const { id, status, nextAction } = purchase;
  if (awaitsAdministrator(purchase)) return [administratorInvitation(purchase), RESUME];
  if (!nextAction?.url) return [];
  const isWaiting = status === "requires_approval";
  const label = isWaiting ? "Approve the payment" : "Pay with another card";
  const page = isTrusted ? link(label, nextAction.url) : `${label} at ${codeSpan(nextAction.url)}`;
  const goOn = isWaiting
    ? RESUME
    : `Or run ${codeSpan(`secureflag-licenses purchases pay ${id}`)}. Running this job again makes a new purchase.`;
  return [page, goOn];
}

const RESUME = "Then run `secureflag-licenses purchases resume`, or this job again.";

/** Renders what a top-up did as a section of a job summary in Markdown. */
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
    ...(purchase === null && quote?.renewsAt ? [`- Renews at: ${renewalOf(quote.renewsAt)}`] : []),
  ];
  return [`### ${titleOf(topUp)}`, facts.join("\n"), ""].join("\n\n");
}

/** Renders why a top-up stopped before it bought anything as a section of a job summary in Markdown. */
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

function renewalOf({ total, subtotal, tax, date }: NonNullable<NonNullable<Output<"top-up">["quote"]>["renewsAt"]>) {
  return `${withTax({ total, net: subtotal, tax })} on ${date}`;
}

function keyOf({ idempotencyKey }: Purchase): string {
  return idempotencyKey ?? "none";
}

const MAX_SPAN = 300;

/**
 * Renders text from a backend as a code span, in which Markdown, HTML, links and mentions have no effect (CommonMark, 6.1).
 * The fence is longer than any run of backticks inside.
 */
export function codeSpan(text: string): string {
  const cleaned = clean(text).trim().slice(0, MAX_SPAN) || "-";
  const runs = cleaned.match(/`+/g) ?? [];
  const fence = "`".repeat(1 + Math.max(0, ...runs.map((run) => run.length)));
  const space = cleaned.startsWith("`") || cleaned.endsWith("`") ? " " : "";
  return `${fence}${space}${cleaned}${space}${fence}`;
}

/**
 * Renders a link to a trusted URL. Whatever Markdown could interpret in it is written as a character reference, which a link
 * destination may contain (CommonMark, 6.3).
 *
 * @param label a text of ours
 */
export function link(label: string, url: string): string {
  const destination = new URL(url).href.replace(/[^\w:/?=.~%-]/g, (character) => `&#${character.codePointAt(0)};`);
  return `[${label}](<${destination}>)`;
}
