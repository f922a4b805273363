import type PDFDocument from "pdfkit";
import { type FontChoice, readable } from "./fontChoice.ts";

/** The style of a line of text; `size` in points. */
export interface TextStyle {
  readonly size: number;
  readonly color: string;
  readonly bold?: boolean;
}

/** There is no bold font: bold letters are outlined, with this fraction of their size. */
const BOLD_OUTLINE = 0.03;

/** Sets lines of text in the fonts that their scripts need. Lengths are in points. */
export class Typesetter {
  private readonly graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

  constructor(
    private readonly document: InstanceType<typeof PDFDocument>,
    private readonly fonts: FontChoice,
  ) {}

  /** Draws a line of text; `baseline` is the distance from the top of the page. */
  draw(text: string, x: number, baseline: number, { size, color, bold = false }: TextStyle): void {
    const { document } = this;
    document.fillColor(color).strokeColor(color);
    document.lineWidth(size * BOLD_OUTLINE);
    let left = x;
    for (const run of this.fonts.runsOf(text)) {
      document.font(run.font, size);
      document.text(run.text, left, baseline, { lineBreak: false, baseline: "alphabetic", fill: true, stroke: bold });
      left += document.widthOfString(run.text);
    }
  }

  /** Returns the width of a line of text. */
  widthOf(text: string, size: number): number {
    const widths = this.fonts.runsOf(text).map((run) => this.document.font(run.font, size).widthOfString(run.text));
    return widths.reduce((sum, width) => sum + width, 0);
  }

  /** Breaks a text into lines of at most `width`: between words, or within a word that is too wide for a line. */
  linesOf(text: string, size: number, width: number): string[] {
    const lines: string[] = [];
    let line = "";
    for (const word of readable(text).split(" ").filter(Boolean)) {
      const longer = line === "" ? word : `${line} ${word}`;
      if (this.widthOf(longer, size) <= width) {
        line = longer;
        continue;
      }
      if (line !== "") lines.push(line);
      const pieces = this.piecesOf(word, size, width);
      lines.push(...pieces.slice(0, -1));
      line = pieces.at(-1) ?? "";
    }
    return line === "" ? lines : [...lines, line];
  }

  private piecesOf(word: string, size: number, width: number): string[] {
    const pieces: string[] = [];
    let piece = "";
    let filled = 0;
    for (const { segment } of this.graphemes.segment(word)) {
      const added = this.widthOf(segment, size);
      if (piece !== "" && filled + added > width) {
        pieces.push(piece);
        piece = "";
        filled = 0;
      }
      piece += segment;
      filled += added;
    }
    return [...pieces, piece];
  }
}
