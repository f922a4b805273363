import PDFDocument from "pdfkit";
import { type BillingDocument, documentContent } from "./document.ts";
import { FontChoice } from "./fontChoice.ts";
import type { FontFiles } from "./fonts.ts";
import { Layout } from "./layout.ts";
import { Typesetter } from "./typesetter.ts";

/**
 * Renders a receipt or a credit note as a PDF file: A4, with a text layer, tagged for screen readers, fonts embedded. The
 * same document gives the same bytes, whatever happens after it was issued (src/backend/README.md, Receipts).
 *
 * @param timeZone the billing time zone of the purchase, whose dates the document has
 * @throws BackendError `font_missing` for a name in a script that no installed font covers
 */
export async function renderPdf(billed: BillingDocument, timeZone: string, files: FontFiles): Promise<Buffer> {
  const content = documentContent(billed, timeZone);
  const document = new PDFDocument({
    size: "A4",
    margin: 0,
    // The bundled library has no fonts of its own, and loads one of them unless the name is empty.
    font: "",
    pdfVersion: "1.7",
    tagged: true,
    lang: "en",
    displayTitle: true,
    bufferPages: true,
    info: {
      Title: content.title,
      Author: "SecureFlag licenses",
      Subject: `Purchase ${billed.purchaseId}`,
      Creator: "secureflag-licenses",
      CreationDate: new Date(billed.issuedAt),
    },
  });
  const written = collect(document);
  const fonts = new FontChoice(document, files, JSON.stringify(content));
  fonts.assertReadable(content.names.join(" "));
  new Layout(document, new Typesetter(document, fonts)).draw(content);
  document.end();
  return written;
}

async function collect(document: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of document) chunks.push(chunk);
  return Buffer.concat(chunks);
}
