import type PDFDocument from "pdfkit";
import type { DocumentContent, DocumentTable } from "./document.ts";
import type { TextStyle, Typesetter } from "./typesetter.ts";

// Lengths are in points; the page is A4.
const PAGE_WIDTH = 595.28;

const PAGE_HEIGHT = 841.89;

const MARGIN = 56;

const WIDTH = PAGE_WIDTH - 2 * MARGIN;

const RIGHT = MARGIN + WIDTH;

const BOTTOM = PAGE_HEIGHT - MARGIN - 14;

const COLUMN_GAP = 24;

const COLUMN = (WIDTH - COLUMN_GAP) / 2;

const INK = "#1a1f29";

const GRAY = "#5b6472";

const LINE = "#c9ced6";

const TITLE: TextStyle = { size: 22, color: INK, bold: true };

const LABEL: TextStyle = { size: 8.5, color: GRAY };

const BODY: TextStyle = { size: 10, color: INK };

const NOTE: TextStyle = { size: 9, color: INK };

const NAME: TextStyle = { ...BODY, bold: true };

const BANNER: TextStyle = { size: 12, color: "#7a4100", bold: true };

const STAMP: TextStyle = { size: 14, color: "#1b6b3a", bold: true };

const STRONG: TextStyle = { size: 13, color: INK, bold: true };

/** The line height, and the distance from the top of a line to its baseline, as factors of the font size. */
const LEADING = 1.4;

const ASCENT = 0.95;

type Structure = ReturnType<InstanceType<typeof PDFDocument>["struct"]>;

type Line = { readonly text: string; readonly style: TextStyle };

/** The space between sections, how many such spaces there are, and by how much each may shrink or grow. */
const [GAP, GAPS, MIN_STRETCH, MAX_STRETCH] = [10, 7, -5, 24];

/** Lays out a document on as many pages as it needs, which is one unless its texts are very long. */
export class Layout {
  private y = MARGIN;
  private stretch = 0;
  /** Whether only the height is found out, and nothing is drawn. */
  private isMeasuring = false;
  private readonly root: Structure;

  constructor(
    private readonly document: InstanceType<typeof PDFDocument>,
    private readonly type: Typesetter,
  ) {
    this.root = document.struct("Document");
    document.addStructure(this.root);
  }

  /** Draws the document, its sections as far apart as the page has room for. */
  draw(content: DocumentContent): void {
    this.isMeasuring = true;
    this.sections(content);
    // A point less, so that rounding does not make a second page.
    this.stretch = Math.min(MAX_STRETCH, Math.max(MIN_STRETCH, (BOTTOM - 1 - this.y) / GAPS));
    this.y = MARGIN;
    this.isMeasuring = false;
    this.sections(content);
    this.footers(content.title);
  }

  private sections(content: DocumentContent): void {
    if (content.banner !== null) this.paragraph("P", content.banner, BANNER);
    this.y += 10;
    this.heading(content);
    this.gap();
    this.rule();
    this.gap();
    this.columns(content.parties.map(({ label, lines }) => this.partyLines(label, lines)));
    this.gap();
    this.rule();
    this.gap();
    this.fields(content.fields);
    this.gap();
    this.table(content.charges, WIDTH, COLUMN_GAP);
    this.gap();
    this.sums(content);
    this.gap();
    for (const [label, value] of content.remarks) this.remark(label, value);
  }

  private gap(): void {
    this.y += GAP + this.stretch;
  }

  /** Draws the title, with the stamp in a frame at its right. */
  private heading({ title, stamp }: DocumentContent): void {
    const [width, top] = [this.type.widthOf(stamp, STAMP.size), this.y];
    const [left, height] = [RIGHT - width - 20, heightOf(STAMP) + 10];
    this.artifact(() => {
      this.document.roundedRect(left, top, width + 20, height, 4);
      this.document.lineWidth(1.5).stroke(STAMP.color);
    });
    this.lines(this.child(this.root, "H1"), "H1", title, TITLE, WIDTH - width - 20 - COLUMN_GAP);
    const after = this.y;
    this.y = top + 5;
    this.write(this.child(this.root, "P"), "P", stamp, left + 10, STAMP);
    this.y = Math.max(after, top + height);
  }

  private partyLines(label: string, lines: readonly string[]): Line[] {
    const wrapped = (text: string, style: TextStyle) =>
      this.type.linesOf(text, style.size, COLUMN).map((line) => ({ text: line, style }));
    const [name = "", ...more] = lines;
    return [{ text: label, style: LABEL }, ...wrapped(name, NAME), ...more.flatMap((line) => wrapped(line, BODY))];
  }

  /** Draws two fields per row, each label above its value. */
  private fields(fields: DocumentContent["fields"]): void {
    for (let index = 0; index < fields.length; index += 2) {
      const row = fields
        .slice(index, index + 2)
        .map(([label, value]) => [
          { text: label, style: LABEL },
          ...this.type.linesOf(value, BODY.size, COLUMN).map((text) => ({ text, style: BODY })),
        ]);
      this.columns(row);
      this.y += 6;
    }
  }

