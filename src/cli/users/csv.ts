import { parse } from "csv-parse/sync";
import { clean, shorten } from "../kit/text.ts";

/** A row of a CSV file with its first line: trimmed values, or the reason why it cannot be read. */
export type CsvRow = { readonly line: number } & (
  | { readonly values: readonly string[] }
  | { readonly problem: string }
);

/** Counts lines as an editor does; byte offsets must not decrease. */
class LineCounter {
  private line = 1;
  private at = 0;

  constructor(private readonly bytes: Buffer) {}

  lineOf(place: number): number {
    for (; this.at < place; this.at += 1) {
      const byte = this.bytes[this.at];
      if (byte === CR || (byte === LF && this.bytes[this.at - 1] !== CR)) this.line += 1;
    }
    return this.line;
  }
}

const NOT_CLOSED = "A quoted value starts here and never ends; the rest of the file was not read";

const STRAY_QUOTE = 'Unexpected quote: put the whole value in quotes, and double each quote inside it ("")';

interface Parsed {
  /** `end`: the byte after the row and its line end. */
  readonly records: readonly { readonly values: readonly string[]; readonly end: number }[];
  /** Why the next row cannot be read. */
  readonly failure: string | null;
}

/**
 * Reads the rows of a CSV file (RFC 4180), whose lines may end in CRLF, LF or CR. Blank lines, and lines that only have
 * separators, are skipped. After a row that cannot be read it continues with the next line, so that one run finds every
 * problem.
 *
 * @param bytes UTF-8 without a byte order mark
 * @param max stops after this many rows
 */
export function readRows(bytes: Buffer, delimiter: string, max: number): CsvRow[] {
  const lines = new LineCounter(bytes);
  const rows: CsvRow[] = [];
  let from = 0;
  while (from < bytes.length && rows.length < max) {
    const { records, failure } = parseFrom(bytes.subarray(from), delimiter, max);
    let at = from;
    for (const { values, end } of records) {
      if (values.some((value) => value !== "")) {
        rows.push({ line: lines.lineOf(startOfRow(bytes, at, delimiter)), values });
      }
      at = from + end;
    }
    if (failure === null) {
      if (records.length < max) break;
      from = at;
      continue;
    }
    const broken = startOfRow(bytes, at, delimiter);
    const isOpen = failure === "CSV_QUOTE_NOT_CLOSED";
    rows.push({ line: lines.lineOf(broken), problem: isOpen ? NOT_CLOSED : STRAY_QUOTE });
    if (isOpen) break;
    from = endOfLine(bytes, broken);
  }
  return rows.slice(0, max);
}

function parseFrom(bytes: Buffer, delimiter: string, max: number): Parsed {
  const records: { values: string[]; end: number }[] = [];
  try {
    parse(bytes, {
      delimiter,
      record_delimiter: ["\r\n", "\n", "\r"],
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
      to: max,
      on_record(values: string[], { bytes: end }) {
        // The parser keeps spaces inside quotes.
        records.push({ values: values.map((value) => value.trim()), end });
        return null;
      },
    });
    return { records, failure: null };
  } catch (error) {
    return { records, failure: String((error as { code?: unknown }).code) };
  }
}

const [LF, CR] = [0x0a, 0x0d];

/** Finds the next line that is not blank. A line of separators is a row: they may be tabs. */
function startOfRow(bytes: Buffer, place: number, delimiter: string): number {
  let start = place;
  while (start < bytes.length) {
    const end = endOfLine(bytes, start);
    const line = bytes.toString("utf8", start, end);
    if (line.trim() !== "" || line.includes(delimiter)) return start;
    start = end;
  }
  return start;
}

/** Finds the byte after the next line end. */
function endOfLine(bytes: Buffer, place: number): number {
  let end = place;
  while (end < bytes.length && bytes[end] !== LF && bytes[end] !== CR) end += 1;
  return end + (bytes[end] === CR && bytes[end + 1] === LF ? 2 : 1);
}

const COLUMNS = ["email", "firstName", "lastName", "role", "adminNoTraining"] as const;

/** A column of a file of users. */
export type Column = (typeof COLUMNS)[number];

/** The columns that no row leaves empty where every user of the file is added. */
export const FOR_NEW_USERS: readonly Column[] = ["email", "firstName", "lastName"];

const KNOWN: ReadonlyMap<string, Column> = new Map(COLUMNS.map((column) => [column.toLowerCase(), column]));

function expected(needed: readonly Column[]): string {
  return `${needed.join(", ")}, and optionally ${COLUMNS.filter((column) => !needed.includes(column)).join(", ")}`;
}

/** Finds the separator of a file by its header: comma, or the semicolon or tab that spreadsheets write in many countries. */
export function delimiterOf(header: string): string {
  const count = (delimiter: string) => header.split(delimiter).length;
  return [",", ";", "\t"].reduce((best, other) => (count(other) > count(best) ? other : best));
}

/**
 * Reads the columns that a header names, in any order and case, and counts the unnamed ones that a spreadsheet added
 * after them. `problems` is not empty if the header is invalid.
 *
 * @param needed the columns that the file must have
 */
export function readHeader(
  header: readonly string[],
  needed: readonly Column[],
): { columns: Column[]; nameless: number; problems: string[] } {
  const names = header.slice(0, header.findLastIndex((name) => name !== "") + 1);
  const nameless = header.length - names.length;
  const columns = names.flatMap((name) => KNOWN.get(name.toLowerCase()) ?? []);
  if (columns.length === 0)
    return { columns, nameless, problems: [`The first row must name the columns: ${expected(needed)}`] };
  const unknown = new Set(names.filter((name) => !KNOWN.has(name.toLowerCase())));
  const twice = COLUMNS.filter((column) => columns.filter((other) => other === column).length > 1);
  const missing = needed.filter((column) => !columns.includes(column));
  const problems = [
    ...[...unknown].map((name) => unknownColumn(name, needed)),
    ...twice.map((column) => `Duplicate column ${column}`),
    ...missing.map((column) => `Missing column ${column}`),
  ];
  return { columns, nameless, problems };
}

const STRATEGY_COLUMN =
  "The column assignmentStrategy is not supported: it is a setting of the organization; remove the column and use " +
  "`secureflag-licenses organizations assignment-strategy`";

function unknownColumn(name: string, needed: readonly Column[]): string {
  if (name === "") return "A column has no name";
  if (letters(name) === "assignmentstrategy") return STRATEGY_COLUMN;
  const near = KNOWN.get(letters(name));
  const advice = near ? `did you mean ${near}?` : `the columns are ${expected(needed)}`;
  return `Unknown column "${shorten(clean(name))}"; ${advice}`;
}

/** Drops everything but letters, so that `First name` and `first_name` suggest `firstName`. */
function letters(name: string): string {
  return name.toLowerCase().replaceAll(/[^\p{Letter}]/gu, "");
}
