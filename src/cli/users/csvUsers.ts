import { isUtf8 } from "node:buffer";
import { emailKey } from "../../contract/email.ts";
import { type AddUserRequest, addUserRequestSchema, MOST_IMPORTED_USERS } from "../../contract/users.ts";
import type { LineProblem } from "../errors.ts";
import { clean, shorten } from "../kit/text.ts";
import { type Column, type CsvRow, delimiterOf, isOptional, readHeader, readRows } from "./csv.ts";
import { ROLE_WORDS, roleNumber } from "./view.ts";

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
  // Spreadsheets leave out empty cells at the end of a row, or write more of them than the header has.
  const { length } = row.values;
  const isShort = !columns.slice(length).every(isOptional);
  const stray = row.values.findIndex((value, index) => index >= columns.length && value !== "");
  if (isShort || stray >= columns.length + nameless) {
    const values = length === 1 ? "There is 1 value" : `There are ${length} values`;
    return { messages: [`${values} where the header has ${columns.length + nameless} columns`] };
  }
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

/** The user of a row, as the contract takes it, and what is wrong with it. What is left empty is as if not there. */
function readUser(row: ReadonlyMap<Column, string>): { user: AddUserRequest; problems: string[] } {
  const problems: string[] = [];
  const optional = <Value>(column: Column, read: (text: string) => Value | null, expected: string) => {
    const text = row.get(column) ?? "";
    const value = text === "" ? null : read(text);
    if (text !== "" && value === null) problems.push(`${column} ${quoted(text)} is not ${expected}`);
    return value;
  };
  const role = optional("role", roleNumber, `one of ${ROLE_WORDS.join(", ")}`);
  const adminNoTraining = optional("adminNoTraining", readFlag, "true or false");
  const user = {
    email: row.get("email") ?? "",
    firstName: row.get("firstName") ?? "",
    lastName: row.get("lastName") ?? "",
    ...(role !== null && { role }),
    ...(adminNoTraining !== null && { adminNoTraining }),
  };
  return { user, problems: [...contractProblems(user), ...problems] };
}

/** What the contract has against a user, once for each column. */
function contractProblems(user: AddUserRequest): string[] {
  const issues = addUserRequestSchema.safeParse(user).error?.issues ?? [];
  const messages = new Map(issues.toReversed().map(({ path, message }) => [String(path[0]), message]));
  return [...messages].reverse().map(([column, message]) => {
    if (column !== "email") return `${column} ${message}`;
    return user.email === "" ? "email is empty" : `email ${quoted(user.email)} ${message}`;
  });
}

const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ...["true", "yes", "1"].map((word) => [word, true] as const),
  ...["false", "no", "0"].map((word) => [word, false] as const),
]);

function readFlag(text: string): boolean | null {
  return FLAGS.get(text.toLowerCase()) ?? null;
}

function quoted(text: string): string {
  return `"${shorten(clean(text))}"`;
}
