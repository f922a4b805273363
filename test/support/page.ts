import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "./places.ts";

/** The page lacks a section, a table or a column that a test reads. */
class PageError extends Error {
  override readonly name = "PageError";
}

/** Returns the cell of a row in a column. */
export type Row = (column: string) => string;

/** Reads the sections of a Markdown page of the repository, by heading. */
export async function readSections(path: string): Promise<Map<string, string>> {
  const page = await readFile(join(ROOT, path), "utf8");
  return new Map(
    page
      .split(/^#+ /m)
      .slice(1)
      .map((section) => {
        const [heading = "", ...lines] = section.split("\n");
        return [heading, lines.join("\n")];
      }),
  );
}

/** Returns the rows of the table in a section whose first column has this name, each with its text, for `test.each`. */
export function rowsOf(sections: ReadonlyMap<string, string>, heading: string, firstColumn: string): [string, Row][] {
  const lines = (sections.get(heading) ?? "").split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| ${firstColumn} |`));
  const end = lines.findIndex((line, index) => index > start && !line.startsWith("|"));
  const [names = [], , ...rows] = start < 0 ? [] : lines.slice(start, end).map(cellsOf);
  if (rows.length === 0) throw new PageError(`no table with ${firstColumn} under ${heading}`);
  return rows.map((cells) => [
    cells.join(", "),
    (column) => {
      const cell = cells[names.indexOf(column)];
      if (cell === undefined) throw new PageError(`no column ${column} under ${heading}`);
      return cell;
    },
  ]);
}

function cellsOf(line: string): string[] {
  return line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}
