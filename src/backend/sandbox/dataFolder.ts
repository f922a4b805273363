import { chmod, mkdir, readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openSqlite, type SqliteConnection } from "../database/sqlite.ts";
import { isStorageFailure } from "../database/storageFailure.ts";
import { BackendError, startError } from "../errors.ts";

/** The backend's store, and the records of the simulated outside world: the payment provider and the mailbox. */
const FILES = { backend: "backend.db", outside: "outside.db" } as const;

/** The two open databases of a sandbox. */
export interface SandboxData {
  readonly backend: SqliteConnection;
  readonly outside: SqliteConnection;
}

/**
 * Opens a sandbox's data, in memory for `null`. The process owns the files until it ends, in whatever way.
 *
 * @throws BackendError `sandbox_data_in_use`, `sandbox_data_unusable`, `sqlite_missing`
 */
export async function openData(folder: string | null): Promise<SandboxData> {
  if (folder === null) return { backend: await openInstalled(":memory:"), outside: await openInstalled(":memory:") };
  await makeFolder(folder);
  const backend = await open(folder, FILES.backend);
  try {
    const outside = await open(folder, FILES.outside);
    for (const file of await filesIn(folder)) await chmod(join(folder, file), 0o600);
    return { backend, outside };
  } catch (error) {
    backend.close();
    throw unusable(folder, error);
  }
}

/**
 * Deletes a stopped sandbox's data. Other files in the folder stay.
 *
 * @throws BackendError `sandbox_data_in_use`, `sandbox_data_unusable`, `sqlite_missing`
 */
export async function resetSandbox(folder: string): Promise<void> {
  const files = await assertResettable(folder);
  // The file that marks the folder as a sandbox goes last, so that an interrupted reset can be repeated.
  const ordered = [...files.filter((file) => file !== FILES.backend), FILES.backend];
  try {
    for (const file of ordered) await rm(join(folder, file), { force: true });
  } catch (error) {
    throw unusable(folder, error);
  }
}

/**
 * Checks that a reset would succeed, before anyone is prompted to confirm it.
 *
 * @returns the files that it would delete
 * @throws BackendError as `resetSandbox`
 */
export async function assertResettable(folder: string): Promise<string[]> {
  const files = await filesIn(folder);
  if (!files.includes(FILES.backend)) {
    throw startError(
      "sandbox_data_unusable",
      `No sandbox data found in ${folder}`,
      "Pass the folder of the sandbox with --data <dir>.",
    );
  }
  (await open(folder, FILES.backend)).close();
  return files;
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await makeDirectory(folder);
  } catch (error) {
    throw unusable(folder, error);
  }
}

/** Makes a directory and those above it. Not `recursive`: where nothing can be made, as in /proc, Node.js tries forever. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (await isDirectory(path)) return;
    if ((error as { code?: string }).code !== "ENOENT" || (await isDirectory(dirname(path)))) throw error;
    await makeDirectory(dirname(path));
    await makeDirectory(path);
  }
}

async function isDirectory(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  return found?.isDirectory() ?? false;
}

/** The existing database files of a sandbox, including SQLite's `-wal` and `-shm`. */
async function filesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => Object.values(FILES).some((file) => name === file || name.startsWith(`${file}-`)));
}

async function open(folder: string, file: string): Promise<SqliteConnection> {
  try {
    return await openInstalled(join(folder, file));
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== "SQLITE_BUSY") throw unusable(folder, error);
    throw startError(
      "sandbox_data_in_use",
      `Another sandbox is using the data in ${folder}`,
      "Stop it, or pass another folder with --data <dir>, or --ephemeral.",
      { cause: error },
    );
  }
}

/** Opens a database. SQLite is an optional dependency, because only a sandbox needs it. */
async function openInstalled(file: string): Promise<SqliteConnection> {
  try {
    return await openSqlite(file);
  } catch (error) {
    if (!["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND"].includes((error as { code?: string }).code ?? "")) throw error;
    throw sqliteMissing(error);
  }
}

/** The error of an installation without SQLite. */
export function sqliteMissing(cause: unknown): BackendError {
  return startError(
    "sqlite_missing",
    "A sandbox requires SQLite, but the optional package libsql is not installed",
    "Reinstall the package with its optional dependencies.",
    { cause },
  );
}

/**
 * Translates an error at the start of a sandbox: a disk that is full, read-only or failing, and files that are not a
 * database, are problems of the folder. Any other error stays as it is.
 *
 * @param folder `null` for data in memory
 */
export function startFailure(folder: string | null, error: unknown): unknown {
  const { code } = error as { code?: unknown };
  const isFolderProblem = isStorageFailure(error) || code === "SQLITE_CORRUPT" || code === "SQLITE_NOTADB";
  return folder !== null && isFolderProblem ? unusable(folder, error) : error;
}

const REASONS: Readonly<Record<string, string>> = {
  SQLITE_FULL: "the disk is full",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is exceeded",
  SQLITE_READONLY: "it is read-only",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "it is on a read-only file system",
  SQLITE_CANTOPEN: "its files cannot be opened",
};

/** The error of a folder that cannot be used. A `BackendError` stays as it is. */
function unusable(folder: string, cause: unknown): BackendError {
  if (cause instanceof BackendError) return cause;
  const { code = "", message = String(cause) } = cause as NodeJS.ErrnoException;
  const isFull = REASONS[code]?.startsWith("the disk") === true;
  return startError(
    "sandbox_data_unusable",
    `The sandbox data in ${folder} cannot be used: ${REASONS[code] ?? message}`,
    `${isFull ? "Free some space, or pass" : "Pass"} another folder with --data <dir>, or --ephemeral.`,
    { cause },
  );
}
