import { isUtf8 } from "node:buffer";
import type * as z from "zod";
import { emailKey } from "../../contract/email.ts";
import {
  type AddUserRequest,
  addUserRequestSchema,
  MAX_IMPORTED_USERS,
  type SyncedUser,
  syncedUserSchema,
} from "../../contract/users.ts";
import type { LineProblem } from "../errors.ts";
import { clean, shorten } from "../kit/text.ts";
import { type Column, type CsvRow, delimiterOf, FOR_NEW_USERS, readHeader, readRows } from "./csv.ts";
import { ROLE_WORDS, roleNumber } from "./view.ts";

/**
 * The users of a file in order, each with its line. Use them only if there are no problems. A problem of the whole file is
 * on line 1.
 */
export interface UsersCsv<User extends SyncedUser = AddUserRequest> {
  readonly users: readonly User[];
  readonly lines: readonly number[];
  readonly problems: readonly LineProblem[];
  /** Whether there is no user in it at all, which is a problem, too. */
  readonly isEmpty: boolean;
}

/** Large enough for 10,000 users of 300 bytes, small enough for one request of the contract. */
export const MAX_FILE_BYTES = 3_000_000;

/** Called after each row with the number of checked rows and of all rows. */
export type RowsChecked = (done: number, total: number) => void;

/** What the users of a file are for, and what each of them needs. */
export interface UsersFileKind<User extends SyncedUser> {
  readonly needed: readonly Column[];
  readonly schema: z.ZodType<User>;
}

/** A file of users to add. */
export const ADDED: UsersFileKind<AddUserRequest> = { needed: FOR_NEW_USERS, schema: addUserRequestSchema };

/** A file of users to sync, who need no names where they exist. */
export const SYNCED: UsersFileKind<SyncedUser> = { needed: ["email"], schema: syncedUserSchema };

/**
 * Parses a CSV file of users (src/contract/README.md, Users). Collects every problem and never throws.
 *
 * @param file the bytes of the file
 */
export function parseUsersCsv<User extends SyncedUser>(
  file: Uint8Array,
  kind: UsersFileKind<User>,
  rowsChecked: RowsChecked = () => {},
): UsersCsv<User> {
  const bytes = withoutMark(Buffer.from(file.buffer, file.byteOffset, file.byteLength));
  const unreadable = whyUnreadable(bytes);
  if (unreadable !== null) return refusal<User>([{ line: 1, message: unreadable }]);
  const encoding = linesNotUtf8(bytes).map((line) => ({ line, message: NOT_UTF8 }));
  const { text, separator } = withoutSeparatorLine(bytes);
  // The header, and one row more than allowed.
  const [header, ...rows] = readRows(text, separator ?? delimiterOf(firstLine(text)), MAX_IMPORTED_USERS + 2);
  const refuse = (line: number, messages: readonly string[], isEmpty = false) =>
    refusal<User>([...messages.map((message) => ({ line, message })), ...encoding], isEmpty);
  if (!header) return refuse(1, ["The file is empty"], true);
  if ("problem" in header) return refuse(header.line, [header.problem]);
  const { columns, nameless, problems } = readHeader(header.values, kind.needed);
  if (problems.length > 0) return refuse(header.line, problems);
  const read = readUsers(rows.slice(0, MAX_IMPORTED_USERS), { columns, nameless }, kind, rowsChecked);
  const excess = rows[MAX_IMPORTED_USERS];
  if (excess) read.problems.push({ line: excess.line, message: TOO_MANY });
  if (rows.length === 0) read.problems.push({ line: header.line, message: "No users below the header" });
  return { ...read, problems: inOrder([...read.problems, ...encoding]), isEmpty: rows.length === 0 };
}

const NOT_UTF8 = "Not UTF-8 text; save the file as CSV UTF-8";

const TOO_MANY = `An import has at most ${MAX_IMPORTED_USERS.toLocaleString("en-US")} users; nothing from here on was read`;

function refusal<User extends SyncedUser>(problems: LineProblem[], isEmpty = false): UsersCsv<User> {
  return { users: [], lines: [], problems: inOrder(problems), isEmpty };
}

function inOrder(problems: LineProblem[]): LineProblem[] {
  return problems.sort((one, other) => one.line - other.line);
}

