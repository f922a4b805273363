/** Runs a TypeScript program of this project: `node .config/run.mjs <file.ts> [arguments]`. */
import { mkdir } from "node:fs/promises";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = new URL("..", import.meta.url).pathname;
const [file, ...rest] = process.argv.slice(2);
// Beside the sources by depth, so that what they find by their own place is where they look for it.
const outfile = `${root}node_modules/.cache/run/${basename(file)}.mjs`;

await mkdir(`${root}node_modules/.cache/run`, { recursive: true });
await build({
  absWorkingDir: root,
  entryPoints: [file],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  packages: "external",
  sourcemap: "inline",
  define: { "import.meta.url": JSON.stringify(pathToFileURL(`${root}${file}`).href) },
});
process.argv = [process.argv[0], outfile, ...rest];
await import(pathToFileURL(outfile).href);
