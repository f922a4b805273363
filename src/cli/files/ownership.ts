import { readFileSync, type Stats, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { CliError, type ErrorCode } from "../errors.ts";

/** Who may do everything anyway. */
export const ROOT = 0;

const OTHER_DIRECTORY = "set SECUREFLAG_CONFIG_DIR to a directory of your own";

/**
 * Explains that a file or directory of this tool belongs to another user: whose it is, and how to take it back, as after
 * `sudo secureflag-licenses login`. Root is never advised to take what is another user's.
 *
 * @param users the numbers of this user and of the owner
 * @param whose what belongs to the owner: the path itself, or a directory above it
 */
export function foreignError(
  path: string,
  { uid, owner }: { uid: number; owner: number },
  code: ErrorCode,
  whose = path,
): CliError {
  const what = whose === path ? "it" : whose;
  const name = userName(owner);
  return new CliError(code, `Cannot use ${path}: ${what} belongs to ${name}`, { hint: adviceFor(path, uid, name) });
}

/**
 * Explains why the system denied access to a file or directory of this tool.
 *
 * @param cause what the file system threw
 * @param uid the number of this user; `null` where the system has none
 * @returns `null` for any other trouble
 */
export function deniedError(cause: unknown, path: string, uid: number | null, code: ErrorCode): CliError | null {
  const isDenied = cause instanceof Error && "code" in cause && (cause.code === "EACCES" || cause.code === "EPERM");
  if (!isDenied) return null;
  const found = uid === null ? null : findForeign(path, uid);
  if (uid !== null && found !== null) return foreignError(path, { uid, owner: found.stats.uid }, code, found.path);
  const hint = `Check the permissions of ${path} and of the directories above it.`;
  return new CliError(code, `Cannot use ${path}: permission denied`, { hint, cause });
}

function adviceFor(path: string, uid: number, owner: string): string {
  if (uid === ROOT) return `Run the command as ${owner}, without sudo, or ${OTHER_DIRECTORY}.`;
  const folder = findOwnFolder(path, uid);
  if (folder === null) return `${OTHER_DIRECTORY.charAt(0).toUpperCase()}${OTHER_DIRECTORY.slice(1)}.`;
  return `Take it back with \`sudo chown -R "$USER" "${folder}"\`.`;
}

interface Found {
  readonly path: string;
  readonly stats: Stats;
}

/** Whether what root makes there would be in another user's home, who could not use it then. */
export function isOthersHome(path: string, uid: number | null): boolean {
  return uid === ROOT && findForeign(path, uid) !== null;
}

/** The path, or the nearest directory above it, that can be looked at, where it belongs to another user. */
function findForeign(path: string, uid: number): Found | null {
  for (const found of upwards(path)) {
    if (found.stats.uid !== uid) return found;
    // What is missing or hidden below a directory of one's own is no other user's.
    if (found.path !== path) return null;
  }
  return null;
}

/**
 * The folder to take back: the largest one in a folder of this user, else the tool's own; `null` where neither is above the
 * path, so that no folder of the system, nor another user's home, is ever given away.
 */
function findOwnFolder(path: string, uid: number): string | null {
  const above = [...upwards(dirname(path))];
  const firstForeign = above.findIndex(({ stats }) => stats.uid !== uid);
  // Only the file itself is another user's.
  if (firstForeign !== 0 && above[0] !== undefined) return above[0].path;
  const firstOwn = above.findIndex(({ stats }) => stats.uid === uid);
  if (firstOwn > 0) return above[firstOwn - 1]?.path ?? null;
  const isOurs = ({ path: found, stats }: Found) =>
    basename(found) === "secureflag-licenses" && (stats.mode & 0o077) === 0;
  return above.find(isOurs)?.path ?? null;
}

/** The path and every directory above it that can be looked at, the nearest first. */
function* upwards(path: string): Generator<Found> {
  for (let at = path; ; at = dirname(at)) {
    const stats = look(at);
    if (stats !== null) yield { path: at, stats };
    if (dirname(at) === at) return;
  }
}

function look(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    return null;
  }
}

/** A user's name where this system knows it, else the number. */
function userName(uid: number): string {
  if (uid === ROOT) return "root";
  const name = passwd()
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => fields[2] === String(uid))?.[0];
  return name || `user ${uid}`;
}

function passwd(): string {
  try {
    return readFileSync("/etc/passwd", "utf8");
  } catch {
    return "";
  }
}
