import Table from "cli-table3";
import { stringify } from "csv-stringify/sync";
import stringWidth from "string-width";
import type { View } from "./output.ts";
import { cleanWhole } from "./text.ts";

const NO_BORDERS = Object.fromEntries(
  "top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid"
    .split(" ")
    .map((part) => [part, ""]),
);

const GAP = "  ";

const LABEL_WIDTH = 14;

/** In characters. A note has at most 500. */
const MAX_CELL = 600;

/** From this width on a list has one row an item. */
const ROWS_FROM = 80;

/** Labels on the left, what they stand for on the right, wrapped to the view's width. `null` leaves a row out. */
export function fields(rows: readonly (readonly [label: string, value: string | null])[], view: View): string {
  const valueWidth = view.width - LABEL_WIDTH - GAP.length;
  return draw(
    rows.flatMap(([label, value]) => (value === null ? [] : [[view.style.dim(label), value]])),
    [LABEL_WIDTH, valueWidth],
    view,
  );
}

/** Columns under their heads. The widths leave two spaces between columns; a cell wraps, it is never cut. */
export function columns(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  widths: readonly number[],
  view: View,
): string {
  return draw([heads.map((head) => view.style.dim(head)), ...rows], widths, view);
}

/** A column of a list. */
export interface Column {
  readonly head: string;
  /** Numbers stand under one another by their ends. */
  readonly align?: "right";
  /** The fewest columns that it is cut to where there is no room; left out, it is never cut. */
  readonly cutTo?: number;
  /** It is left out where the row does not fit otherwise. */
  readonly isOptional?: boolean;
}

/**
 * A list with one row an item, as wide as its cells. Off a terminal a row is a line of its cells between tabs, whole and
 * without heads, for programs that read lines (as `gh` prints lists).
 *
 * @param rows clean cells of one line each, perhaps styled where they are never cut
 * @returns `null` where a row does not fit the terminal, however it is cut
 */
export function list(columns: readonly Column[], rows: readonly (readonly string[])[], view: View): string | null {
  if (!Number.isFinite(view.width)) return rows.map((cells) => cells.join("\t")).join("\n");
  if (view.width < ROWS_FROM) return null;
  const widest = columns.map(({ head }, at) =>
    Math.max(stringWidth(head), ...rows.map((cells) => stringWidth(cells[at] ?? ""))),
  );
  const chosen = columns.map((_, at) => at);
  const excess = () =>
    chosen.reduce((sum, at) => sum + (widest[at] ?? 0), (chosen.length - 1) * GAP.length) - view.width;
  for (const at of chosen.toReversed()) {
    if (excess() > 0 && columns[at]?.isOptional) chosen.splice(chosen.indexOf(at), 1);
  }
  const spare = (at: number) => (widest[at] ?? 0) - (columns[at]?.cutTo ?? Number.POSITIVE_INFINITY);
  while (excess() > 0) {
    const [cut] = chosen.filter((at) => spare(at) > 0).sort((one, other) => spare(other) - spare(one));
    if (cut === undefined) return null;
    widest[cut] = (widest[cut] ?? 0) - 1;
  }
  const heads = columns.map(({ head }) => view.style.dim(head));
  return [heads, ...rows]
    .map((cells) =>
      chosen
        .map((at) => placed(cells[at] ?? "", widest[at] ?? 0, columns[at]))
        .join(GAP)
        .trimEnd(),
    )
    .join("\n");
}

function placed(cell: string, width: number, column: Column | undefined): string {
  const text = stringWidth(cell) > width ? `${pieces(cell, width - 1).split("\n")[0]}…` : cell;
  const padding = " ".repeat(width - stringWidth(text));
  return column?.align === "right" ? padding + text : text + padding;
}

/** Cells come in clean, perhaps styled. */
function draw(rows: readonly (readonly string[])[], widths: readonly number[], { inCharset }: View): string {
  const shown = inCharset ? rows.map((cells) => cells.map(inCharset)) : rows;
  const table = new Table({
    chars: { ...NO_BORDERS, middle: GAP },
    colWidths: widths.map((width, column) => (Number.isFinite(width) ? width : widestIn(rows, column))),
    wordWrap: true,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [], compact: true },
  });
  table.push(...shown.map((cells) => cells.map((cell, column) => breakWords(cell, widths[column] ?? 0))));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

function widestIn(rows: readonly (readonly string[])[], column: number): number {
  const lines = rows.flatMap((cells) => (cells[column] ?? "").split("\n"));
  return Math.max(1, ...lines.map((line) => stringWidth(line)));
}

/** Breaks words that are wider than their column, which would be cut otherwise; color sequences are left alone. */
function breakWords(cell: string, width: number): string {
  return cut(cell).replace(/\u001b\[[\d;]*m|[^\s\u001b]+/g, (word) =>
    word.startsWith("\u001b") ? word : pieces(word, width),
  );
}

/** What is longer than any text of ours was made to keep the terminal busy: drawing takes time by its square. */
function cut(cell: string): string {
  let left = MAX_CELL;
  return cell.replace(/\u001b\[[\d;]*m|[^\u001b]+/g, (part) => {
    if (part.startsWith("\u001b")) return part;
    const kept = part.length > left ? `${part.slice(0, left).replace(/\p{Surrogate}$/u, "")}…` : part;
    left = Math.max(0, left - part.length);
    return left === 0 && kept === "…" ? "" : kept;
  });
}

/** A character may take two columns, or none. */
function pieces(word: string, width: number): string {
  if (stringWidth(word) <= width) return word;
  const lines = [""];
  for (const { segment } of new Intl.Segmenter("en", { granularity: "grapheme" }).segment(word)) {
    const line = lines.at(-1) ?? "";
    if (line !== "" && stringWidth(line + segment) > width) lines.push(segment);
    else lines[lines.length - 1] = line + segment;
  }
  return lines.join("\n");
}

/** What a cell of a CSV file may hold; `null` is left empty. */
export type Cell = string | number | boolean | null;

/**
 * Rows under their heads as CSV (RFC 4180), one row a line, without a line end after the last. Texts are made safe for
 * terminals, and for spreadsheets: one that looks like a formula gets a `'` in front (security.md, Hostile input).
 */
export function toCsv(heads: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return stringify([heads.map(cellText), ...rows.map((row) => row.map(cellText))], { eof: false });
}

/** Numbers, a negative one too, are no formulas. */
function cellText(cell: Cell): string {
  if (typeof cell !== "string") return cell === null ? "" : String(cell);
  const text = cleanWhole(cell);
  return looksLikeFormula(cell) || looksLikeFormula(text) ? `'${text}` : text;
}

/** Spreadsheets also take the wide forms of the signs, and some leave out spaces before them. */
function looksLikeFormula(text: string): boolean {
  return /^([\t\r]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20])/.test(text);
}
