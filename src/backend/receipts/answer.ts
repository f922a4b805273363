import type { Receipt } from "../../contract/billing.ts";
import type { Answer } from "../http/register.ts";
import { prefersPdf } from "./accept.ts";

/**
 * The answer with a receipt: JSON, or the PDF where `Accept` prefers it.
 *
 * @throws ProblemError `font_missing`
 */
export async function receiptAnswer(receipt: Receipt, accept: string | undefined): Promise<Answer> {
  const vary = { Vary: "Accept" };
  if (!prefersPdf(accept)) return { status: 200, body: receipt, headers: vary };
  // Loaded when it is asked for: it is larger than the rest of the backend.
  const [{ renderReceiptPdf }, { installedFonts }] = await Promise.all([import("./pdf.ts"), import("./fontFiles.ts")]);
  return {
    status: 200,
    body: await renderReceiptPdf(receipt, installedFonts()),
    headers: {
      ...vary,
      "Content-Type": "application/pdf",
      "Content-Disposition": `attachment; filename="receipt-${receipt.receiptNumber}.pdf"`,
    },
  };
}
