import { createHash } from "node:crypto";
import * as z from "zod";
import { BillingError } from "../../../billing/errors.ts";
import { prorate, recurringCharge } from "../../../billing/proration.ts";
import { dateSchema, instantSchema, moneySchema, organizationRefSchema, termSchema } from "../../../contract/basics.ts";
import { quoteSchema, subscriptionSchema } from "../../../contract/billing.ts";
import { CliError } from "../../errors.ts";
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
  /** Licenses of purchases that were in progress, which `before` does not have. */
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

/** An offer that was written down to be reviewed, and to be bought from later, once, by whoever has the file. */
export type QuoteFile = z.output<typeof fileSchema>;

/** The largest quote file that is written and read, in bytes. */
export const MAX_QUOTE_FILE_BYTES = 64 * 1024;

/** What an offer becomes in a file. */
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
 * The text of a quote file: one that stands in a pull request, a field a line.
 *
 * @throws CliError `file_not_written` for one that could not be read again
 */
export function writeQuoteFile(file: QuoteFile): string {
  // What a screen acts on, such as a change of direction, is escaped.
  const text = `${toJson(file, 2)}\n`;
  if (Buffer.byteLength(text) <= MAX_QUOTE_FILE_BYTES) return text;
  throw new CliError("file_not_written", "The quote has names that are too long for a file", {
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
  if (bytes.length > MAX_QUOTE_FILE_BYTES) throw invalid(path, "is larger than any quote file");
  const parsed = fileSchema.safeParse(jsonOf(path, decodeText(bytes)));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue && issue.path.length > 0 ? ` at ${issue.path.join(".")}` : "";
    throw invalid(path, `is not what \`quote --save\` writes${where}: ${clean(issue?.message ?? "")}`);
  }
  const file = parsed.data;
  const { digest, ...content } = file;
  if (digest !== digestOf(content)) throw invalid(path, "was changed: its digest does not fit what it says");
  if (!isConsistent(file)) throw invalid(path, "was changed: its amounts do not come from its own figures");
  return file;
}

/** A quote file's key: the same from whatever machine it is bought. */
export function fileKey({ digest }: QuoteFile, ordinal: number): string {
  return `${fileKeyStem(digest)}${ordinal}`;
}

/** Whether a key is one of a quote file's. */
export function isFileKey({ digest }: QuoteFile, idempotencyKey: string): boolean {
  return idempotencyKey.startsWith(fileKeyStem(digest));
}

/**
 * Makes sure that a quote file is for the organization and the backend that would be bought from.
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
 * Makes sure that an offer is still what a quote file says: the same count, unit price and term, for no more money. A
 * price falls day by day, so that buying later costs no more.
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
  throw new CliError("quote_file_outdated", `The quote file does not hold any more (${list.join("; ")})`, {
    hint: "This command bought nothing. Save a new one with `quote <n> --save <file>`.",
  });
}

/** Whether the amounts come from the figures by the rules, and the sentences that a reviewer reads from both. */
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
      isSame(file.arithmetic, sentences) &&
      purchased.after === purchased.before + licenses
    );
  } catch (error) {
    if (error instanceof BillingError) return false;
    throw error;
  }
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
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(path, "is not JSON", cause);
  }
}

function invalid(path: string, why: string, cause?: unknown): CliError {
  return new CliError("quote_file_invalid", `The quote file ${path} ${why}`, {
    hint: "Nothing was bought. Save a new one with `quote <n> --save <file>`.",
    cause,
  });
}
