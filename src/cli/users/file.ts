import { CliError } from "../errors.ts";
import { readInputFile, whyUnread } from "../inputFile.ts";
import type { Io } from "../io.ts";
import { clean } from "../render/clean.ts";
import { MAX_FILE_BYTES } from "./csv.ts";

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
