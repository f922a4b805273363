import { accessSync, constants, lstatSync } from "node:fs";
import { open } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { hasErrno, isMissing, makePrivateDirectory, writePrivateFile } from "./privateFile.ts";

/** A path to read is not a file. */
class NoFileError extends Error {
  override readonly name = "NoFileError";
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
    if (!found.isFile() && !(orPipe && found.isFIFO())) throw new NoFileError("it is not a file");
    const chunks: Buffer[] = [];
    for await (const chunk of file.createReadStream({ end: most, autoClose: false })) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks);
  } finally {
    await file.close();
  }
}

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
    if (basename(path) === "" || path.endsWith("/")) throw notWritten(path, "it names a directory");
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
  try {
    writePrivateFile(path, bytes, context, { replace: force });
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
