import { createHash } from "node:crypto";
import * as z from "zod";
import { BillingError } from "../../../billing/errors.ts";
import { prorate, recurringCharge } from "../../../billing/proration.ts";
import { dateSchema, instantSchema, moneySchema, organizationRefSchema, termSchema } from "../../../contract/basics.ts";
import { quoteSchema, subscriptionSchema } from "../../../contract/billing.ts";
import { CliError } from "../../errors.ts";
import { STANDARD } from "../../files/standard.ts";
import { toJson } from "../../kit/output.ts";
import { clean, decodeText } from "../../kit/text.ts";
import { moneyText } from "../../kit/words.ts";
import { explanation } from "./explanation.ts";
import type { Offer } from "./offer.ts";

const contentSchema = z.object({
  kind: z.literal("secureflag-licenses quote"),
  formatVersion: z.literal(1),
  organization: organizationRefSchema,
  /** The API URL. */
  backend: z.string().min(1),
  plan: subscriptionSchema.shape.plan.omit({ unitPrice: true }),
  licenses: z.int().positive(),
  purchased: z.object({ before: z.int().nonnegative(), after: z.int().positive() }),
  /** Licenses of purchases in progress, not included in `before`. */
  inProgress: z.int().nonnegative(),
  unitPrice: moneySchema,
  purchaseDate: dateSchema,
  term: termSchema,
  dueNow: moneySchema,
  taxRate: quoteSchema.shape.taxRate,
  tax: moneySchema,
  total: moneySchema,
  chargeStep: z.int().positive().nullable(),
  renewsAt: quoteSchema.shape.renewsAt,
  arithmetic: z.array(z.string()),
  quoteId: z.string(),
  createdAt: instantSchema,
});

const fileSchema = z.strictObject({ ...contentSchema.shape, digest: z.string() });

type Content = z.output<typeof contentSchema>;

/** An offer saved to be reviewed and bought from later, once (src/cli/README.md, Quote files). */
export type QuoteFile = z.output<typeof fileSchema>;

/** The largest quote file, in bytes. */
export const MAX_QUOTE_FILE_BYTES = 64 * 1024;

/** Creates the quote file of an offer. */
export function quoteFileOf({ quote, subscription }: Offer, apiUrl: string): QuoteFile {
  const { unitPrice, ...plan } = subscription.plan;
  const { id, name } = subscription.organization;
  const content: Content = {
    kind: "secureflag-licenses quote",
    formatVersion: 1,
    organization: { id, name },
    backend: apiUrl,
    plan,
    licenses: quote.licenses,
    purchased: { before: quote.licensesAfter - quote.licenses, after: quote.licensesAfter },
    inProgress: subscription.pending.licenses,
    unitPrice,
    purchaseDate: quote.purchaseDate,
    term: quote.term,
    dueNow: quote.dueNow,
    taxRate: quote.taxRate,
    tax: quote.tax,
    total: quote.total,
    chargeStep: quote.chargeStep ?? null,
    renewsAt: quote.renewsAt,
    arithmetic: explanation(quote, subscription.plan),
    quoteId: quote.id,
    createdAt: quote.createdAt,
  };
  return { ...content, digest: digestOf(content) };
}

/**
 * Serializes a quote file, a field a line, so that it reads well in a pull request.
 *
 * @throws CliError `file_not_written` if it is too large to be read again
 */
export function writeQuoteFile(file: QuoteFile): string {
  // Escapes what a screen acts on, such as a change of direction.
  const text = `${toJson(file, 2)}\n`;
  if (Buffer.byteLength(text) <= MAX_QUOTE_FILE_BYTES) return text;
  throw new CliError("file_not_written", "The quote is too large for a file", {
    hint: "Buy without a file: `secureflag-licenses buy <n>`.",
  });
}

/**
 * Reads a quote file. Its digest must match, and its amounts and arithmetic must follow from its own figures; its layout
 * may differ from what `quote --save` wrote.
 *
 * @throws CliError `quote_file_invalid`
 */
export function readQuoteFile(path: string, bytes: Uint8Array): QuoteFile {
  if (bytes.length > MAX_QUOTE_FILE_BYTES) throw invalid(path, "is too large");
  const parsed = fileSchema.safeParse(jsonOf(path, decodeText(bytes)));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue && issue.path.length > 0 ? `${issue.path.join(".")}: ` : "";
    throw invalid(path, `is not a valid quote file: ${where}${clean(issue?.message ?? "")}`);
  }
  const file = parsed.data;
  const { digest, ...content } = file;
  if (digest !== digestOf(content)) throw invalid(path, "was changed: its digest does not match");
  if (!isConsistent(file)) throw invalid(path, "was changed: its amounts do not follow from its own figures");
  return file;
}

