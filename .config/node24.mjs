/** The Node.js that is put into executables. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { root } from "./built.mjs";

const LINE = "24";

/** What a Node.js has that can take a program in (https://nodejs.org/docs/latest-v24.x/api/single-executable-applications.html). */
export const FUSE = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";

const isWindows = process.platform === "win32";

/**
 * Finds Node.js 24 for this system: what runs this if it is one, else the package of its platform, which npm fetches once.
 *
 * @returns its file, its version without `v`, and the text of its license
 */
export async function findNode24() {
  const running = process.versions.node.split(".")[0] === LINE ? await describe(process.execPath) : null;
  return running ?? (await fetched());
}

async function fetched() {
  const name = `node-${isWindows ? "win" : process.platform}-${process.arch}`;
  const place = join(root, "node_modules/.cache", `node-${LINE}`);
  const folder = join(place, "node_modules", name);
  const file = join(folder, "bin", isWindows ? "node.exe" : "node");
  if (!existsSync(file)) {
    const args = ["install", "--prefix", place, "--no-save", "--no-package-lock", "--no-audit", "--no-fund"];
    await promisify(execFile)("npm", [...args, `${name}@${LINE}`], { shell: isWindows });
  }
  const found = await describe(file);
  if (found === null) throw new Error(`${file} cannot hold a program.`);
  return found;
}

/** Gives `null` for one that cannot take a program in, or whose license is not beside it, such as a distribution's own. */
async function describe(file) {
  // Of a folder of its own, or of a folder with `bin/`.
  const places = [join(dirname(file), "LICENSE"), join(dirname(file), "../LICENSE")];
  const texts = await Promise.all(places.map((place) => readFile(place, "utf8").catch(() => null)));
  const license = texts.find((text) => text?.includes("Node.js"));
  if (!license || !(await readFile(file)).includes(FUSE)) return null;
  const { stdout } = await promisify(execFile)(file, ["--version"]);
  return { file, version: stdout.trim().slice(1), license };
}
