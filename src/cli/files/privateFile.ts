import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { CliError } from "../errors.ts";
import { decodeText } from "../kit/text.ts";
import { hasErrno, isMissing, type RetryBusy } from "./errno.ts";
import { deniedError, foreignError, ROOT } from "./ownership.ts";

/** What the files need to know of the machine. */
export interface FileMachine {
  readonly pid: number;
  /** The user's number; `null` where the system has none (Windows), which has no modes to check either. */
  readonly uid: number | null;
  /** A crash point: a place where a test kills the process. */
  reach(point: string): void;
  /** Runs work on files, on Windows again while another program holds one of them. */
  readonly retryBusy: RetryBusy;
}

/** The maximum size of a file that is read, in bytes: this tool never writes a larger one. */
export const MAX_BYTES = 1_000_000;

/**
 * Writes a file that only its owner can read: whole and flushed under another name in
 * the same directory, then renamed, so that whatever happens the old file or the new one is there. Directories that are
 * missing are made with mode 0700.
 *
 * @param replace whether a file that is there may go; where it may not, none is replaced that appears meanwhile either
 * @throws what the file system throws; `EEXIST` for a file that may not be replaced
 */
export function writePrivateFile(
  path: string,
  content: string | Uint8Array,
  machine: Pick<FileMachine, "pid" | "reach" | "retryBusy">,
  { replace = true }: { replace?: boolean } = {},
): void {
  const directory = dirname(path);
  makePrivateDirectory(directory);
  // Only this process writes under its number, so a file of that name is left over from an earlier one.
  const temporary = `${path}.${machine.pid}.tmp`;
  const discard = () => machine.retryBusy(() => rmSync(temporary, { force: true }));
  discard();
  try {
    writeFlushed(temporary, content, machine);
  } catch (error) {
    discard();
    throw error;
  }
  machine.reach("C6");
  giveName(temporary, path, replace, machine);
}

/** A private file that is written piece by piece under another name, until it is whole. */
export interface GrowingFile {
  /** Drops what was written. */
  restart(): void;
  write(bytes: Uint8Array): void;
  /** Gives it its name, as `writePrivateFile` does. */
  finish(replace: boolean): void;
  /** Removes it unless it is finished. */
  discard(): void;
}

/**
 * Creates a private file to write piece by piece.
 *
 * @throws what the file system throws, as all of its functions but `discard` do
 */
export function growPrivateFile(path: string, machine: Pick<FileMachine, "pid" | "retryBusy">): GrowingFile {
  const temporary = `${path}.${machine.pid}.tmp`;
  const remove = () => machine.retryBusy(() => rmSync(temporary, { force: true }));
  remove();
  const file = machine.retryBusy(() => openSync(temporary, "wx", 0o600));
  let isOpen = true;
  return {
    restart: () => ftruncateSync(file),
    write: (bytes) => writeAppended(file, bytes),
    finish(replace) {
      fsyncSync(file);
      closeSync(file);
      isOpen = false;
      giveName(temporary, path, replace, machine);
    },
    discard() {
      if (isOpen) closeSync(file);
      isOpen = false;
      remove();
    },
  };
}

/** Writes behind what there is, all of it: one call of the system may write less. */
function writeAppended(file: number, bytes: Uint8Array): void {
  let { size } = fstatSync(file);
  for (let done = 0; done < bytes.length; ) {
    const written = writeSync(file, bytes, done, bytes.length - done, size);
    done += written;
    size += written;
  }
}

type Retrying = Pick<FileMachine, "retryBusy">;

function giveName(temporary: string, path: string, replace: boolean, { retryBusy }: Retrying): void {
  if (replace) retryBusy(() => renameSync(temporary, path));
  else nameNew(temporary, path, retryBusy);
  flushDirectory(dirname(path));
}

/**
 * Makes a directory that only its owner can enter, and those above it that are missing.
 *
 * @throws what the file system throws
 */
export function makePrivateDirectory(path: string): void {
  try {
    // Not `recursive`: where nothing can be made, such as in /proc, Node.js 20 would try forever.
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
    if (!hasErrno(error, "ENOENT") || existsSync(dirname(path))) throw error;
    makePrivateDirectory(dirname(path));
    makePrivateDirectory(path);
  }
}

