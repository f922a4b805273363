import type { Problem } from "../../contract/problems.ts";
import type { SyncedUser } from "../../contract/users.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf, type LineProblem } from "../errors.ts";
import { readInputFile, whyUnread } from "../files/files.ts";
import { STANDARD } from "../files/standard.ts";
import type { Io } from "../io.ts";
import type { OutputOptions } from "../kit/output.ts";
import { withProgress } from "../kit/spinner.ts";
import { bar, clean } from "../kit/text.ts";
import { MAX_FILE_BYTES, parseUsersCsv, type UsersCsv, type UsersFileKind } from "./csvUsers.ts";

/**
 * Reads a file of users, or stdin for `-`. Stops reading past `MAX_FILE_BYTES`.
 *
 * @throws CliError `users_file_invalid`
 */
export async function readUsersFile(
  path: string,
  { readInput, stdinIsTerminal }: Pick<Io, "readInput" | "stdinIsTerminal">,
): Promise<Buffer> {
  if (path === STANDARD && stdinIsTerminal) {
    throw unreadable(
      "No input on stdin",
      `Name a file, or pipe one in: \`secureflag-licenses users import ${STANDARD} < users.csv\`.`,
    );
  }
  if (path === STANDARD) return await readInput(MAX_FILE_BYTES);
  return await readInputFile(path, MAX_FILE_BYTES).catch((cause: unknown) => {
    const message = `Cannot read ${clean(path)}: ${whyUnread(cause)}`;
    throw unreadable(message, "Check the path. Nothing was changed.", cause);
  });
}

function unreadable(message: string, hint: string, cause?: unknown): CliError {
  return new CliError("users_file_invalid", message, { hint, cause });
}

/** Fewer rows are read too fast for a progress bar. */
const ROWS_WITH_BAR = 1_000;

const ROWS_PER_STEP = 100;

const BAR_WIDTH = 20;

/**
 * Reads a CSV file of users and checks all of it.
 *
 * @param kind what the users of the file are for
 * @param whenEmpty makes the error of a file without users, where that is more than a problem of the file
 * @throws CliError `users_file_invalid` with every problem of the file
 */
export async function checkedCsv<User extends SyncedUser>(
  options: OutputOptions & { readonly file: string },
  context: Context,
  kind: UsersFileKind<User>,
  whenEmpty?: () => CliError,
): Promise<UsersCsv<User>> {
  const bytes = await readUsersFile(options.file, context.io);
  const csv = await withProgress(context, options, (show) =>
    parseUsersCsv(bytes, kind, (done, total) => {
      if (total >= ROWS_WITH_BAR && (done % ROWS_PER_STEP === 0 || done === total)) show(checkingWords(done, total));
    }),
  );
  if (csv.isEmpty && whenEmpty) throw whenEmpty();
  if (csv.problems.length > 0)
    throw withProblems(csv.problems, "Correct the file and run the command again. Nothing was sent.");
  return csv;
}

function withProblems(problems: readonly LineProblem[], hint?: string, cause?: unknown): CliError {
  const count = problems.length === 1 ? "1 problem" : `${problems.length.toLocaleString("en-US")} problems`;
  return new CliError("users_file_invalid", `The file has ${count}. Nothing was changed`, { problems, hint, cause });
}

/** Converts the field errors of a backend to problems with lines; returns every other error unchanged. */
export function withLines(error: unknown, { lines }: Pick<UsersCsv, "lines">): unknown {
  if (codeOf(error) !== "invalid_request" || !(error instanceof Error) || !("problem" in error)) return error;
  const problems = ((error.problem as Problem | undefined)?.errors ?? []).map(({ path, message }) => {
    const [, index = "", column = ""] = /^users\[(\d+)\]\.?(\w*)$/.exec(path) ?? [];
    const line = index === "" ? undefined : lines[Number(index)];
    return line === undefined ? null : { line, message: `${column} ${message}`.trim() };
  });
  const known = problems.filter((problem) => problem !== null);
  return known.length === problems.length && known.length > 0
    ? withProblems(known, "Correct the file and run the command again.", error)
    : error;
}

/** The progress of checking a file. */
function checkingWords(done: number, total: number): string {
  return `Checking users ${barOf(done, total)} ${written(done)} of ${written(total)}`;
}

/** The progress of adding users, which is a single step for all of them. */
export function addingWords(count: number): string {
  return count < ROWS_WITH_BAR ? "Adding users" : `Adding ${written(count)} users, all or none`;
}

function barOf(done: number, total: number): string {
  const { filled, empty } = bar(done / total, BAR_WIDTH);
  return filled + empty;
}

function written(count: number): string {
  return count.toLocaleString("en-US");
}