  /** Draws columns of lines side by side; the lines of a row are of one height. */
  private columns(columns: readonly (readonly Line[])[]): void {
    const drawn = columns.map((lines) => ({ element: this.child(this.root, "P"), lines }));
    this.makeRoom(heightOf(LABEL) + heightOf(BODY));
    const longest = Math.max(...columns.map((lines) => lines.length));
    for (let index = 0; index < longest; index += 1) {
      const height = heightOf(index === 0 ? LABEL : BODY);
      this.makeRoom(height);
      for (const [column, { element, lines }] of drawn.entries()) {
        const line = lines[index];
        if (line) this.write(element, "P", line.text, MARGIN + column * (COLUMN + COLUMN_GAP), line.style);
      }
      this.y += height;
    }
  }

  /** Draws a field over the whole width. */
  private remark(label: string, value: string): void {
    const element = this.child(this.root, "P");
    this.makeRoom(heightOf(LABEL) + heightOf(NOTE));
    this.lines(element, "P", label, LABEL, WIDTH);
    this.lines(element, "P", value, NOTE, WIDTH);
  }

  /** Draws a table whose columns of amounts end where their heads do. */
  private table({ heads, rows }: DocumentTable, width: number, gap: number): void {
    const table = this.child(this.root, "Table");
    const widths = heads.map((_, column) =>
      Math.max(
        this.type.widthOf(heads[column] ?? "", LABEL.size),
        ...rows.map(({ cells }) => this.type.widthOf(cells[column] ?? "", BODY.size)),
      ),
    );
    const ends = widths.map((_, column) => {
      const after = widths.slice(column + 1).reduce((sum, each) => sum + each + gap, 0);
      return MARGIN + width - after;
    });
    const first = width - widths.slice(1).reduce((sum, each) => sum + each + gap, 0);
    this.row(table, "TH", { cells: heads, details: [] }, { ends, first, style: LABEL });
    this.rule(width);
    for (const row of rows) this.row(table, "TD", row, { ends, first, style: BODY });
    this.rule(width);
  }

  private row(
    table: Structure,
    tag: "TH" | "TD",
    { cells: [text = "", ...amounts], details }: DocumentTable["rows"][number],
    { ends, first, style }: { ends: readonly number[]; first: number; style: TextStyle },
  ): void {
    const row = this.child(table, "TR");
    const left = this.child(row, tag);
    this.y += 5;
    this.makeRoom(heightOf(style) + details.length * heightOf(LABEL));
    for (const [index, amount] of amounts.entries()) {
      const x = (ends[index + 1] ?? RIGHT) - this.type.widthOf(amount, style.size);
      this.write(this.child(row, tag), tag, amount, x, style);
    }
    this.lines(left, tag, text, style, first);
    for (const detail of details) this.lines(left, tag, detail, LABEL, first);
    this.y += 5;
  }

  /** Draws the tax by rate, and beside it the sums under each other. */
  private sums({ taxes, sums, total }: DocumentContent): void {
    this.makeRoom(sums.length * (heightOf(BODY) + 4) + heightOf(STRONG) + 12);
    const top = this.y;
    this.table(taxes, COLUMN, COLUMN_GAP / 2);
    const after = this.y;
    this.y = top;
    const table = this.child(this.root, "Table");
    for (const [label, amount] of sums) this.sum(table, label, amount, BODY);
    this.y += 4;
    this.rule(COLUMN, RIGHT - COLUMN);
    this.y += 4;
    this.sum(table, ...total, STRONG);
    this.y = Math.max(after, this.y);
  }

  private sum(table: Structure, label: string, amount: string, style: TextStyle): void {
    const row = this.child(table, "TR");
    this.write(this.child(row, "TD"), "TD", label, RIGHT - COLUMN, style);
    this.write(this.child(row, "TD"), "TD", amount, RIGHT - this.type.widthOf(amount, style.size), style);
    this.y += heightOf(style) + 4;
  }

  private rule(width = WIDTH, left = MARGIN): void {
    this.artifact(() => {
      const { document } = this;
      document.moveTo(left, this.y).lineTo(left + width, this.y);
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
        this.type.draw(number, RIGHT - this.type.widthOf(number, LABEL.size), PAGE_HEIGHT - MARGIN, LABEL);
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
    if (this.isMeasuring) return;
    const content = this.document.markStructureContent(tag);
    this.type.draw(text, x, this.y + style.size * ASCENT, style);
    this.document.endMarkedContent();
    element.add(content);
  }

  /** Draws what a screen reader skips. */
  private artifact(draw: () => void): void {
    if (this.isMeasuring) return;
    this.document.markContent("Artifact");
    draw();
    this.document.endMarkedContent();
  }

  private child(parent: Structure, tag: string): Structure {
    if (this.isMeasuring) return parent;
    const element = this.document.struct(tag);
    parent.add(element);
    return element;
  }

  private makeRoom(height: number): void {
    if (this.isMeasuring || this.y + height <= BOTTOM) return;
    this.document.addPage();
    this.y = MARGIN;
  }
}

function heightOf({ size }: TextStyle): number {
  return size * LEADING;
}
