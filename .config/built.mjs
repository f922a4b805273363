/**
 * Builds what is missing or not of these sources, before a program or a test runs it. Sources are compared by content,
 * since a checkout or a copy gives files any time.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The top of the checkout. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/** The file of `dist/` that says which sources it was built from. */
export const DIGEST_FILE = "sources.sha256";

const SOURCES = ["package.json", "package-lock.json", ".config/build.mjs", ".config/built.mjs", ".config/lean.mjs"];

/** Names the sources of the build by their content: the SHA-256 sum of them all, in hexadecimal digits. */
export async function digestOfSources() {
  const names = await readdir(join(root, "src"), { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const hash = createHash("sha256");
  for (const file of [...SOURCES.map((name) => join(root, name)), ...files.sort()]) {
    const content = await readFile(file);
    hash.update(`${file.slice(root.length)}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

/** Whether `dist/` was built from sources with this digest. */
export async function isBuiltFrom(digest) {
  const found = await readFile(join(root, "dist", DIGEST_FILE), "utf8").catch(() => "");
  return found.trim() === digest;
}

/** Builds unless what is built is of these sources. Also a global setup of Vitest. */
export default async function ensureBuilt() {
  if (await isBuiltFrom(await digestOfSources())) return;
  const child = spawn(process.execPath, [join(root, ".config/build.mjs"), "--if-needed"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`The build failed with exit code ${code}.`);
}
