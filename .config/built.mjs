/**
 * Builds `dist/` unless all of it is there and was built from these sources, before a program or a test runs it. Sources
 * are compared by content, since a checkout or a copy gives files any time.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The top of the checkout. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/** The file of `dist/` that says which sources it was built from and which files, with their sizes, it holds. */
export const BUILD_FILE = "build.json";

const SOURCES = [
  "package.json",
  "package-lock.json",
  ...["build.mjs", "built.mjs", "lean.mjs", "packages.mjs", "types.mjs"].map((name) => `.config/${name}`),
  ...["action.yml", "index.js"].map((name) => `.github/actions/top-up/${name}`),
];

/**
 * Names the sources of the build by their content: the SHA-256 sum of them all, in hexadecimal digits.
 *
 * @param more sources of what is made from the build
 */
export async function digestOfSources(more = []) {
  const names = await readdir(join(root, "src"), { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const hash = createHash("sha256");
  for (const file of [...[...SOURCES, ...more].map((name) => join(root, name)), ...files.sort()]) {
    const content = await readFile(file);
    hash.update(`${file.slice(root.length)}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

/** What `BUILD_FILE` says of a folder that was built from sources with this digest, before it is in the folder. */
export async function describeBuild(digest, folder) {
  const names = await readdir(folder, { recursive: true });
  return {
    digest,
    sizes: Object.fromEntries(
      await Promise.all(names.sort().map(async (name) => [name, await sizeOf(join(folder, name))])),
    ),
  };
}

/** Whether a folder was built from sources with this digest, and every file is still there. */
export async function isBuiltFrom(digest, folder = join(root, "dist"), record = BUILD_FILE) {
  try {
    const build = JSON.parse(await readFile(join(folder, record), "utf8"));
    const isThere = async ([name, size]) => (await sizeOf(join(folder, name))) === size;
    return build.digest === digest && (await Promise.all(Object.entries(build.sizes).map(isThere))).every(Boolean);
  } catch {
    return false;
  }
}

/** The size of a file in bytes; 0 for a folder, whose size differs between file systems. */
async function sizeOf(path) {
  const stats = await stat(path);
  return stats.isDirectory() ? 0 : stats.size;
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
