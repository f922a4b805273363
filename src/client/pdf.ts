import type { Operation } from "../contract/operations/operation.ts";
import { type Reading, readAnswer } from "./reading.ts";
import type { WireAnswer } from "./transport.ts";

/** The media type of PDF files. */
export const PDF_MEDIA_TYPE = "application/pdf";

/** A PDF file as it came. */
export interface PdfFile {
  readonly bytes: Buffer;
  /** What the backend calls it, as it came; `null` where it gives no name. */
  readonly name: string | null;
}

/**
 * Reads an answer that was asked for as PDF. The value of a success is a `PdfFile`; what is not a whole PDF is nonsense,
 * and a backend that answers in another form makes none.
 */
export function readPdfAnswer(operation: Operation, answer: WireAnswer): Reading {
  const { status, headers } = answer;
  if (status === 200 && /^application\/pdf\s*(;|$)/i.test(headers["content-type"] ?? "")) return readPdf(answer);
  const reading = readAnswer(operation, answer);
  const isOther = reading.kind === "success" || (status === 406 && reading.kind === "nonsense");
  return isOther ? { kind: "other_form" } : reading;
}

function readPdf({ body, headers }: WireAnswer): Reading {
  const isCompressed = (headers["content-encoding"] ?? "identity") !== "identity";
  // ISO 32000-1, 7.5.2 and 7.5.5: what a PDF begins and ends with.
  const isWhole = body.toString("latin1", 0, 5) === "%PDF-" && body.toString("latin1").trimEnd().endsWith("%%EOF");
  if (isCompressed) return { kind: "nonsense", why: "is compressed, which was not asked for", broken: false };
  if (!isWhole) return { kind: "nonsense", why: "is not a whole PDF", broken: true };
  const name = /\bfilename="([^"]*)"/.exec(headers["content-disposition"] ?? "")?.[1] ?? null;
  return { kind: "success", value: { bytes: body, name } satisfies PdfFile };
}