/** Gives a file a name that nothing has: other than renaming, linking never replaces what is there. */
function nameNew(temporary: string, path: string, retryBusy: RetryBusy): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    // Some file systems have no links.
    if (!["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"].some((errno) => hasErrno(error, errno))) throw error;
    copyFileSync(temporary, path, constants.COPYFILE_EXCL);
  } finally {
    retryBusy(() => rmSync(temporary, { force: true }));
  }
}

function writeFlushed(path: string, content: string | Uint8Array, { retryBusy }: Retrying): void {
  const file = retryBusy(() => openSync(path, "wx", 0o600));
  try {
    writeFileSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Reads a file that `writePrivateFile` wrote; `null` where there is none.
 *
 * @throws CliError `credentials_unsafe` for a link, another user's file, one that others can read or write, or one
 *   that may not be opened
 * @throws what the file system throws
 */
export function readPrivateFile(path: string, machine: FileMachine): string | null {
  return readChecked(path, constants.O_NOFOLLOW ?? 0, machine, (stats) => assertPrivate(path, stats, machine));
}

/**
 * Reads a file that holds no secret, also through a link and where others can read it; `null` where there is none.
 *
 * @throws CliError `credentials_unsafe` for a file of another user but root, one that others can write to, or one
 *   that may not be opened
 * @throws what the file system throws
 */
export function readPublicFile(path: string, machine: FileMachine): string | null {
  return readChecked(path, 0, machine, (stats) => assertOwn(path, stats, machine));
}

function readChecked(path: string, flags: number, machine: FileMachine, check: (stats: Stats) => void): string | null {
  const file = openExisting(path, flags, machine);
  if (file === null) return null;
  try {
    check(fstatSync(file));
    return decodeText(readFileSync(file));
  } finally {
    closeSync(file);
  }
}

/** Removes a file. Gives whether it was there. */
export function removePrivateFile(path: string, { retryBusy }: Retrying): boolean {
  try {
    retryBusy(() => rmSync(path));
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/**
 * Checks the directory that sign-ins are kept in: anyone who can write there could replace them. It may
 * be reached through a link, because many keep their configuration elsewhere.
 *
 * @throws CliError `credentials_unsafe` for another user's directory, or one that others can write to
 * @throws what the file system throws
 */
export function assertPrivateDirectory(path: string, { uid }: Pick<FileMachine, "uid">): void {
  if (uid === null) return;
  const stats = statSync(path);
  if (stats.uid !== uid && stats.uid !== ROOT)
    throw foreignError(path, { uid, owner: stats.uid }, "credentials_unsafe");
  if ((stats.mode & 0o022) !== 0) throw unsafe(path, "can be written by other users", `Run \`chmod 700 "${path}"\`.`);
}

function openExisting(path: string, flags: number, { uid, retryBusy }: FileMachine): number | null {
  try {
    // Windows has no such flags. Without O_NONBLOCK a named pipe in the file's place would block forever.
    return retryBusy(() => openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | flags));
  } catch (error) {
    if (isMissing(error)) return null;
    if (flags !== 0 && hasErrno(error, "ELOOP"))
      throw unsafe(path, "is a link", `Remove the link with \`rm "${path}"\`.`);
    throw deniedError(error, path, uid, "credentials_unsafe") ?? error;
  }
}

function assertPrivate(path: string, stats: Stats, { uid }: FileMachine): void {
  assertOrdinary(path, stats);
  if (uid === null) return;
  if (stats.uid !== uid) throw foreignError(path, { uid, owner: stats.uid }, "credentials_unsafe");
  if ((stats.mode & 0o077) !== 0) throw unsafe(path, "can be read by other users", `Run \`chmod 600 "${path}"\`.`);
}

function assertOwn(path: string, stats: Stats, { uid }: FileMachine): void {
  assertOrdinary(path, stats);
  if (uid === null) return;
  if (stats.uid !== uid && stats.uid !== ROOT)
    throw foreignError(path, { uid, owner: stats.uid }, "credentials_unsafe");
  if ((stats.mode & 0o022) !== 0) throw unsafe(path, "can be written by other users", `Run \`chmod 600 "${path}"\`.`);
}

function assertOrdinary(path: string, stats: Stats): void {
  if (!stats.isFile()) throw unsafe(path, "is not a file", "Move it away, or remove it.");
  if (stats.size > MAX_BYTES) throw unsafe(path, "is too large", `Remove it with \`rm "${path}"\`.`);
}

function unsafe(path: string, why: string, hint: string): CliError {
  return new CliError("credentials_unsafe", `${path} ${why}, so it is not used`, { hint });
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
