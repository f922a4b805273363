import { chmod, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Kysely, sql } from "kysely";
import type Libsql from "libsql";
import type { Database } from "../database/schema.ts";
import { openSqlite } from "../database/sqlite.ts";
import { isStorageFailure } from "../database/storageFailure.ts";
import { SandboxError } from "../errors.ts";

/** The backend's own store, and the record that the pretended outside world keeps: provider and mailbox. */
const FILES = { backend: "backend.db", outside: "outside.db" } as const;

/** The two open databases of a sandbox. */
export interface SandboxData {
  readonly backend: Libsql.Database;
  readonly outside: Libsql.Database;
}

/**
 * Opens a sandbox's data, in memory for `null`. The process owns them until it ends, however that comes.
 *
 * @throws SandboxError `sandbox_data_in_use`, `sandbox_data_unusable`, `sqlite_missing`
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
 * Does something with very many commits that need not wait for the disk. Whatever ends the process loses none of them; a
 * power failure meanwhile may lose the last ones.
 *
 * @param database the store on `data.backend`, which may be in the middle of a transaction
 */
export async function inAHurry<Result>(
  { outside }: Pick<SandboxData, "outside">,
  database: Kysely<Database>,
  work: () => Promise<Result>,
): Promise<Result> {
  const wait = async (level: "normal" | "full") => {
    await sql`pragma synchronous = ${sql.raw(level)}`.execute(database);
    outside.exec(`pragma synchronous = ${level}`);
  };
  await wait("normal");
  try {
    return await work();
  } finally {
    await wait("full");
  }
}

/**
 * Empties a stopped sandbox's data; other files in the folder stay.
 *
 * @throws SandboxError `sandbox_data_in_use`, `sandbox_data_unusable`, `sqlite_missing`
 */
export async function resetSandbox(folder: string): Promise<void> {
  const files = await assertResettable(folder);
  // Last the file that says that a sandbox is here, so that a reset that is cut short can be run again.
  const ordered = [...files.filter((file) => file !== FILES.backend), FILES.backend];
  try {
    for (const file of ordered) await rm(join(folder, file), { force: true });
  } catch (error) {
    throw unusable(folder, error);
  }
}

/**
 * Makes sure that a reset would go through now, so that nobody is asked about one that would not.
 *
 * @returns the files that it would remove
 * @throws SandboxError as `resetSandbox`
 */
export async function assertResettable(folder: string): Promise<string[]> {
  const files = await filesIn(folder);
  if (!files.includes(FILES.backend)) {
    throw new SandboxError(
      "sandbox_data_unusable",
      `There is no sandbox data in ${folder}`,
      "Name its folder with --data <dir>.",
    );
  }
  (await open(folder, FILES.backend)).close();
  return files;
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unusable(folder, error);
  }
}

/** The database files of a sandbox that are there, with SQLite's companions. */
async function filesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => Object.values(FILES).some((file) => name === file || name.startsWith(`${file}-`)));
}

async function open(folder: string, file: string): Promise<Libsql.Database> {
  try {
    return await openInstalled(join(folder, file));
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== "SQLITE_BUSY") throw unusable(folder, error);
    throw new SandboxError(
      "sandbox_data_in_use",
      `Another sandbox is running on the data in ${folder}`,
      "Stop it first, or give this one data of its own with --data <dir> or --ephemeral.",
      { cause: error },
    );
  }
}

/** SQLite is an optional dependency, because only a sandbox needs it. */
async function openInstalled(file: string): Promise<Libsql.Database> {
  try {
    return await openSqlite(file);
  } catch (error) {
    if (!["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND"].includes((error as { code?: string }).code ?? "")) throw error;
    throw sqliteMissing(error);
  }
}

/** That an installation has no SQLite. */
export function sqliteMissing(cause: unknown): SandboxError {
  return new SandboxError(
    "sqlite_missing",
    "A sandbox needs SQLite, the optional package libsql, which is not installed",
    "Install secureflag-licenses again, and do not leave out what is optional.",
    { cause },
  );
}

/**
 * What to tell of a failure while a sandbox starts: a disk that is full, read-only or failing, and files that are no
 * database, are the folder's and no defect of the program.
 *
 * @param folder `null` for data in memory
 */
export function startFailure(folder: string | null, error: unknown): unknown {
  const { code } = error as { code?: unknown };
  const isFolders = isStorageFailure(error) || code === "SQLITE_CORRUPT" || code === "SQLITE_NOTADB";
  return folder !== null && isFolders ? unusable(folder, error) : error;
}

const REASONS: Readonly<Record<string, string>> = {
  SQLITE_FULL: "the disk is full",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  SQLITE_READONLY: "it is read-only",
  EROFS: "it is on a read-only file system",
  SQLITE_CANTOPEN: "its files cannot be opened",
};

/** The refusal of a folder, whatever the reason; one that is a refusal already stays as it is. */
function unusable(folder: string, cause: unknown): SandboxError {
  if (cause instanceof SandboxError) return cause;
  const { code = "", message = String(cause) } = cause as NodeJS.ErrnoException;
  const isFull = REASONS[code]?.startsWith("the disk") === true;
  return new SandboxError(
    "sandbox_data_unusable",
    `The sandbox data in ${folder} cannot be used: ${REASONS[code] ?? message}`,
    `${isFull ? "Free some space, or give" : "Give"} another folder with --data <dir>, or use --ephemeral.`,
    { cause },
  );
}
