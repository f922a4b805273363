import Table from "cli-table3";
import stringWidth from "string-width";
import type { View } from "./view.ts";

const NO_BORDERS = Object.fromEntries(
  "top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid"
    .split(" ")
    .map((part) => [part, ""]),
);
const GAP = "  ";
const LABEL_WIDTH = 14;

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

/** Cells come in clean, perhaps styled. */
function draw(rows: readonly (readonly string[])[], widths: readonly number[], { inCharset }: View): string {
  const shown = inCharset ? rows.map((cells) => cells.map(inCharset)) : rows;
  const table = new Table({
    chars: { ...NO_BORDERS, middle: GAP },
    colWidths: [...widths],
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

/** Breaks words that are wider than their column, which would be cut otherwise; color sequences are left alone. */
function breakWords(text: string, width: number): string {
  return text.replace(/\u001b\[[\d;]*m|[^\s\u001b]+/g, (word) =>
    word.startsWith("\u001b") ? word : pieces(word, width),
  );
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
