import type { CreditNote, Receipt } from "../../contract/billing.ts";
import type { Answer } from "../http/register.ts";

interface MediaRange {
  readonly type: string;
  readonly quality: number;
}

/**
 * Reports whether a request prefers a PDF to JSON (RFC 9110, section 12.5.1). JSON is the default: for equal weights, for
 * neither type, and without `Accept`. Malformed ranges are ignored.
 */
export function prefersPdf(accept: string | undefined): boolean {
  const ranges = (accept ?? "").split(",").flatMap(readRange);
  return qualityOf("application/pdf", ranges) > qualityOf("application/json", ranges);
}

/** Returns the weight of the most specific range that matches a type; 0 if none does. */
function qualityOf(type: string, ranges: readonly MediaRange[]): number {
  const holding = [type, `${type.split("/")[0]}/*`, "*/*"];
  const found = holding.map((wanted) => ranges.find((range) => range.type === wanted));
  return found.find((range) => range !== undefined)?.quality ?? 0;
}

function readRange(text: string): MediaRange[] {
  const [type = "", ...parameters] = text.split(";").map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? "1";
  const isWeight = /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(weight);
  return isWeight && /^[^\s/]+\/[^\s/]+$/.test(type) ? [{ type, quality: Number(weight) }] : [];
}

/**
 * Answers with a receipt or a credit note: JSON, or a PDF if `Accept` prefers it.
 *
 * @param timeZone the billing time zone of the purchase, whose dates the PDF has
 * @throws BackendError `font_missing`
 */
export async function documentAnswer(
  document: Receipt | CreditNote,
  timeZone: string,
  accept: string | undefined,
): Promise<Answer> {
  const vary = { Vary: "Accept" };
  if (!prefersPdf(accept)) return { status: 200, body: document, headers: vary };
  // Loaded on demand: it is larger than the rest of the backend.
  const [{ renderPdf }, { installedFonts }] = await Promise.all([import("./pdf.ts"), import("./fonts.ts")]);
  const name =
    "creditNoteNumber" in document ? `credit-note-${document.creditNoteNumber}` : `receipt-${document.receiptNumber}`;
  return {
    status: 200,
    body: await renderPdf(document, timeZone, installedFonts()),
    headers: {
      ...vary,
      "Content-Type": "application/pdf",
      "Content-Disposition": `attachment; filename="${name}.pdf"`,
    },
  };
}