/** Derives an idempotency key from a quote file: the same on every machine. */
export function fileKey({ digest }: QuoteFile, ordinal: number): string {
  return `${fileKeyStem(digest)}${ordinal}`;
}

/** Whether a key was derived from a quote file. */
export function isFileKey({ digest }: QuoteFile, idempotencyKey: string): boolean {
  return idempotencyKey.startsWith(fileKeyStem(digest));
}

/**
 * Checks that a quote file is for this organization and backend.
 *
 * @throws CliError `quote_file_outdated` with the differences
 */
export function assertSamePlace(file: QuoteFile, place: { apiUrl: string; organizationId: number }): void {
  refuseDifferences([
    ["organization", String(file.organization.id), String(place.organizationId)],
    ["backend", file.backend, place.apiUrl],
  ]);
}

/**
 * Checks that an offer still matches a quote file: the same count, unit price and term, for no more money. Prices fall day
 * by day, so buying later costs no more.
 *
 * @throws CliError `quote_file_outdated` with the differences, field by field
 */
export function assertStillHolds(file: QuoteFile, { quote, subscription }: Offer): void {
  const isDearer = quote.total.currency !== file.total.currency || quote.total.amount > file.total.amount;
  refuseDifferences([
    ["purchased licenses", String(file.purchased.before), String(quote.licensesAfter - quote.licenses)],
    ["licenses in progress", String(file.inProgress), String(subscription.pending.licenses)],
    ["unit price", moneyText(file.unitPrice), moneyText(quote.unitPrice)],
    ["term", `${file.term.start} to ${file.term.renewalDate}`, `${quote.term.start} to ${quote.term.renewalDate}`],
    ...(isDearer ? [["total with tax", moneyText(file.total), moneyText(quote.total)] as const] : []),
  ]);
}

function refuseDifferences(fields: readonly (readonly [field: string, filed: string, now: string])[]): void {
  const differences = fields.filter(([, filed, now]) => filed !== now);
  if (differences.length === 0) return;
  const list = differences.map(([field, filed, now]) => `${field}: ${clean(filed)} in the file, ${clean(now)} now`);
  throw new CliError("quote_file_outdated", `The quote file is outdated (${list.join("; ")})`, {
    hint: "This command bought nothing. Save a new one with `secureflag-licenses quote <n> --save <file>`.",
  });
}

/** Whether amounts and arithmetic, which a reviewer reads, follow from the figures. */
function isConsistent(file: QuoteFile): boolean {
  const { unitPrice, licenses, taxRate, term, purchased, renewsAt, chargeStep } = file;
  const line = { unitPrice, taxRate, chargeStep: chargeStep ?? 1 };
  try {
    const due = prorate({ ...line, licenses, remainingDays: term.daysRemaining, termDays: term.days });
    const renewing = renewsAt?.licenses ?? 0;
    const renewal = { date: term.renewalDate, licenses: renewing, ...recurringCharge({ ...line, licenses: renewing }) };
    const sentences = explanation({ ...file, chargeStep: line.chargeStep }, { ...file.plan, unitPrice });
    return (
      isSame([file.dueNow, file.tax, file.total], [due.subtotal, due.tax, due.total]) &&
      isSame(renewsAt, renewsAt && renewal) &&
      [sentences, inEarlierWords(sentences)].some((lines) => isSame(file.arithmetic, lines)) &&
      purchased.after === purchased.before + licenses
    );
  } catch (error) {
    if (error instanceof BillingError) return false;
    throw error;
  }
}

/** Names the amounts as files did that were saved before each amount had one name everywhere. */
function inEarlierWords(sentences: readonly string[]): string[] {
  return sentences.map((line) => line.replace(/^Due now:/, "Total:").replace(/^Subtotal:/, "Due now:"));
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function digestOf(content: Content): string {
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}

function fileKeyStem(digest: string): string {
  return `file_${digest}_`;
}

function jsonOf(path: string, text: string): unknown {
  if (text.trim() === "") throw invalid(path, "is empty");
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(path, "is not JSON", cause);
  }
}

function invalid(path: string, why: string, cause?: unknown): CliError {
  return new CliError("quote_file_invalid", `The quote file ${path === STANDARD ? "on stdin" : path} ${why}`, {
    hint: "Save a new one with `secureflag-licenses quote <n> --save <file>`.",
    cause,
  });
}
