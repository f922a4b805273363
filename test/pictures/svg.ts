import stringWidth from "string-width";
import type { Piece } from "../support/terminal.ts";

const FONT_SIZE = 14;
const CELL = 8.4;
const LINE = 19;
const PAD = 16;

/** The 16 colors of a terminal on a dark ground, each readable on it. */
const COLORS: readonly string[] = [
  ..."#484f58 #ff7b72 #3fb950 #d29922 #58a6ff #bc8cff #39c5cf #b1bac4".split(" "),
  ..."#8b949e #ffa198 #56d364 #e3b341 #79c0ff #d2a8ff #56d4dd #ffffff".split(" "),
];
const GROUND = "#0d1117";
const INK = "#e6edf3";
const DIM = "#9198a1";

/**
 * A terminal's screen as an SVG picture. Every piece is as wide as its columns, whatever font the reader has.
 *
 * @param title what the picture shows, for those who do not see it
 */
export function toSvg(lines: readonly (readonly Piece[])[], columns: number, title: string): string {
  const width = Math.ceil(columns * CELL + 2 * PAD);
  const height = lines.length * LINE + 2 * PAD;
  const texts = lines.flatMap((pieces, row) => pieces.map((piece) => textOf(piece, PAD + (row + 0.75) * LINE)));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="100%" height="100%" rx="8" fill="${GROUND}"/>`,
    `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace" font-size="${FONT_SIZE}" fill="${INK}" xml:space="preserve">`,
    ...texts,
    "</g>",
    "</svg>",
    "",
  ].join("\n");
}

function textOf({ text, column, color, bold, dim }: Piece, y: number): string {
  const fill = color === null ? (dim ? DIM : null) : (COLORS[color] ?? INK);
  const style = `${fill ? ` fill="${fill}"` : ""}${bold ? ' font-weight="bold"' : ""}`;
  const length = round(stringWidth(text) * CELL);
  return `<text x="${round(PAD + column * CELL)}" y="${round(y)}" textLength="${length}" lengthAdjust="spacingAndGlyphs"${style}>${escaped(text)}</text>`;
}

function round(length: number): string {
  return String(Math.round(length * 10) / 10);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
