import PDFDocument from "pdfkit";
import type { Receipt } from "../../contract/billing.ts";
import { receiptContent } from "./content.ts";
import { FontChoice } from "./fontChoice.ts";
import type { FontFiles } from "./fontFiles.ts";
import { ReceiptLayout } from "./layout.ts";
import { Typesetter } from "./typesetter.ts";

/**
 * A receipt as a PDF file: A4, with a text layer, tagged for screen readers, every font embedded. The same receipt gives
 * the same bytes.
 *
 * @throws ProblemError `font_missing` for a name in a script that no installed font has
 */
export async function renderReceiptPdf(receipt: Receipt, files: FontFiles): Promise<Buffer> {
  const content = receiptContent(receipt);
  const document = new PDFDocument({
    size: "A4",
    margin: 0,
    // Where it is bundled the library has none of its own.
    font: files.base,
    pdfVersion: "1.7",
    tagged: true,
    lang: "en",
    displayTitle: true,
    bufferPages: true,
    info: {
      Title: content.title,
      Author: "SecureFlag licenses",
      Subject: `Purchase ${receipt.purchaseId}`,
      Creator: "secureflag-licenses",
      CreationDate: new Date(receipt.issuedAt),
    },
  });
  const written = collect(document);
  const fonts = new FontChoice(document, files, JSON.stringify(content));
  fonts.assertReadable(content.names.join(" "));
  new ReceiptLayout(document, new Typesetter(document, fonts)).draw(content);
  document.end();
  return written;
}

async function collect(document: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of document) chunks.push(chunk);
  return Buffer.concat(chunks);
}
