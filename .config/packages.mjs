/** The packages that bundled files come from. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { root } from "./built.mjs";

/** The font of PDF receipts, from the top of the checkout. */
export const FONT = "node_modules/dejavu-fonts-ttf/ttf/DejaVuSans.ttf";

/**
 * Finds each package that these files come from.
 *
 * @param files as esbuild names them: from the top of the checkout
 * @returns its folder and what its manifest says, in the order of the folders
 */
export function packagesOf(files) {
  const folders = files.flatMap((file) => file.match(/^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//)?.[1] ?? []);
  const found = [...new Set(folders)].sort().map(async (folder) => {
    const { name, version, license } = JSON.parse(await readFile(join(root, folder, "package.json"), "utf8"));
    return { folder, name, version, license };
  });
  return Promise.all(found);
}

/** Name, version and license text of every package that a bundled file comes from. */
export async function licenses(files) {
  const texts = (await packagesOf(files)).map(async ({ folder, name, version, license }) => {
    const file = (await readdir(join(root, folder))).find((entry) => /^licen[sc]e/i.test(entry));
    const text = file ? await readFile(join(root, folder, file), "utf8") : `License: ${license}\n`;
    return `${name} ${version}\n\n${text.trim()}\n`;
  });
  return (await Promise.all(texts)).join(`\n${"-".repeat(80)}\n\n`);
}
