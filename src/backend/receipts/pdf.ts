import PDFDocument from "pdfkit";
import type { Receipt } from "../../contract/billing.ts";
import { type ChargeLine, LABELS, type ReceiptContent, receiptContent } from "./content.ts";
import { FontChoice } from "./fontChoice.ts";
import type { FontFiles } from "./fonts.ts";
import { type TextStyle, Typesetter } from "./typesetter.ts";

/**
 * Renders a receipt as a PDF file: A4, with a text layer, tagged for screen readers, fonts embedded. The same receipt gives
 * the same bytes (src/backend/README.md, Receipts).
 *
 * @throws BackendError `font_missing` for a name in a script that no installed font covers
 */
export async function renderReceiptPdf(receipt: Receipt, files: FontFiles): Promise<Buffer> {
  const content = receiptContent(receipt);
  const document = new PDFDocument({
    size: "A4",
    margin: 0,
    // The bundled library has no fonts of its own.
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

// Lengths are in points; the page is A4.
const PAGE_WIDTH = 595.28;

const PAGE_HEIGHT = 841.89;

const MARGIN = 56;

const WIDTH = PAGE_WIDTH - 2 * MARGIN;

const BOTTOM = PAGE_HEIGHT - MARGIN - 24;

const COLUMN_GAP = 24;

const COLUMN = (WIDTH - COLUMN_GAP) / 2;

const INK = "#1a1f29";

const GRAY = "#5b6472";

const LINE = "#c9ced6";

const TITLE: TextStyle = { size: 20, color: INK, bold: true };

const LABEL: TextStyle = { size: 8.5, color: GRAY };

const BODY: TextStyle = { size: 10, color: INK };

const BANNER: TextStyle = { size: 12, color: "#7a4100", bold: true };

const STRONG: TextStyle = { size: 12, color: INK, bold: true };

/** The line height, and the distance from the top of a line to its baseline, as factors of the font size. */
const LEADING = 1.4;

const ASCENT = 0.95;

type Structure = ReturnType<InstanceType<typeof PDFDocument>["struct"]>;

/** Lays out a receipt on as many pages as it needs. */
class ReceiptLayout {
  private y = MARGIN;
  private readonly root: Structure;

  constructor(
    private readonly document: InstanceType<typeof PDFDocument>,
    private readonly type: Typesetter,
  ) {
    this.root = document.struct("Document");
    document.addStructure(this.root);
  }

  /** Draws the receipt. */
  draw(content: ReceiptContent): void {
    if (content.banner !== null) {
      this.paragraph("P", content.banner, BANNER);
      this.y += 10;
    }
    this.paragraph("P", "SecureFlag licenses", LABEL);
    this.paragraph("H1", content.title, TITLE);
    this.y += 14;
    this.fields(content.fields);
    this.y += 14;
    this.table(content);
    this.y += 14;
    for (const [label, value] of content.remarks) this.remark(label, value);
    this.footers(content.title);
  }

  /** Draws two fields per row, each label above its value. */
  private fields(fields: ReceiptContent["fields"]): void {
    for (let index = 0; index < fields.length; index += 2) {
      const columns = fields.slice(index, index + 2).map(([label, value]) => ({
        element: this.child(this.root, "P"),
        lines: [
          { text: label, style: LABEL },
          ...this.type.linesOf(value, BODY.size, COLUMN).map((text) => ({ text, style: BODY })),
        ],
      }));
      this.makeRoom(heightOf(LABEL) + heightOf(BODY));
      const longest = Math.max(...columns.map(({ lines }) => lines.length));
      for (let line = 0; line < longest; line += 1) {
        const style = line === 0 ? LABEL : BODY;
        this.makeRoom(heightOf(style));
        for (const [column, { element, lines }] of columns.entries()) {
          const text = lines[line]?.text;
          if (text !== undefined) this.write(element, "P", text, MARGIN + column * (COLUMN + COLUMN_GAP), style);
        }
        this.y += heightOf(style);
      }
      this.y += 8;
    }
  }

  /** Draws a field over the whole width. */
  private remark(label: string, value: string): void {
    const element = this.child(this.root, "P");
    this.makeRoom(heightOf(LABEL) + heightOf(BODY));
    this.lines(element, "P", label, LABEL, WIDTH);
    this.lines(element, "P", value, BODY, WIDTH);
    this.y += 8;
  }

  private table({ charges, currency, total }: ReceiptContent): void {
    const table = this.child(this.root, "Table");
    this.row(table, "TH", { text: "Charge", details: [], amount: `Amount (${currency})` }, LABEL);
    this.rule();
    for (const charge of charges) this.row(table, "TD", charge, BODY);
    this.rule();
    this.row(table, "TD", { text: LABELS.total, details: [], amount: total }, STRONG);
  }

  /** Draws a row of the table, with the amount at the right of its first line. */
  private row(table: Structure, tag: "TH" | "TD", { text, details, amount }: ChargeLine, style: TextStyle): void {
    const row = this.child(table, "TR");
    const [left, right] = [this.child(row, tag), this.child(row, tag)];
    this.y += 4;
    this.makeRoom(heightOf(style) + details.length * heightOf(LABEL));
    const amountWidth = this.type.widthOf(amount, style.size);
    this.write(right, tag, amount, MARGIN + WIDTH - amountWidth, style);
    this.lines(left, tag, text, style, WIDTH - amountWidth - COLUMN_GAP);
    for (const detail of details) this.lines(left, tag, detail, LABEL, WIDTH - amountWidth - COLUMN_GAP);
    this.y += 4;
  }

  private rule(): void {
    this.artifact(() => {
      const { document } = this;
      document.moveTo(MARGIN, this.y).lineTo(MARGIN + WIDTH, this.y);
      document.lineWidth(0.75).stroke(LINE);
    });
  }

  private footers(title: string): void {
    const { count } = this.document.bufferedPageRange();
    for (let page = 0; page < count; page += 1) {
      this.document.switchToPage(page);
      const number = `Page ${page + 1} of ${count}`;
      this.artifact(() => {
        this.type.draw(title, MARGIN, PAGE_HEIGHT - MARGIN, LABEL);
        this.type.draw(number, MARGIN + WIDTH - this.type.widthOf(number, LABEL.size), PAGE_HEIGHT - MARGIN, LABEL);
      });
    }
  }

  private paragraph(tag: string, text: string, style: TextStyle): void {
    this.lines(this.child(this.root, tag), tag, text, style, WIDTH);
  }

  private lines(element: Structure, tag: string, text: string, style: TextStyle, width: number): void {
    for (const line of this.type.linesOf(text, style.size, width)) {
      this.makeRoom(heightOf(style));
      this.write(element, tag, line, MARGIN, style);
      this.y += heightOf(style);
    }
  }

  /** Draws a line of text at the current height, as content of an element. */
  private write(element: Structure, tag: string, text: string, x: number, style: TextStyle): void {
    const content = this.document.markStructureContent(tag);
    this.type.draw(text, x, this.y + style.size * ASCENT, style);
    this.document.endMarkedContent();
    element.add(content);
  }

  /** Draws what a screen reader skips. */
  private artifact(draw: () => void): void {
    this.document.markContent("Artifact");
    draw();
    this.document.endMarkedContent();
  }

  private child(parent: Structure, tag: string): Structure {
    const element = this.document.struct(tag);
    parent.add(element);
    return element;
  }

  private makeRoom(height: number): void {
    if (this.y + height <= BOTTOM) return;
    this.document.addPage();
    this.y = MARGIN;
  }
}

function heightOf({ size }: TextStyle): number {
  return size * LEADING;
}
