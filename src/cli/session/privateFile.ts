import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { SessionError } from "./errors.ts";

/** What the files need to know of the machine. */
export interface FileMachine {
  readonly pid: number;
  /** The user's number; `null` where the system has none (Windows), which has no modes to check either. */
  readonly uid: number | null;
  /** Crash points (purchase.md). */
  reach(point: string): void;
}

/** The largest file that is read, in bytes: whatever is larger was not written by this tool. */
const MAX_BYTES = 1_000_000;

/**
 * Writes a file that only its owner can read (security.md, Secrets in the CLI): whole and flushed under another name in
 * the same directory, then renamed, so that whatever happens the old file or the new one is there. Directories that are
 * missing are made with mode 0700.
 *
 * @throws what the file system throws
 */
export function writePrivateFile(path: string, text: string, machine: FileMachine): void {
  const directory = dirname(path);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // Only this process writes under its number, so a file of that name is left over from an earlier one.
  const temporary = `${path}.${machine.pid}.tmp`;
  rmSync(temporary, { force: true });
  try {
    writeFlushed(temporary, text);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  machine.reach("C6");
  renameSync(temporary, path);
  flushDirectory(directory);
}

function writeFlushed(path: string, text: string): void {
  const file = openSync(path, "wx", 0o600);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Reads a file that `writePrivateFile` wrote; `null` where there is none.
 *
 * @throws SessionError `credentials_unsafe` for a link, another user's file, or one that others can read or write
 * @throws what the file system throws
 */
export function readPrivateFile(path: string, machine: FileMachine): string | null {
  const file = openUnlinked(path);
  if (file === null) return null;
  try {
    assertPrivate(path, fstatSync(file), machine);
    return readFileSync(file, "utf8");
  } finally {
    closeSync(file);
  }
}

/** Removes a file. Gives whether it was there. */
export function removePrivateFile(path: string): boolean {
  try {
    rmSync(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Whether a file system's error says that there is no such file or directory. */
export function isMissing(error: unknown): boolean {
  return hasErrno(error, "ENOENT");
}

function openUnlinked(path: string): number | null {
  try {
    // Windows has neither flag. Without O_NONBLOCK a named pipe in the file's place would block for ever.
    return openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if (isMissing(error)) return null;
    if (hasErrno(error, "ELOOP")) throw unsafe(path, "is a link", `Remove the link: rm "${path}"`);
    throw error;
  }
}

function assertPrivate(path: string, stats: Stats, { uid }: FileMachine): void {
  if (!stats.isFile()) throw unsafe(path, "is not a file", `Remove it: "${path}"`);
  if (stats.size > MAX_BYTES) throw unsafe(path, "is larger than this tool writes", `Remove it: rm "${path}"`);
  if (uid === null) return;
  if (stats.uid !== uid)
    throw unsafe(path, "belongs to another user", `Remove it, or take it over: chown ${uid} "${path}"`);
  if ((stats.mode & 0o077) !== 0) throw unsafe(path, "can be read by other users", `Run: chmod 600 "${path}"`);
}

function unsafe(path: string, why: string, hint: string): SessionError {
  return new SessionError("credentials_unsafe", `${path} ${why}, so it is not used`, hint);
}

/** Makes a rename last through a power cut. Systems that cannot flush a directory do not need it. */
function flushDirectory(directory: string): void {
  try {
    const handle = openSync(directory, "r");
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    if (!["EISDIR", "EPERM", "EACCES", "EINVAL"].some((errno) => hasErrno(error, errno))) throw error;
  }
}

function hasErrno(error: unknown, errno: string): boolean {
  return error instanceof Error && "code" in error && error.code === errno;
}
