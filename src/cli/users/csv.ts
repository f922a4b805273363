import { isUtf8 } from "node:buffer";
import { emailKey } from "../../contract/email.ts";
import { type AddUserRequest, MOST_IMPORTED_USERS } from "../../contract/users.ts";
import type { LineProblem } from "../errors.ts";
import { clean, shorten } from "../kit/text.ts";
import { type CsvRow, readRows, readUser } from "./csvUsers.ts";

/**
 * The users of a file in its order, each with its line. They are to be used only where there is no problem; one that the
 * file as a whole has is on line 1.
 */
export interface UsersCsv {
  readonly users: readonly AddUserRequest[];
  readonly lines: readonly number[];
  readonly problems: readonly LineProblem[];
}

/** So large that 10,000 users of 300 bytes fit, and so small that as JSON they fit one request of the contract. */
export const MAX_FILE_BYTES = 3_000_000;

/** Told after each row of a file how many of how many are checked. */
export type RowsChecked = (done: number, total: number) => void;

/**
 * Reads a CSV file of users (details.md, 24), whatever it holds: every problem is found, none is thrown.
 *
 * @param file the bytes of the file
 */
export function parseUsersCsv(file: Uint8Array, rowsChecked: RowsChecked = () => {}): UsersCsv {
  const bytes = withoutMark(Buffer.from(file.buffer, file.byteOffset, file.byteLength));
  const unreadable = whyUnreadable(bytes);
  if (unreadable !== null) return refusal([{ line: 1, message: unreadable }]);
  const encoding = linesNotUtf8(bytes).map((line) => ({ line, message: NOT_UTF8 }));
  const { text, separator } = withoutSeparatorLine(bytes);
  // The header, and one more row than there may be.
  const [header, ...rows] = readRows(text, separator ?? delimiterOf(firstLine(text)), MOST_IMPORTED_USERS + 2);
  const refuse = (line: number, messages: readonly string[]) =>
    refusal([...messages.map((message) => ({ line, message })), ...encoding]);
  if (!header) return refuse(1, ["The file is empty"]);
  if ("problem" in header) return refuse(header.line, [header.problem]);
  const { columns, nameless, problems } = readHeader(header.values);
  if (problems.length > 0) return refuse(header.line, problems);
  const read = readUsers(rows.slice(0, MOST_IMPORTED_USERS), columns, nameless, rowsChecked);
  const excess = rows[MOST_IMPORTED_USERS];
  if (excess) read.problems.push({ line: excess.line, message: TOO_MANY });
  if (rows.length === 0) read.problems.push({ line: header.line, message: "There are no users below the header" });
  return { ...read, problems: inOrder([...read.problems, ...encoding]) };
}

const NOT_UTF8 = "This line is not UTF-8 text; save the file as CSV UTF-8";

const TOO_MANY = `Rows beyond ${MOST_IMPORTED_USERS.toLocaleString("en-US")} do not fit one import; nothing from here on was read`;

function refusal(problems: LineProblem[]): UsersCsv {
  return { users: [], lines: [], problems: inOrder(problems) };
}

function inOrder(problems: LineProblem[]): LineProblem[] {
  return problems.sort((one, other) => one.line - other.line);
}

/** The users of rows under a header, which has so many columns without a name after the others. */
function readUsers(rows: readonly CsvRow[], columns: readonly Column[], nameless: number, rowsChecked: RowsChecked) {
  const users: AddUserRequest[] = [];
  const lines: number[] = [];
  const problems: LineProblem[] = [];
  const seen = new Map<string, number>();
  for (const [index, row] of rows.entries()) {
    const { line } = row;
    const { user, messages } = readRow(row, columns, nameless);
    rowsChecked(index + 1, rows.length);
    problems.push(...messages.map((message) => ({ line, message })));
    if (!user) continue;
    const key = emailKey(user.email);
    const first = seen.get(key);
    if (first === undefined) seen.set(key, line);
    else if (key !== "")
      problems.push({ line, message: `email "${shorten(clean(user.email))}" is on line ${first} too` });
    users.push(user);
    lines.push(line);
  }
  return { users, lines, problems };
}

function readRow(
  row: CsvRow,
  columns: readonly Column[],
  nameless: number,
): { user?: AddUserRequest; messages: readonly string[] } {
  if ("problem" in row) return { messages: [row.problem] };
  const { length } = row.values;
  // A spreadsheet may leave out what is empty at the end of a row.
  if (length < columns.length || length > columns.length + nameless) {
    const values = length === 1 ? "There is 1 value" : `There are ${length} values`;
    return { messages: [`${values} where the header has ${columns.length + nameless} columns`] };
  }
  const stray = row.values.findIndex((value, index) => index >= columns.length && value !== "");
  if (stray !== -1) return { messages: [`Column ${stray + 1} has a value, but no name in the header`] };
  const { user, problems } = readUser(new Map(columns.map((column, index) => [column, row.values[index] ?? ""])));
  return { user, messages: problems };
}