/** Reads the users of the rows below a header; `nameless` counts the unnamed columns at its end. */
function readUsers<User extends SyncedUser>(
  rows: readonly CsvRow[],
  header: Header,
  kind: UsersFileKind<User>,
  rowsChecked: RowsChecked,
) {
  const users: User[] = [];
  const lines: number[] = [];
  const problems: LineProblem[] = [];
  const seen = new Map<string, number>();
  for (const [index, row] of rows.entries()) {
    const { line } = row;
    const { user, messages } = readRow(row, header, kind);
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

type Header = Pick<ReturnType<typeof readHeader>, "columns" | "nameless">;

function readRow<User extends SyncedUser>(
  row: CsvRow,
  { columns, nameless }: Header,
  kind: UsersFileKind<User>,
): { user?: User; messages: readonly string[] } {
  if ("problem" in row) return { messages: [row.problem] };
  // Spreadsheets leave out empty cells at the end of a row, or write more of them than the header has.
  const { length } = row.values;
  const isShort = columns.slice(length).some((column) => kind.needed.includes(column));
  const stray = row.values.findIndex((value, index) => index >= columns.length && value !== "");
  if (isShort || stray >= columns.length + nameless) {
    const values = length === 1 ? "1 value" : `${length} values`;
    return { messages: [`${values}, but the header has ${columns.length + nameless} columns`] };
  }
  if (stray !== -1) return { messages: [`Column ${stray + 1} has a value, but no name in the header`] };
  const values = new Map(columns.map((column, index) => [column, row.values[index] ?? ""]));
  const { user, problems } = readUser(values, kind);
  return { user, messages: problems };
}

const MARK = Buffer.from("\ufeff");

/** Removes the byte order mark that spreadsheets write. */
function withoutMark(bytes: Buffer): Buffer {
  return bytes.subarray(0, MARK.length).equals(MARK) ? bytes.subarray(MARK.length) : bytes;
}

/**
 * Finds Excel's own first line, such as `sep=;`, and blanks it, so that lines are counted as before.
 */
function withoutSeparatorLine(bytes: Buffer): { text: Buffer; separator: string | null } {
  const [line = "", separator] = /^"?sep=([^\r\n"])"?[,;\t]*(?=[\r\n]|$)/i.exec(bytes.toString("latin1", 0, 256)) ?? [];
  if (separator === undefined) return { text: bytes, separator: null };
  return { text: Buffer.from(bytes).fill(" ", 0, line.length), separator };
}

/** Says why a file cannot be a CSV file of users, or `null`. */
function whyUnreadable(bytes: Buffer): string | null {
  if (bytes.length > MAX_FILE_BYTES) return `The file is larger than ${MAX_FILE_BYTES / 1_000_000} MB`;
  if (bytes.toString("latin1", 0, 4) === "PK\x03\x04") return "This is a spreadsheet; save it as CSV UTF-8";
  const mark = bytes.toString("latin1", 0, 2);
  const isUtf16 = mark === "\xff\xfe" || mark === "\xfe\xff" || /^(\0[^\0]|[^\0]\0)/.test(mark);
  return isUtf16 ? "The file is UTF-16 text; save it as CSV UTF-8" : null;
}

/** Returns the first line that is not blank. */
function firstLine(bytes: Buffer): string {
  return /[^\r\n]*/.exec(bytes.toString("utf8").trimStart())?.[0] ?? "";
}

/** Returns the numbers of the lines that are not UTF-8. */
function linesNotUtf8(bytes: Buffer): number[] {
  if (isUtf8(bytes)) return [];
  const lines = bytes.toString("latin1").split(/\r\n|\r|\n/);
  return lines.flatMap((line, index) => (isUtf8(Buffer.from(line, "latin1")) ? [] : [index + 1]));
}

/** Reads the user of a row, and its problems. An empty optional cell counts as missing. */
function readUser<User extends SyncedUser>(
  row: ReadonlyMap<Column, string>,
  { needed, schema }: UsersFileKind<User>,
): { user: User; problems: string[] } {
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
    ...nameOf(row, "firstName", needed),
    ...nameOf(row, "lastName", needed),
    ...(role !== null && { role }),
    ...(adminNoTraining !== null && { adminNoTraining }),
  };
  return { user: user as User, problems: [...contractProblems(user, schema), ...problems] };
}

function nameOf(row: ReadonlyMap<Column, string>, column: "firstName" | "lastName", needed: readonly Column[]) {
  const name = row.get(column) ?? "";
  return name === "" && !needed.includes(column) ? {} : { [column]: name };
}

/** Checks a user against the contract: at most one problem for each column. */
function contractProblems(user: SyncedUser, schema: UsersFileKind<SyncedUser>["schema"]): string[] {
  const issues = schema.safeParse(user).error?.issues ?? [];
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
