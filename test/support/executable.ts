import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import { DIST, ROOT } from "./places.ts";

/** The executable that needs no Node.js, once `ensurePackaged` has returned. */
export const EXECUTABLE = join(DIST, process.platform === "win32" ? "secureflag-licenses.exe" : "secureflag-licenses");

/** The system that it is for, as in the names of archives. */
export const SYSTEM = `${{ darwin: "macos", win32: "windows" }[process.platform as string] ?? process.platform}-${process.arch}`;

/** Everything to release. */
export const RELEASED = join(DIST, "package");

/** Runs `npm run package`, unless what is there was made from these sources. Takes up to two minutes. */
export async function ensurePackaged(): Promise<void> {
  await execa(process.execPath, [join(ROOT, ".config/package.mjs"), "--if-needed"], { cwd: ROOT });
}

/** Finds the Node.js that is inside. */
export async function nodeInside(): Promise<string> {
  const { findNode24 }: { findNode24(): Promise<{ file: string }> } = await import(
    pathToFileURL(join(ROOT, ".config/node24.mjs")).href
  );
  return (await findNode24()).file;
}
