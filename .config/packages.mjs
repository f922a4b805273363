/** The packages that bundled files come from. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { root } from "./built.mjs";

/** Finds the folder of each package that these files come from, as esbuild names files: from the top of the checkout. */
export function packagesOf(files) {
  const folders = files.flatMap((file) => file.match(/^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//)?.[1] ?? []);
  return [...new Set(folders)].sort();
}

/** Name, version and license text of every package that a bundled file comes from. */
export async function licenses(files) {
  const texts = packagesOf(files).map(async (folder) => {
    const { name, version, license } = JSON.parse(await readFile(join(root, folder, "package.json"), "utf8"));
    const file = (await readdir(join(root, folder))).find((entry) => /^licen[sc]e/i.test(entry));
    const text = file ? await readFile(join(root, folder, file), "utf8") : `License: ${license}\n`;
    return `${name} ${version}\n\n${text.trim()}\n`;
  });
  return (await Promise.all(texts)).join(`\n${"-".repeat(80)}\n\n`);
}
