import { stringify } from "csv-stringify/sync";
import { cleanWhole } from "./text.ts";

/** What a cell of a CSV file may hold; `null` is left empty. A decimal, `-203.40`, keeps all its digits and its sign. */
export type Cell = string | number | boolean | null | { readonly decimal: string };

/**
 * Rows under their heads as CSV (RFC 4180), one row a line, without a line end after the last. Texts are made safe for
 * terminals, and for spreadsheets: one that looks like a formula gets a `'` in front.
 */
export function toCsv(heads: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return stringify([heads.map(cellText), ...rows.map((row) => row.map(cellText))], { eof: false });
}

/** Numbers, even negative ones, are not formulas. */
function cellText(cell: Cell): string {
  if (cell === null) return "";
  if (typeof cell === "object") return cell.decimal;
  if (typeof cell !== "string") return String(cell);
  const text = cleanWhole(cell);
  return looksLikeFormula(cell) || looksLikeFormula(text) ? `'${text}` : text;
}

/** Spreadsheets also take the wide forms of the signs, and some leave out spaces before them. */
function looksLikeFormula(text: string): boolean {
  return /^([\t\r]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20])/.test(text);
}