const MARK = Buffer.from("\ufeff");

/** Spreadsheets begin UTF-8 with a byte order mark. */
function withoutMark(bytes: Buffer): Buffer {
  return bytes.subarray(0, MARK.length).equals(MARK) ? bytes.subarray(MARK.length) : bytes;
}

/**
 * Excel's own first line, such as `sep=;`, names what separates the values. It becomes blank, so that lines are counted
 * as before.
 */
function withoutSeparatorLine(bytes: Buffer): { text: Buffer; separator: string | null } {
  const [line = "", separator] = /^"?sep=([^\r\n"])"?[,;\t]*(?=[\r\n]|$)/i.exec(bytes.toString("latin1", 0, 256)) ?? [];
  if (separator === undefined) return { text: bytes, separator: null };
  return { text: Buffer.from(bytes).fill(" ", 0, line.length), separator };
}

/** Why a file cannot be one of users at all, or `null`. */
function whyUnreadable(bytes: Buffer): string | null {
  if (bytes.length > MAX_FILE_BYTES) return `The file is larger than ${MAX_FILE_BYTES / 1_000_000} MB`;
  if (bytes.toString("latin1", 0, 4) === "PK\x03\x04") return "This is a spreadsheet; save it as CSV UTF-8";
  const mark = bytes.toString("latin1", 0, 2);
  const isUtf16 = mark === "\xff\xfe" || mark === "\xfe\xff" || /^(\0[^\0]|[^\0]\0)/.test(mark);
  return isUtf16 ? "The file is UTF-16 text; save it as CSV UTF-8" : null;
}

/** The first line that is not blank. */
function firstLine(bytes: Buffer): string {
  return /[^\r\n]*/.exec(bytes.toString("utf8").trimStart())?.[0] ?? "";
}

/** The numbers of the lines that are not UTF-8. */
function linesNotUtf8(bytes: Buffer): number[] {
  if (isUtf8(bytes)) return [];
  const lines = bytes.toString("latin1").split(/\r\n|\r|\n/);
  return lines.flatMap((line, index) => (isUtf8(Buffer.from(line, "latin1")) ? [] : [index + 1]));
}

const NEEDED = ["email", "firstName", "lastName"] as const;

const OPTIONAL = ["role", "adminNoTraining"] as const;

/** A column of a file of users (details.md, 24). */
export type Column = (typeof NEEDED)[number] | (typeof OPTIONAL)[number];

const COLUMNS: readonly Column[] = [...NEEDED, ...OPTIONAL];

const KNOWN: ReadonlyMap<string, Column> = new Map(COLUMNS.map((column) => [column.toLowerCase(), column]));

const EXPECTED = `${NEEDED.join(", ")}, and perhaps ${OPTIONAL.join(", ")}`;

/**
 * What separates the values of a file, by its header: comma, or the semicolon or tab that spreadsheets write in many
 * countries.
 */
export function delimiterOf(header: string): string {
  const count = (delimiter: string) => header.split(delimiter).length;
  return [",", ";", "\t"].reduce((best, other) => (count(other) > count(best) ? other : best));
}

/**
 * The columns that a header names, in any order and case, and how many without a name a spreadsheet put after them;
 * `problems` where it does not name them right.
 */
export function readHeader(header: readonly string[]): { columns: Column[]; nameless: number; problems: string[] } {
  const names = header.slice(0, header.findLastIndex((name) => name !== "") + 1);
  const nameless = header.length - names.length;
  const columns = names.flatMap((name) => KNOWN.get(name.toLowerCase()) ?? []);
  if (columns.length === 0)
    return { columns, nameless, problems: [`The first row must name the columns: ${EXPECTED}`] };
  const unknown = new Set(names.filter((name) => !KNOWN.has(name.toLowerCase())));
  const twice = COLUMNS.filter((column) => columns.filter((other) => other === column).length > 1);
  const missing = NEEDED.filter((column) => !columns.includes(column));
  const problems = [
    ...[...unknown].map(unknownColumn),
    ...twice.map((column) => `The column ${column} is there twice`),
    ...missing.map((column) => `The column ${column} is missing`),
  ];
  return { columns, nameless, problems };
}

const STRATEGY_COLUMN =
  "The column assignmentStrategy is not supported: it is a setting of the organization; remove the column and use " +
  "`secureflag-licenses organizations assignment-strategy`";

function unknownColumn(name: string): string {
  if (name === "") return "A column has no name";
  if (letters(name) === "assignmentstrategy") return STRATEGY_COLUMN;
  const near = KNOWN.get(letters(name));
  const advice = near ? `did you mean ${near}?` : `the columns are ${EXPECTED}`;
  return `There is no column "${shorten(clean(name))}"; ${advice}`;
}

/** `First name` and `first_name` stand near `firstName`. */
function letters(name: string): string {
  return name.toLowerCase().replaceAll(/[^\p{Letter}]/gu, "");
}
