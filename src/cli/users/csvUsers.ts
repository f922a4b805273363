import { parse } from "csv-parse/sync";
import type { Problem } from "../../contract/problems.ts";
import { type AddUserRequest, addUserRequestSchema } from "../../contract/users.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf, type LineProblem } from "../errors.ts";
import type { Io } from "../io.ts";
import { readInputFile, whyUnread } from "../kit/files.ts";
import type { OutputOptions } from "../kit/output.ts";
import { withProgress } from "../kit/spinner.ts";
import { clean, shorten } from "../kit/text.ts";
import { bar } from "../subscription/status.ts";
import { type Column, MAX_FILE_BYTES, parseUsersCsv, type UsersCsv } from "./csv.ts";
import { ROLE_WORDS, roleNumber } from "./view.ts";

/** A row of a CSV file with the line that it begins on: its values without spaces around them, or why it has none. */
export type CsvRow = { readonly line: number } & (
  | { readonly values: readonly string[] }
  | { readonly problem: string }
);

const NOT_CLOSED = "A quoted value begins here and never ends; what follows it was not read";

const STRAY_QUOTE =
  'A quote stands where none may: put the whole value in quotes, and write each quote in it twice ("")';

/**
 * Reads the rows of a CSV file (RFC 4180), whose lines may end in CRLF, LF or CR. Blank lines, and
 * lines of separators alone, are no rows. After a row that cannot be read it goes on with the next line, so that one run
 * finds every problem.
 *
 * @param bytes UTF-8 without a byte order mark
 * @param most ends after so many rows
 */
export function readRows(bytes: Buffer, delimiter: string, most: number): CsvRow[] {
  const lines = new LineCounter(bytes);
  const rows: CsvRow[] = [];
  let from = 0;
  while (from < bytes.length && rows.length < most) {
    const { records, failure } = parseFrom(bytes.subarray(from), delimiter, most);
    let at = from;
    for (const { values, end } of records) {
      if (values.some((value) => value !== "")) {
        rows.push({ line: lines.lineOf(startOfRow(bytes, at, delimiter)), values });
      }
      at = from + end;
    }
    if (failure === null) {
      if (records.length < most) break;
      from = at;
      continue;
    }
    const broken = startOfRow(bytes, at, delimiter);
    const isOpen = failure === "CSV_QUOTE_NOT_CLOSED";
    rows.push({ line: lines.lineOf(broken), problem: isOpen ? NOT_CLOSED : STRAY_QUOTE });
    if (isOpen) break;
    from = endOfLine(bytes, broken);
  }
  return rows.slice(0, most);
}

interface Parsed {
  /** `end`: the byte after the row and its line end. */
  readonly records: readonly { readonly values: readonly string[]; readonly end: number }[];
  /** Why the row after the last one cannot be read. */
  readonly failure: string | null;
}

function parseFrom(bytes: Buffer, delimiter: string, most: number): Parsed {
  const records: { values: string[]; end: number }[] = [];
  try {
    parse(bytes, {
      delimiter,
      record_delimiter: ["\r\n", "\n", "\r"],
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
      to: most,
      on_record(values: string[], { bytes: end }) {
        // The parser leaves the spaces in quotes alone.
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

/** Counts lines as an editor does, for places in their order. */
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

/** The first line from a place on that is not blank. One of separators is a row: they may be tabs. */
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

/** The place after the line end that comes next. */
function endOfLine(bytes: Buffer, place: number): number {
  let end = place;
  while (end < bytes.length && bytes[end] !== LF && bytes[end] !== CR) end += 1;
  return end + (bytes[end] === CR && bytes[end + 1] === LF ? 2 : 1);
}

/** The user of a row, as the contract takes it, and what is wrong with it. What is left empty is as if not there. */
export function readUser(row: ReadonlyMap<Column, string>): { user: AddUserRequest; problems: string[] } {
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

/** What stands for stdin where a file is named. */
const STDIN = "-";

/**
 * Reads a file of users, or stdin where it is named `-`; of one that is too large no more than tells so.
 *
 * @throws CliError `users_file_invalid`
 */
export async function readUsersFile(
  path: string,
  { readInput, stdinIsTerminal }: Pick<Io, "readInput" | "stdinIsTerminal">,
): Promise<Buffer> {
  if (path === STDIN && stdinIsTerminal) {
    throw unreadable(
      "There is nothing on stdin",
      `Name a file, or pipe one in: \`secureflag-licenses users import ${STDIN} < users.csv\`.`,
    );
  }
  if (path === STDIN) return await readInput(MAX_FILE_BYTES);
  return await readInputFile(path, MAX_FILE_BYTES).catch((cause: unknown) => {
    const message = `The file ${clean(path)} cannot be read: ${whyUnread(cause)}`;
    throw unreadable(message, "Check its path. Nobody was added.", cause);
  });
}

function unreadable(message: string, hint: string, cause?: unknown): CliError {
  return new CliError("users_file_invalid", message, { hint, cause });
}

/** Fewer rows are read before anybody could see a bar. */
const ROWS_WITH_BAR = 1_000;

const ROWS_A_STEP = 100;

const BAR_WIDTH = 20;

/**
 * Reads a CSV file of users and checks all of it.
 *
 * @throws CliError `users_file_invalid` with every problem of it
 */
export async function checkedCsv(
  options: OutputOptions & { readonly file: string },
  context: Context,
): Promise<UsersCsv> {
  const bytes = await readUsersFile(options.file, context.io);
  const csv = await withProgress(context, options, (show) =>
    parseUsersCsv(bytes, (done, total) => {
      if (total >= ROWS_WITH_BAR && (done % ROWS_A_STEP === 0 || done === total)) show(checkingWords(done, total));
    }),
  );
  if (csv.problems.length > 0)
    throw withProblems(csv.problems, "Correct it and run the command again; nothing was sent.");
  return csv;
}

function withProblems(problems: readonly LineProblem[], hint?: string, cause?: unknown): CliError {
  const count = problems.length === 1 ? "1 problem" : `${problems.length.toLocaleString("en-US")} problems`;
  return new CliError("users_file_invalid", `The file has ${count}. Nobody was added`, { problems, hint, cause });
}

/** What a backend has against users of a file, told by the lines that they are on; every other error as it is. */
export function withLines(error: unknown, { lines }: UsersCsv): unknown {
  if (codeOf(error) !== "invalid_request" || !(error instanceof Error) || !("problem" in error)) return error;
  const problems = ((error.problem as Problem | undefined)?.errors ?? []).map(({ path, message }) => {
    const [, index = "", column = ""] = /^users\[(\d+)\]\.?(\w*)$/.exec(path) ?? [];
    const line = index === "" ? undefined : lines[Number(index)];
    return line === undefined ? null : { line, message: `${column} ${message}`.trim() };
  });
  const known = problems.filter((problem) => problem !== null);
  return known.length === problems.length && known.length > 0
    ? withProblems(known, "Correct it and run the command again.", error)
    : error;
}

/** How far a file is checked. */
function checkingWords(done: number, total: number): string {
  return `Checking users ${barOf(done, total)} ${written(done)} of ${written(total)}`;
}

/** What is shown while users are added, which is one step for all of them. */
export function addingWords(count: number): string {
  if (count < ROWS_WITH_BAR) return "Adding users";
  return `Adding users   ${barOf(count, count)} ${written(count)}, all or none`;
}

function barOf(done: number, total: number): string {
  const { filled, empty } = bar(done / total, BAR_WIDTH);
  return filled + empty;
}

function written(count: number): string {
  return count.toLocaleString("en-US");
}
