import stringWidth from "string-width";
import type { View } from "./output.ts";
import { pieces, wrap } from "./wrap.ts";

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
  const width = view.columns ?? view.width;
  if (!Number.isFinite(width)) return rows.map((cells) => cells.join("\t")).join("\n");
  if (width < ROWS_FROM) return null;
  const widest = columns.map(({ head }, at) =>
    Math.max(stringWidth(head), ...rows.map((cells) => stringWidth(cells[at] ?? ""))),
  );
  const chosen = columns.map((_, at) => at);
  const excess = () => chosen.reduce((sum, at) => sum + (widest[at] ?? 0), (chosen.length - 1) * GAP.length) - width;
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

function placed(cell: string, width: number, column?: Column): string {
  const text = stringWidth(cell) > width ? `${pieces(cell, width - 1)[0]}…` : cell;
  const padding = " ".repeat(width - stringWidth(text));
  return column?.align === "right" ? padding + text : text + padding;
}

/** Cells come in clean, perhaps styled; a word that is wider than its column is broken. */
function draw(
  rows: readonly (readonly string[])[],
  widths: readonly number[],
  { inCharset = (text) => text }: Pick<View, "inCharset">,
): string {
  const cells = rows.map((row) => row.map((cell, at) => linesOf(inCharset(cut(cell)), widths[at] ?? 0)));
  const padded = widths.map((width, at) =>
    Number.isFinite(width)
      ? width
      : Math.max(...cells.flatMap((row) => row[at] ?? "").map((line) => stringWidth(line))),
  );
  return cells
    .flatMap((row) =>
      Array.from({ length: Math.max(...row.map((lines) => lines.length)) }, (_, line) =>
        row.map((lines, at) => placed(lines[line] ?? "", padded[at] ?? 0)).join(GAP),
      ),
    )
    .map((line) => line.trimEnd())
    .join("\n");
}

function linesOf(cell: string, width: number): string[] {
  const lines = cell.split("\n");
  if (!Number.isFinite(width)) return lines;
  return lines
    .flatMap((line) => (stringWidth(line) <= width ? [line] : wrap(line, width).split("\n")))
    .flatMap((line) => pieces(line, width));
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
