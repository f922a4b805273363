import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makePrivateDirectory } from "../files/privateFile.ts";

/** What loading a native library takes from the machine. */
export interface LibraryMachine {
  /** As Node.js names it, such as `linux` or `win32`. */
  readonly platform: string;
  /** Existing directories that this user may write to, best first: the next one is tried where one does not work. */
  readonly places: readonly string[];
  /** Loads the library in a file, like `process.dlopen`. */
  load(file: string): void;
}

/**
 * Loads a native library that is inside the executable. Systems load libraries from files only, so it is written to a
 * file that no other user can write to or replace. The file is removed at once; on Windows, which cannot remove it while
 * it is in use, it is kept, and compared before it is loaded again.
 *
 * @throws what the last place failed with: a file system that is read-only, full, or mounted without execution
 */
export function loadLibrary(content: Buffer, { platform, places, load }: LibraryMachine): void {
  let failure: unknown = new TypeError("There is no directory to load the library from");
  for (const place of places) {
    try {
      if (platform === "win32") load(keptFile(content, place));
      else loadOnce(content, place, load);
      return;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function loadOnce(content: Buffer, place: string, load: (file: string) => void): void {
  // Only this user can enter it.
  const directory = mkdtempSync(join(place, "secureflag-licenses-keyring-"));
  try {
    const file = join(directory, "library.node");
    writeFileSync(file, content, { mode: 0o600, flag: "wx" });
    load(file);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Returns a file with this content, named by it. */
function keptFile(content: Buffer, place: string): string {
  const directory = join(place, "secureflag-licenses", "Cache");
  const file = join(directory, `${createHash("sha256").update(content).digest("hex")}.node`);
  try {
    if (readFileSync(file).equals(content)) return file;
  } catch {
    // It is not there yet.
  }
  makePrivateDirectory(directory);
  // Moved there whole, because another process may be loading it.
  const made = join(mkdtempSync(join(directory, "new-")), "library.node");
  try {
    writeFileSync(made, content, { mode: 0o600, flag: "wx" });
    renameSync(made, file);
  } finally {
    rmSync(join(made, ".."), { recursive: true, force: true });
  }
  return file;
}
