import { accessSync, constants, lstatSync, type Stats } from "node:fs";
import { open } from "node:fs/promises";
import { basename, dirname, sep } from "node:path";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { hasErrno, isMissing } from "./errno.ts";
import { type GrowingFile, growPrivateFile, makePrivateDirectory, writePrivateFile } from "./privateFile.ts";

/** A path to read is not a file. */
class NoFileError extends Error {
  override readonly name = "NoFileError";
}

/** The error of what is not a file, such as the `<(…)` of a shell. */
function noFile(found: Stats): NoFileError {
  return new NoFileError(found.isFIFO() ? "it is a pipe; pass - and pipe it in" : "it is not a file");
}

/**
 * Reads a file that a person named, and stops after `most` bytes and one more. Anything but a file is refused: a named
 * pipe could keep the command waiting forever.
 *
 * @param most the largest content that makes sense, in bytes
 * @param orPipe also reads a pipe, and waits for its end
 * @throws what the file system throws
 */
export async function readInputFile(path: string, most: number, orPipe = false): Promise<Buffer> {
  // Windows has no O_NONBLOCK.
  const file = await open(path, constants.O_RDONLY | (orPipe ? 0 : (constants.O_NONBLOCK ?? 0)));
  try {
    const found = await file.stat();
    if (!found.isFile() && !(orPipe && found.isFIFO())) throw noFile(found);
    const chunks: Buffer[] = [];
    for await (const chunk of file.createReadStream({ end: most, autoClose: false })) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks);
  } finally {
    await file.close();
  }
}

/** A line of a file is longer than any that makes sense. */
export class LongLineError extends Error {
  override readonly name = "LongLineError";
}

/**
 * Reads the lines of a file that a person named, one after the other, without their ends.
 *
 * @param most the longest line that makes sense, in bytes
 * @throws LongLineError, and what the file system throws
 */
export async function* readInputLines(path: string, most: number): AsyncGenerator<Buffer> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const found = await file.stat();
    if (!found.isFile()) throw noFile(found);
    yield* linesOf(file.createReadStream({ autoClose: false, highWaterMark: CHUNK_BYTES }), most);
  } finally {
    await file.close();
  }
}

/**
 * Splits what is read into lines, one after the other, without their ends.
 *
 * @param most the longest line that makes sense, in bytes
 * @throws LongLineError, and what reading throws
 */
export async function* linesOf(chunks: AsyncIterable<Buffer>, most: number): AsyncGenerator<Buffer> {
  let begun: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const bytes = begun.length === 0 ? chunk : Buffer.concat([begun, chunk]);
    let start = 0;
    for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, start)) {
      yield bytes.subarray(start, end);
      start = end + 1;
    }
    begun = bytes.subarray(start);
    if (begun.length > most) throw new LongLineError("a line is too long");
  }
  if (begun.length > 0) yield begun;
}

const LINE_FEED = 0x0a;

const CHUNK_BYTES = 1_048_576;

/** Why a file cannot be read, in the system's words without its code and the path. */
export function whyUnread(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.replace(/^[A-Z]+: (.*?), \w+(?: '.*')?$/s, "$1");
}

/** A file that a person asked for. */
export interface OutputFile {
  readonly path: string;
  /** Whether a file that is there may be replaced. */
  readonly force: boolean;
}

/**
 * Makes sure that a file can be written before anything is done for it. It may still fail to be, later.
 *
 * @throws CliError `file_exists`, `file_not_written`
 */
export function assertWritable({ path, force }: OutputFile): void {
  try {
    const there = lstatSync(path, { throwIfNoEntry: false });
    // Replacing a device, or what a link points to, is never what was meant.
    if (there && !there.isFile())
      throw notWritten(path, there.isDirectory() ? "it is a directory" : "it is not a file");
    if (there && !force) throw fileExists(path);
    if (!lstatSync(`${dirname(path)}/`).isDirectory()) throw notWritten(path, NO_DIRECTORY);
    accessSync(dirname(path), constants.W_OK | constants.X_OK);
    if (basename(path) === "" || path.endsWith("/") || path.endsWith(sep))
      throw notWritten(path, "it names a directory");
  } catch (error) {
    throw error instanceof CliError ? error : failureOf(error, path);
  }
}

/**
 * Writes a file that only its owner can read, whole or not at all.
 *
 * @throws CliError `file_exists` where one has appeared meanwhile, `file_not_written`
 */
export function writeOutputFile({ path, force }: OutputFile, bytes: Uint8Array, context: Context): void {
  orFailure(path, () => writePrivateFile(path, bytes, context, { replace: force }));
}

/**
 * Writes a file that only its owner can read piece by piece, whole or not at all.
 *
 * @param work writes it; the file is dropped if this fails
 * @throws CliError as `writeOutputFile`; what `work` throws
 */
export async function growOutputFile(
  { path, force }: OutputFile,
  context: Context,
  work: (file: Pick<GrowingFile, "restart" | "write">) => Promise<void>,
): Promise<void> {
  const file = orFailure(path, () => growPrivateFile(path, context));
  context.onEnd(async () => file.discard());
  try {
    await work({
      restart: () => orFailure(path, () => file.restart()),
      write: (bytes) => orFailure(path, () => file.write(bytes)),
    });
    orFailure(path, () => file.finish(force));
  } finally {
    file.discard();
  }
}

function orFailure<Result>(path: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw hasErrno(error, "EEXIST") ? fileExists(path) : failureOf(error, path);
  }
}

/**
 * Makes a directory for files, which only its owner can enter, unless it is there.
 *
 * @throws CliError `file_not_written`
 */
export function makeOutputDirectory(path: string): void {
  try {
    makePrivateDirectory(path);
  } catch (error) {
    throw hasErrno(error, "EEXIST") ? notWritten(path, "it is not a directory") : failureOf(error, path);
  }
}

function fileExists(path: string): CliError {
  const hint = "Choose another name, or pass --force to replace it.";
  return new CliError("file_exists", `${path} already exists`, { hint });
}

const NO_DIRECTORY = "its directory does not exist";

const REASONS: Readonly<Record<string, string>> = {
  ENOTDIR: NO_DIRECTORY,
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the disk is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "your disk quota is used up",
  ENAMETOOLONG: "its name is too long",
};

function failureOf(error: unknown, path: string): CliError {
  const known = Object.keys(REASONS).find((errno) => hasErrno(error, errno));
  const reason = isMissing(error) ? NO_DIRECTORY : known && REASONS[known];
  return notWritten(path, reason ?? (error instanceof Error ? error.message : String(error)), error);
}

function notWritten(path: string, reason: string, cause?: unknown): CliError {
  const hint = "Choose another place for the file.";
  return new CliError("file_not_written", `Cannot write ${path}: ${reason}`, { hint, cause });
}
