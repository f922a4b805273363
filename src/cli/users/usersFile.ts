import type { Problem } from "../../contract/problems.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf, type LineProblem } from "../errors.ts";
import { readInputFile, whyUnread } from "../files/files.ts";
import type { Io } from "../io.ts";
import type { OutputOptions } from "../kit/output.ts";
import { withProgress } from "../kit/spinner.ts";
import { bar, clean } from "../kit/text.ts";
import { MAX_FILE_BYTES, parseUsersCsv, type UsersCsv } from "./csvUsers.ts";

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
