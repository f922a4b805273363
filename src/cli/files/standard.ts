import type { Context } from "../context.ts";
import { type CliError, usageError } from "../errors.ts";
import type { Io } from "../io.ts";
import { readInputFile, whyUnread } from "./files.ts";

/** The name of stdin where a file is read, and of stdout where one is written. A file of that name is `./-`. */
export const STANDARD = "-";

/**
 * Reads a file that a person named, or stdin for `-`, and stops after `most` bytes and a little more.
 *
 * @param most the largest content that makes sense, in bytes
 * @param unreadable makes the error of what cannot be read, with the system's reason
 * @throws CliError `invalid_usage` if stdin is a terminal; what `unreadable` makes
 */
export async function readInput(
  path: string,
  most: number,
  io: Pick<Io, "readInput" | "stdinIsTerminal">,
  unreadable: (reason: string, cause: unknown) => CliError,
): Promise<Buffer> {
  if (path === STANDARD) assertPiped(io);
  try {
    return path === STANDARD ? await io.readInput(most) : await readInputFile(path, most);
  } catch (cause) {
    throw unreadable(whyUnread(cause), cause);
  }
}

/**
 * Refuses to wait for a file that a person would have to type.
 *
 * @throws CliError `invalid_usage` if stdin is a terminal
 */
export function assertPiped({ stdinIsTerminal }: Pick<Io, "stdinIsTerminal">): void {
  if (stdinIsTerminal) throw usageError("No input on stdin: it is a terminal", "Pipe the file in, or name one.");
}

/**
 * Makes sure that at most one file is read from stdin.
 *
 * @param files the paths by the name of their argument or flag; `null` for one that is left out
 * @throws CliError `invalid_usage`
 */
export function assertOneStdin(files: Readonly<Record<string, string | null>>): void {
  const names = Object.keys(files).filter((name) => files[name] === STANDARD);
  if (names.length < 2) return;
  throw usageError(`${names.join(" and ")} cannot both be -`, "Only one file can be read from stdin.");
}

/**
 * Makes sure that a file that is written to stdout is all that is.
 *
 * @param name the argument or flag of the file, as typed for stdout
 * @param others the flags that would print something else
 * @throws CliError `invalid_usage`
 */
export function assertStdoutFree(name: string, others: Readonly<Record<string, boolean>>): void {
  const other = Object.keys(others).find((flag) => others[flag]);
  if (other === undefined) return;
  throw usageError(`${name} cannot be used with ${other}: both write to stdout`, "Name a file, or remove the flag.");
}

/**
 * Writes a file to stdout, piece by piece.
 *
 * @throws CliError `output_not_written`
 */
export async function writeStdout(
  { io }: Pick<Context, "io">,
  pieces: readonly (string | Uint8Array)[],
): Promise<void> {
  for (const piece of pieces) if (!(await io.print(piece))) return;
}
